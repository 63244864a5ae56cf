//! A trainer as fast as it is told to be, and what it waits for.

use std::{collections::VecDeque, time::Duration};

use dpp_client::{BatchRows, Batches, Error, Loader, Place, Settings};
use dpp_ops::Plan;
use dpp_proto::v1::TableSource;
use tokio::time::Instant;

use super::Speed;
use crate::failed;

/// One rank, which goes through the table again and again.
pub(super) struct Trainer {
    loader: Loader,
    pass: Option<Batches>,
}

/// How a trainer fared lately.
pub(super) struct Pace {
    pub(super) stall_share: f64,
    pub(super) rows_per_second: f64,
}

/// One step: when it had its batch, and how long it had waited for it.
struct Step {
    at: Instant,
    waited: Duration,
    rows: u64,
}

impl Trainer {
    pub(super) async fn open(fleet: &str, table: TableSource) -> Result<Trainer, Error> {
        let settings = Settings {
            batch: BatchRows::PerRank(BATCH_ROWS),
            run_name: "scaling".to_owned(),
            ..Settings::default()
        };
        let place = Place::Service(format!("fleet://{fleet}"));
        let plan = Plan::from_json(PLAN).map_err(failed)?.to_proto();
        Ok(Trainer {
            loader: Loader::open(place, table, plan, settings).await?,
            pass: None,
        })
    }

    /// Trains at this speed for as long as it says; returns how that went in the last `window` of it.
    pub(super) async fn train(&mut self, speed: Speed, window: Duration) -> Result<Pace, Error> {
        let end = Instant::now() + Duration::from_secs_f64(speed.seconds);
        let mut steps = VecDeque::new();
        while Instant::now() < end {
            let asked = Instant::now();
            let rows = self.next_batch().await?;
            let at = Instant::now();
            steps.push_back(Step {
                at,
                waited: at - asked,
                rows,
            });
            tokio::time::sleep(Duration::from_secs_f64(rows as f64 / speed.rows_per_second)).await;
        }
        let since = Instant::now() - window;
        let lately = || steps.iter().filter(|step| step.at > since);
        let waited: Duration = lately().map(|step| step.waited.min(step.at - since)).sum();
        let rows: u64 = lately().map(|step| step.rows).sum();
        Ok(Pace {
            stall_share: waited.as_secs_f64() / window.as_secs_f64(),
            rows_per_second: rows as f64 / window.as_secs_f64(),
        })
    }

    /// Rows of the next batch, of the next epoch when this one has ended.
    async fn next_batch(&mut self) -> Result<u64, Error> {
        loop {
            let pass = match &mut self.pass {
                Some(pass) => pass,
                none => none.insert(self.loader.start_epoch()),
            };
            match pass.next().await {
                Some(batch) => return Ok(batch?.tensors.rows as u64),
                None => self.pass = None,
            }
        }
    }
}

const BATCH_ROWS: u64 = 250;
const PLAN: &str = r#"{"nodes": [{"pattern": "f_*"}, {"op": "fill_null", "inputs": [0], "value": 0.0},
    {"pattern": "id_*"}, {"op": "sigrid_hash", "inputs": [2], "salt": 0, "max_value": 100000}],
  "dense": [{"node": 1}], "sparse": [{"node": 3}]}"#;
