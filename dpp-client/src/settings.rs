//! How a loader is set: plain data, read from JSON or built in code, checked once at the door.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    memory::Sizes,
    order::{OnUneven, OrderSettings, SplitShuffle},
    schedule::{Child, Share},
    source::WorkerSettings,
};

/// What a user chooses. Absent fields have the defaults of [`Settings::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Rows of a batch.
    pub batch: BatchRows,
    /// This rank, below `world_size`.
    pub rank: u64,
    /// Ranks that share the steps.
    pub world_size: u64,
    /// How rows are shuffled.
    pub shuffle: Shuffle,
    /// Seed of the shuffle.
    pub seed: u64,
    /// Places read side by side; by default the world size.
    pub lanes: Option<u64>,
    /// Rows of a round; by default the global batch rounded up to a multiple of lanes.
    pub round_rows: Option<u64>,
    /// Most rows of a split.
    pub split_rows: u64,
    /// Whether the short last step of an epoch is left out.
    pub drop_last: bool,
    /// What happens when a row filter leaves lanes of unlike length.
    pub on_uneven: OnUneven,
    /// Batches made ahead of the trainer, at least 1.
    pub prefetch_batches: usize,
    /// The run, as workers and fleet show it.
    pub run_name: String,
    /// How much of busy workers the run gets beside others, 0 to 99: 1 + this many shares.
    pub priority: u32,
    /// Seconds that reads wait for a worker that answers before they fail.
    pub worker_timeout_seconds: u64,
    /// Seconds that a worker may be silent in the middle of a read before another is asked.
    pub silence_timeout_seconds: f64,
    /// Most bytes of frames and batches that wait for the trainer; by default 1 GiB, or twice the least that works
    /// if that is more. Batches the trainer was given, and stored bytes that the on-box engine reads, are beside it.
    pub max_memory_bytes: Option<u64>,
    /// Take only this child's steps; the others are other processes'.
    pub child: Option<Child>,
}

/// Rows of a batch, per rank or over all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchRows {
    /// Each rank's; a step takes `world_size` times as many.
    PerRank(u64),
    /// A step's, shared by the ranks.
    Global(u64),
}

/// How an epoch is shuffled: splits among one another, rows within windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shuffle {
    /// How splits are permuted.
    pub splits: SplitShuffle,
    /// Rows of a window within which rows are permuted; 0 keeps their order.
    pub rows: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            batch: BatchRows::PerRank(1024),
            rank: 0,
            world_size: 1,
            shuffle: Shuffle {
                splits: SplitShuffle::Off,
                rows: 0,
            },
            seed: 0,
            lanes: None,
            round_rows: None,
            split_rows: 65_536,
            drop_last: false,
            on_uneven: OnUneven::Drop,
            prefetch_batches: 4,
            run_name: String::new(),
            priority: 0,
            worker_timeout_seconds: 60,
            silence_timeout_seconds: 30.0,
            max_memory_bytes: None,
            child: None,
        }
    }
}

impl Settings {
    /// Checks everything that can be checked before a table is opened.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the setting and says what to do.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (BatchRows::PerRank(batch) | BatchRows::Global(batch)) = self.batch;
        if batch == 0 {
            return Err(Error::invalid("batch_size must be at least 1"));
        }
        if self.world_size == 0 {
            return Err(Error::invalid("world_size must be at least 1"));
        }
        if self.rank >= self.world_size {
            return Err(Error::invalid(format!(
                "rank {} must be below world_size {}: ranks count from 0",
                self.rank, self.world_size
            )));
        }
        if let Some(Child { index, of }) = self.child
            && index >= of
        {
            return Err(Error::invalid(format!(
                "child {index} must be below the {of} children: they count from 0"
            )));
        }
        if !(1..=MOST_PREFETCH_BATCHES).contains(&self.prefetch_batches) {
            return Err(Error::invalid(format!(
                "prefetch_batches must be 1 to {MOST_PREFETCH_BATCHES}"
            )));
        }
        if self.priority > MOST_PRIORITY {
            return Err(Error::invalid(format!(
                "priority must be 0 to {MOST_PRIORITY}: a run gets 1 + that many shares of busy workers"
            )));
        }
        let silence = Duration::try_from_secs_f64(self.silence_timeout_seconds);
        if silence.is_err() || silence.is_ok_and(|limit| limit.is_zero()) {
            return Err(Error::invalid(
                "silence_timeout_seconds must be more than 0 and finite",
            ));
        }
        if batch
            .checked_mul(self.world_size)
            .is_none_or(|rows| rows > MOST_GLOBAL_BATCH)
        {
            return Err(Error::invalid(format!(
                "a step of more than {MOST_GLOBAL_BATCH} rows can't be meant: lower batch_size"
            )));
        }
        self.order().check()
    }

    /// The order that a run with these settings begins with.
    pub(crate) fn order(&self) -> OrderSettings {
        let lanes = self.lanes.unwrap_or(self.world_size);
        let round_rows = self
            .round_rows
            .unwrap_or_else(|| self.global_batch().next_multiple_of(lanes.max(1)));
        OrderSettings {
            round_rows,
            lanes,
            split_rows: self.split_rows,
            seed: self.seed,
            shuffle_splits: self.shuffle.splits,
            shuffle_rows: self.shuffle.rows,
        }
    }

    pub(crate) fn share(&self) -> Share {
        Share {
            global_batch: self.global_batch(),
            rank: self.rank,
            world_size: self.world_size,
            drop_last: self.drop_last,
        }
    }

    pub(crate) fn workers(&self) -> WorkerSettings {
        WorkerSettings {
            worker_timeout: Duration::from_secs(self.worker_timeout_seconds),
            silence_timeout: Duration::from_secs_f64(self.silence_timeout_seconds),
        }
    }

    /// The ceiling of what waits for the trainer, given what a pass can't do without.
    ///
    /// # Errors
    /// [`Error::Invalid`] says the least that works.
    pub(crate) fn ceiling(&self, sizes: Sizes) -> Result<u64, Error> {
        let least = sizes.reserve();
        match self.max_memory_bytes {
            None => Ok(DEFAULT_MEMORY_BYTES.max(least.saturating_mul(2))),
            Some(ceiling) if ceiling >= least => Ok(ceiling),
            Some(ceiling) => Err(Error::invalid(format!(
                "max_memory_bytes {ceiling} is too little: {least} is the least that works, for {} lanes with frames of {} \
                 bytes and batches of {} bytes (as far as the plan tells); lower lanes or batch_size, or raise it",
                sizes.lanes, sizes.frame, sizes.batch
            ))),
        }
    }

    fn global_batch(&self) -> u64 {
        match self.batch {
            BatchRows::PerRank(rows) => rows * self.world_size,
            BatchRows::Global(rows) => rows,
        }
    }
}

/// Small beside a trainer's memory, large beside what keeps it fed.
const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;

/// Beyond this a queue is a mistake.
const MOST_PREFETCH_BATCHES: usize = 65_536;
const MOST_PRIORITY: u32 = 99;
/// Beyond this a step is a mistake, and arithmetic stays far from overflow.
const MOST_GLOBAL_BATCH: u64 = 1 << 40;
