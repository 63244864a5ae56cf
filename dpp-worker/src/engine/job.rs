//! Jobs that this worker knows: a table and a compiled plan, by hash.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dpp_batch::{Layout, VectorSpec};
use dpp_ops::{Plan, Program, Registry, in_place::MapEach, program::ValueMap};
use dpp_proto::v1;
use dpp_table::{PieceSize, Table};

use super::base::BaseBatches;
use crate::Error;

/// A job ready to be read.
#[derive(Debug)]
pub(crate) struct OpenJob {
    pub(crate) source: v1::TableSource,
    pub(crate) table: Table,
    /// Where the artefacts that its plan refers to lie, by the one names of those places.
    pub(crate) artefacts: Vec<String>,
    pub(crate) program: Program,
    /// What values of the program's features pass through where they are decoded.
    pub(crate) value_maps: Vec<Option<dpp_table::ValueMap>>,
    base_batch_rows: AtomicUsize,
    /// What memory admits, whoever asks.
    most_rows: AtomicUsize,
    /// Packed bytes of a row of the base batch that was made last; 0: of none yet.
    seen_row_bytes: AtomicUsize,
    /// Packed bytes of a row, the most so far.
    packed_row_bytes: AtomicU64,
    /// Base batches are cut into frames no larger, as far as rows are alike: what a client is asked to hold stays small.
    most_frame_bytes: usize,
}

impl OpenJob {
    /// Compiles the bound plan of a job on its table.
    pub(crate) fn compile(
        source: &v1::TableSource,
        table: Table,
        plan: &Plan,
        (registry, artefacts): (Registry, Vec<String>),
    ) -> Result<OpenJob, Error> {
        let program = Program::compile_with(plan, &registry)?;
        let row_bytes = packed_row_bytes(program.layout());
        let base_batch_rows = base_batch_rows(program.layout(), row_bytes);
        Ok(OpenJob {
            source: source.clone(),
            table,
            artefacts,
            value_maps: value_maps(&program),
            program,
            base_batch_rows: base_batch_rows.into(),
            most_rows: usize::MAX.into(),
            seen_row_bytes: 0.into(),
            packed_row_bytes: (row_bytes as u64).into(),
            most_frame_bytes: MOST_FRAME_BYTES,
        })
    }

    /// Packs so many rows at a time, and cuts nothing.
    pub(crate) fn in_whole_batches(self, rows: usize) -> OpenJob {
        OpenJob {
            base_batch_rows: rows.into(),
            most_frame_bytes: usize::MAX,
            ..self
        }
    }

    /// Frames of a base batch that is this large.
    pub(crate) fn frames_of(&self, bytes: usize) -> usize {
        if bytes <= self.most_frame_bytes {
            1
        } else {
            bytes.div_ceil(FRAME_BYTES)
        }
    }

    /// Bytes that a read will hold: what it fetches and decodes with, rows of a window or base batch decoded, transformed and
    /// packed, and frames on their way.
    pub(crate) fn held_bytes(
        &self,
        request: &v1::ReadRequest,
        base: BaseBatches,
        size: PieceSize,
    ) -> u64 {
        let frames = self.frames_bytes(base);
        let base = base.most_rows as u64;
        let window = request.shuffle.map_or(0, |shuffle| shuffle.window_rows);
        let rows = request.to_row - request.from_row;
        // A window is decoded, then put in order; a base batch is read, converted, transformed and packed.
        let decoded = 2 * window.max(base).min(rows) + 2 * base.min(rows);
        size.stored_bytes
            .saturating_add(size.decoding_bytes)
            .saturating_add(decoded.saturating_mul(size.row_bytes))
            .saturating_add(frames)
    }

    /// Bytes of a read's frames that wait for the client, here and in the transport.
    pub(crate) fn frames_bytes(&self, base: BaseBatches) -> u64 {
        let row = self.packed_row_bytes.load(Ordering::Relaxed);
        let frame = (base.most_rows as u64).saturating_mul(row);
        FRAMES_HELD * frame.clamp(LEAST_FRAME_BYTES, self.most_frame_bytes as u64)
    }

    /// Packs fewer rows at a time from now on where those of a base batch would not fit `share` bytes.
    pub(crate) fn fit(&self, share: u64, size: PieceSize) {
        let fitting = (share / BASE_BATCH_COPIES / size.row_bytes.max(1)).max(LEAST_BASE_BATCH);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        self.base_batch_rows.fetch_min(fitting, Ordering::Relaxed);
        self.most_rows.fetch_min(fitting, Ordering::Relaxed);
    }

    /// The base batches of a read: batches of who asks where those are known to make frames of a good size, so that nobody
    /// needs to join them.
    pub(crate) fn base_batches(&self, request: &v1::ReadRequest) -> BaseBatches {
        let own = || BaseBatches::of(self.base_batch_rows());
        let Some(asked) = request.cuts.and_then(BaseBatches::as_asked) else {
            return own();
        };
        let row_bytes = self.seen_row_bytes.load(Ordering::Relaxed);
        let bytes = asked.most_rows.saturating_mul(row_bytes);
        let most_rows = self.most_rows.load(Ordering::Relaxed);
        let suits = (LEAST_WHOLE_BYTES..=self.most_frame_bytes).contains(&bytes);
        match suits && asked.most_rows <= most_rows {
            true => asked,
            false => own(),
        }
    }

