//! Jobs that this worker knows: a table and a compiled plan, by hash.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dpp_ops::{Plan, Program, Registry};
use dpp_proto::v1;
use dpp_table::Table;

use crate::Error;

/// A job ready to be read.
#[derive(Debug)]
pub(crate) struct OpenJob {
    pub(crate) table: Table,
    pub(crate) program: Program,
    base_batch_rows: AtomicUsize,
    /// Stored bytes a row, of the last read; 0 before the first.
    stored_row_bytes: AtomicU64,
}

impl OpenJob {
    /// Compiles the bound plan of a job on its table.
    pub(crate) fn compile(
        table: Table,
        plan: v1::Plan,
        registry: &Registry,
    ) -> Result<OpenJob, Error> {
        let program = Program::compile_with(&Plan::from_proto(plan)?, registry)?;
        let base_batch_rows = base_batch_rows(program.layout());
        Ok(OpenJob {
            table,
            program,
            base_batch_rows: base_batch_rows.into(),
            stored_row_bytes: 0.into(),
        })
    }

    /// Bytes that a read will hold: stored bytes as the job's last read had them, or all of the file's rows', and what is
    /// decoded.
    pub(crate) fn guessed_bytes(&self, request: &v1::ReadRequest) -> u64 {
        let rows = request.to_row - request.from_row;
        let stored = match (self.stored_row_bytes.load(Ordering::Relaxed), &request.file) {
            (0, Some(file)) => {
                let file_rows: u64 = file.row_group_rows.iter().sum();
                file.size_bytes / file_rows.max(1)
            }
            (known, _) => known,
        };
        rows.saturating_mul(stored)
            .saturating_add(self.decoded_bytes(request))
    }

    /// Bytes that a read holds beside stored ones: the rows of a window or base batch, decoded, and frames on their way.
    pub(crate) fn decoded_bytes(&self, request: &v1::ReadRequest) -> u64 {
        let base = self.base_batch_rows() as u64;
        let window = request.shuffle.map_or(0, |shuffle| shuffle.window_rows);
        let decoded = window
            .min(request.to_row - request.from_row)
            .div_ceil(base)
            .max(1)
            * 2;
        (decoded + FRAMES_HELD) * FRAME_BYTES as u64
    }

    /// Learns how many stored bytes the job's rows have.
    pub(crate) fn note_stored(&self, rows: u64, bytes: u64) {
        if rows > 0 && bytes > 0 {
            self.stored_row_bytes
                .store(bytes.div_ceil(rows), Ordering::Relaxed);
        }
    }

    /// Rows decoded and packed at a time, sized to cache. Never visible in the order of rows or their bytes.
    pub(crate) fn base_batch_rows(&self) -> usize {
        self.base_batch_rows.load(Ordering::Relaxed)
    }

    /// Learns from a base batch how large rows are: reads from now on pack fewer at a time when it was far too large.
    pub(crate) fn note_size(&self, rows: usize, bytes: usize) {
        if bytes > 2 * FRAME_BYTES {
            let fitting = (rows * FRAME_BYTES / bytes).max(1);
            self.base_batch_rows.fetch_min(fitting, Ordering::Relaxed);
        }
    }
}

/// About 2 MiB of tensors: large enough for a transport message, small enough for a core's cache.
fn base_batch_rows(layout: &dpp_batch::Layout) -> usize {
    let vectors: usize = layout
        .vectors
        .iter()
        .map(dpp_batch::VectorSpec::row_bytes)
        .sum();
    let floats = layout.dense.len() + layout.labels.len();
    let row_bytes =
        vectors + floats * 4 + layout.sparse.len() * ID_LIST_BYTES + layout.extras.len() * 16;
    (FRAME_BYTES / row_bytes.max(1)).clamp(if vectors > 0 { 1 } else { 256 }, 16_384)
}

/// Things kept by hash, the oldest forgotten first once there are `most`.
#[derive(Debug)]
pub(crate) struct Known<T> {
    most: usize,
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    by_hash: HashMap<String, T>,
    oldest_first: VecDeque<String>,
}

impl<T: Clone> Known<T> {
    pub(crate) fn new(most: usize) -> Known<T> {
        Known {
            most,
            entries: Mutex::new(Entries {
                by_hash: HashMap::new(),
                oldest_first: VecDeque::new(),
            }),
        }
    }

    pub(crate) fn get(&self, hash: &str) -> Option<T> {
        self.lock().by_hash.get(hash).cloned()
    }

    pub(crate) fn insert(&self, hash: String, entry: T) {
        let mut entries = self.lock();
        if entries.by_hash.insert(hash.clone(), entry).is_none() {
            entries.oldest_first.push_back(hash);
        }
        if entries.oldest_first.len() > self.most {
            let oldest = entries
                .oldest_first
                .pop_front()
                .expect("longer than `most`");
            entries.by_hash.remove(&oldest);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().by_hash.len()
    }

    /// Entries stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs behind shared pointers.
pub(crate) type KnownJobs = Known<Arc<OpenJob>>;

/// Tensors of a frame, about.
pub(crate) const FRAME_BYTES: usize = 2 << 20;
/// Frames of a read: those that wait, the one being made, and one on the wire.
const FRAMES_HELD: u64 = super::FRAMES_AHEAD as u64 + 2;
/// A row's share of one sparse key: its length and about four ids.
const ID_LIST_BYTES: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let known = Known::new(2);
        for (hash, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            known.insert(hash.into(), value);
        }
        assert_eq!(
            (known.get("a"), known.get("b"), known.get("c"), known.len()),
            (None, Some(2), Some(4), 2)
        );
    }
}
