//! How this rank fares, in the fleet's words: reported whenever the fleet is asked for its workers.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex},
};

use dpp_proto::v1;

use crate::{
    cursor::{Cursor, lock},
    stats::Meter,
};

/// What a report is made of.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) run: v1::Run,
    pub(crate) rank: u64,
    pub(crate) world_size: u64,
    pub(crate) epoch_rows: u64,
    pub(crate) cursor: Arc<Mutex<Cursor>>,
    pub(crate) meter: Arc<Meter>,
    loader_id: String,
}

impl Standing {
    pub(crate) fn new(
        run: v1::Run,
        (rank, world_size): (u64, u64),
        epoch_rows: u64,
        cursor: Arc<Mutex<Cursor>>,
        meter: Arc<Meter>,
    ) -> Standing {
        // The hasher's own keys are random: two loaders, wherever they run, do not share an id.
        let random = RandomState::new().hash_one(std::process::id());
        Standing {
            loader_id: format!("{rank}-{random:016x}"),
            run,
            rank,
            world_size,
            epoch_rows,
            cursor,
            meter,
        }
    }

    /// The report at this moment.
    pub(crate) fn report(&self) -> v1::RankReport {
        let stats = self.meter.stats_now();
        let cursor = lock(&self.cursor).clone();
        let stalled = stats.stall_by_cause;
        v1::RankReport {
            loader_id: self.loader_id.clone(),
            run: Some(self.run.clone()),
            rank: self.rank,
            world_size: self.world_size,
            rows: stats.rows,
            elapsed_seconds: stats.elapsed_seconds,
            stalled: Some(v1::StallSeconds {
                storage: stalled.storage,
                decode: stalled.decode,
                transform: stalled.transform,
                network: stalled.network,
                client: stalled.client,
            }),
            epoch: cursor.epoch,
            epoch_rows: self.epoch_rows,
            epoch_rows_consumed: cursor.position.inputs(),
        }
    }
}
