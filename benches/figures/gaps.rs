//! What fetching costs by the largest gap that is read through: requests, bytes, CPU of this process, and wall time.

use std::{ops::Range, sync::Arc, time::Instant};

use dpp_client::Error;
use dpp_proto::{Fault, fault::message_with_causes, v1};
use dpp_table::{CoalesceSettings, PieceRequest, ReadCounters, Table, TableOptions};
use serde::Serialize;

use crate::machine::cpu_time;

/// The same table and features, by where the table lies.
#[derive(Serialize)]
pub(crate) struct Gaps {
    pub(crate) s3: Vec<Gap>,
    pub(crate) local: Vec<Gap>,
}

/// Medians over the rounds.
#[derive(Serialize)]
pub(crate) struct Gap {
    /// `None`: what is chosen when nothing is said.
    max_gap_bytes: Option<u64>,
    requests: u64,
    read_bytes: u64,
    wanted_bytes: u64,
    cpu_ms: f64,
    wall_ms: f64,
}

/// Fetches the features by every gap, in turns.
pub(crate) async fn measure(
    source: &v1::TableSource,
    features: &Arc<[v1::Feature]>,
    rounds: usize,
) -> Result<Vec<Gap>, Error> {
    let mut measured: Vec<Vec<Gap>> = GAPS.map(|_| Vec::new()).into();
    for _ in 0..rounds {
        for (gap, measured) in GAPS.into_iter().zip(&mut measured) {
            measured.push(fetched(source, features, gap).await?);
        }
    }
    Ok(measured.into_iter().map(median).collect())
}

/// Fetches every row group of a table, decoding nothing.
async fn fetched(
    source: &v1::TableSource,
    features: &Arc<[v1::Feature]>,
    max_gap_bytes: Option<u64>,
) -> Result<Gap, Error> {
    let mut options = TableOptions::default();
    options.coalesce = max_gap_bytes.map(|max_gap_bytes| CoalesceSettings {
        max_gap_bytes,
        ..CoalesceSettings::OBJECT_STORE
    });
    let table = Table::open_with(source, options).map_err(failed)?;
    let files = table.describe().await.map_err(failed)?;
    let (cpu, wall, mut io) = (cpu_time(), Instant::now(), ReadCounters::default());
    for file in files.snapshot.files() {
        for rows in groups(file) {
            let request = PieceRequest {
                rows,
                file: file.clone(),
                selection: Vec::new(),
                features: Arc::clone(features),
                batch_rows: 1024,
                most_held_bytes: u64::MAX,
            };
            io += table.fetch(request).await.map_err(failed)?.io();
        }
    }
    Ok(Gap {
        max_gap_bytes,
        requests: io.requests,
        read_bytes: io.read_bytes,
        wanted_bytes: io.wanted_bytes,
        cpu_ms: (cpu_time() - cpu).as_secs_f64() * 1e3,
        wall_ms: wall.elapsed().as_secs_f64() * 1e3,
    })
}

/// Rows of every row group of a file.
fn groups(file: &v1::SnapshotFile) -> Vec<Range<u64>> {
    let mut first = 0;
    let group = |rows: &u64| {
        let group = first..first + rows;
        first = group.end;
        group
    };
    file.row_group_rows.iter().map(group).collect()
}

/// By CPU and by wall; what was read is the same in every round.
fn median(mut rounds: Vec<Gap>) -> Gap {
    rounds.sort_by(|a, b| a.wall_ms.total_cmp(&b.wall_ms));
    let wall_ms = rounds[rounds.len() / 2].wall_ms;
    rounds.sort_by(|a, b| a.cpu_ms.total_cmp(&b.cpu_ms));
    Gap {
        wall_ms,
        ..rounds.swap_remove(rounds.len() / 2)
    }
}

fn failed(error: dpp_table::Error) -> Error {
    Error::Source {
        fault: Fault::Internal,
        message: message_with_causes(&error),
    }
}

const GAPS: [Option<u64>; 7] = [
    Some(0),
    Some(16 << 10),
    Some(64 << 10),
    Some(256 << 10),
    Some(1 << 20),
    Some(4 << 20),
    None,
];
