//! Reads a bounded sample of row groups, one feature at a time, and counts.
//!
//! Row groups are spread evenly over the table. A feature is fetched alone, so that its stored bytes are its own.

use std::{num::NonZeroUsize, ops::Range, sync::Arc, thread};

use arrow::array::{Array, ArrayRef, AsArray as _};
use dpp_proto::v1::{Feature, Kind, SnapshotFile};
use dpp_table::{Description, PieceRequest, Table};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{error::Error, progress};

/// What the sample says.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Row groups of the sample.
    pub(super) row_groups: u64,
    /// Rows in the sampled row groups: what `stored_bytes` are for.
    pub(super) group_rows: u64,
    /// Rows decoded: what the other counts are for.
    pub(super) rows: u64,
    /// In the schema's order.
    pub(super) features: Vec<Counts>,
}

/// Counts of one feature.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Rows with a value; for lists, with at least one.
    pub(super) present: u64,
    /// Values in all lists; 0 for other kinds.
    pub(super) list_values: u64,
    /// Stored bytes of the sampled column chunks.
    pub(super) stored_bytes: u64,
}

/// Measures every feature of the table.
pub(super) async fn measure(table: &Table, description: &Description) -> Result<Measured, Error> {
    let features = &description.schema.features;
    let sample = sample(description.snapshot.files(), features.len());
    let mut measured = Measured {
        row_groups: sample.len() as u64,
        group_rows: sample.iter().map(|piece| piece.group_rows).sum(),
        rows: sample
            .iter()
            .map(|piece| piece.rows.end - piece.rows.start)
            .sum(),
        features: vec![Counts::default(); features.len()],
    };
    let bar = progress::rows("reading", measured.rows * features.len() as u64);
    let reads = sample.iter().flat_map(|piece| {
        features
            .iter()
            .enumerate()
            .map(move |(i, feature)| async move {
                Ok::<_, Error>((i, piece, count(table, piece, feature).await?))
            })
    });
    let mut counted = stream::iter(reads).buffer_unordered(reads_at_a_time());
    while let Some((i, piece, counts)) = counted.try_next().await? {
        let sum = &mut measured.features[i];
        sum.present += counts.present;
        sum.list_values += counts.list_values;
        sum.stored_bytes += counts.stored_bytes;
        bar.inc(piece.rows.end - piece.rows.start);
    }
    bar.finish_and_clear();
    Ok(measured)
}

struct Piece<'a> {
    file: &'a SnapshotFile,
    rows: Range<u64>,
    group_rows: u64,
}

/// Row groups spread evenly over the table: fewer, the more features or rows they have; at least one.
fn sample(files: &[SnapshotFile], features: usize) -> Vec<Piece<'_>> {
    let all: Vec<Piece<'_>> = files
        .iter()
        .flat_map(|file| {
            let mut first = 0;
            file.row_group_rows.iter().map(move |&group_rows| {
                let rows = first..first + group_rows.min(GROUP_ROWS);
                first += group_rows;
                Piece {
                    file,
                    rows,
                    group_rows,
                }
            })
        })
        .filter(|piece| piece.group_rows > 0)
        .collect();
    let found = all.len();
    let rows: u64 = all
        .iter()
        .map(|piece| piece.rows.end - piece.rows.start)
        .sum();
    let by_rows = ROWS * found as u64 / rows.max(1);
    let by_rows = usize::try_from(by_rows).unwrap_or(usize::MAX);
    let wanted = (READS / features.max(1)).min(by_rows).max(1);
    let chosen = |i: &usize| i * wanted % found < wanted || found <= wanted;
    let numbered = all.into_iter().enumerate();
    numbered
        .filter(|(i, _)| chosen(i))
        .map(|(_, piece)| piece)
        .collect()
}

async fn count(table: &Table, piece: &Piece<'_>, feature: &Feature) -> Result<Counts, Error> {
    let request = PieceRequest {
        file: piece.file.clone(),
        rows: piece.rows.clone(),
        selection: Vec::new(),
        features: Arc::from([feature.clone()]),
        batch_rows: BATCH_ROWS,
        most_held_bytes: u64::MAX,
    };
    let fetched = table.fetch(request).await?;
    let mut counts = Counts {
        stored_bytes: fetched.io().wanted_bytes,
        ..Counts::default()
    };
    let kind = feature.kind();
    let decoding = tokio::task::spawn_blocking(move || {
        for batch in fetched.decode()? {
            add(&mut counts, kind, batch?.column(0));
        }
        Ok(counts)
    });
    decoding.await?
}

fn add(counts: &mut Counts, kind: Kind, column: &ArrayRef) {
    if !matches!(kind, Kind::IdList | Kind::IdScoreList) {
        counts.present += (column.len() - column.null_count()) as u64;
        return;
    }
    let lists = column.as_list::<i32>();
    for row in 0..lists.len() {
        if lists.is_valid(row) && lists.value_length(row) > 0 {
            counts.present += 1;
            counts.list_values += u64::from(lists.value_length(row).unsigned_abs());
        }
    }
}

/// Enough to hide an object store's latency without holding many chunks.
fn reads_at_a_time() -> usize {
    4 * thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Reads of one feature in one row group, at most (but each feature is read once).
const READS: usize = 4096;
/// Rows decoded of a feature, about at most.
const ROWS: u64 = 1 << 19;
/// Rows decoded of a row group, at most.
const GROUP_ROWS: u64 = 1 << 16;
const BATCH_ROWS: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_spread_bounded_and_never_empty() {
        check(&[&[5, 5], &[5]], 3, &[0, 5, 0]);
        check(&[&[0], &[7]], 3, &[0]);
        check(&[&[1; 10]], 1 << 20, &[0]);
        check(&[&[1; 10]], READS / 3, &[0, 4, 7]);
        let half = GROUP_ROWS * 2;
        check(
            &[&[half; 16]],
            3,
            &[0, 2, 4, 6, 8, 10, 12, 14].map(|i| i * half),
        );
    }

    fn check(files: &[&[u64]], features: usize, expected: &[u64]) {
        let file = |groups: &&[u64]| SnapshotFile {
            row_group_rows: groups.to_vec(),
            ..SnapshotFile::default()
        };
        let files: Vec<_> = files.iter().map(file).collect();
        let starts = sample(&files, features);
        let starts: Vec<_> = starts.iter().map(|piece| piece.rows.start).collect();
        assert_eq!(starts, expected);
    }
}