    /// Rows decoded and packed at a time, sized to cache. Never visible in the order of rows or their bytes.
    pub(crate) fn base_batch_rows(&self) -> usize {
        self.base_batch_rows.load(Ordering::Relaxed)
    }

    /// Learns from a base batch how large rows are: reads from now on pack fewer at a time when it was far too large.
    pub(crate) fn note_size(&self, rows: usize, bytes: usize) {
        let row_bytes = bytes.div_ceil(rows.max(1));
        self.seen_row_bytes.store(row_bytes, Ordering::Relaxed);
        self.packed_row_bytes
            .fetch_max(row_bytes as u64, Ordering::Relaxed);
        if bytes > self.most_frame_bytes {
            let fitting = (rows * FRAME_BYTES / bytes).max(1);
            self.base_batch_rows.fetch_min(fitting, Ordering::Relaxed);
        }
    }
}

/// The program's maps, for those who decode.
fn value_maps(program: &Program) -> Vec<Option<dpp_table::ValueMap>> {
    let maps = program.value_maps().into_iter();
    let map = |map| match map {
        ValueMap::Dense(maps) => {
            dpp_table::ValueMap::Dense(Arc::new(move |values| maps.map_each(values)))
        }
        ValueMap::Ids(maps) => {
            dpp_table::ValueMap::Ids(Arc::new(move |values| maps.map_each(values)))
        }
    };
    maps.map(|it| it.map(map)).collect()
}

/// About 2 MiB of tensors: large enough for a transport message, small enough for a core's cache.
fn base_batch_rows(layout: &Layout, row_bytes: usize) -> usize {
    let least = if layout.vectors.is_empty() { 256 } else { 1 };
    (FRAME_BYTES / row_bytes.max(1)).clamp(least, 16_384)
}

/// What a row is guessed to take as tensors.
fn packed_row_bytes(layout: &Layout) -> usize {
    let vectors = layout.vectors.iter().map(VectorSpec::row_bytes);
    let floats = layout.dense.len() + layout.labels.len();
    vectors.sum::<usize>()
        + floats * 4
        + layout.sparse.len() * ID_LIST_BYTES
        + layout.extras.len() * 16
}

/// Things kept by hash, the oldest forgotten first once there are `most`, or they have `most_bytes` together. The newest stays.
#[derive(Debug)]
pub(crate) struct Known<T> {
    most: usize,
    most_bytes: u64,
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    by_hash: HashMap<String, (T, u64)>,
    oldest_first: VecDeque<String>,
    bytes: u64,
}

impl<T: Clone> Known<T> {
    pub(crate) fn new(most: usize) -> Known<T> {
        Known::within(most, u64::MAX)
    }

    pub(crate) fn within(most: usize, most_bytes: u64) -> Known<T> {
        Known {
            most,
            most_bytes,
            entries: Mutex::new(Entries {
                by_hash: HashMap::new(),
                oldest_first: VecDeque::new(),
                bytes: 0,
            }),
        }
    }

    pub(crate) fn get(&self, hash: &str) -> Option<T> {
        let entries = self.lock();
        entries.by_hash.get(hash).map(|(entry, _)| entry.clone())
    }

    pub(crate) fn insert(&self, hash: String, entry: T) {
        self.insert_sized(hash, entry, 0);
    }

    pub(crate) fn insert_sized(&self, hash: String, entry: T, bytes: u64) {
        let mut entries = self.lock();
        entries.bytes += bytes;
        match entries.by_hash.insert(hash.clone(), (entry, bytes)) {
            Some((_, before)) => entries.bytes -= before,
            None => entries.oldest_first.push_back(hash),
        }
        while entries.oldest_first.len() > 1
            && (entries.oldest_first.len() > self.most || entries.bytes > self.most_bytes)
        {
            let oldest = entries.oldest_first.pop_front();
            let forgotten = oldest.and_then(|oldest| entries.by_hash.remove(&oldest));
            entries.bytes -= forgotten.map_or(0, |(_, bytes)| bytes);
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
const FRAME_BYTES: usize = 2 << 20;
/// Twice what is aimed at, so that rows a little larger than guessed are not copied for it.
const MOST_FRAME_BYTES: usize = 2 * FRAME_BYTES;
/// Smaller batches are packed several at a time, and are quicker joined than asked for one by one.
const LEAST_WHOLE_BYTES: usize = 256 << 10;
/// Frames of a read: those that wait, the one being made, and one on the wire, of which encoding and transport have copies.
const FRAMES_HELD: u64 = super::FRAMES_AHEAD as u64 + 4;
const LEAST_FRAME_BYTES: u64 = 64 << 10;
/// A base batch as it is read, converted, transformed and packed.
const BASE_BATCH_COPIES: u64 = 4;
/// Fewer rows at a time cost more in calls than they save in memory.
const LEAST_BASE_BATCH: u64 = 16;
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

    #[test]
    fn large_ones_are_forgotten_sooner_and_the_newest_never() {
        let known = Known::within(10, 100);
        for (hash, bytes) in [("a", 40), ("b", 40), ("a", 60), ("c", 10)] {
            known.insert_sized(hash.into(), bytes, bytes);
        }
        assert_eq!(
            (known.get("a"), known.get("b"), known.get("c")),
            (None, Some(40), Some(10))
        );
        known.insert_sized("d".into(), 1000, 1000);
        assert_eq!((known.get("d"), known.len()), (Some(1000), 1));
        known.insert_sized("e".into(), 100, 100);
        assert_eq!((known.get("e"), known.len()), (Some(100), 1));
    }
}
