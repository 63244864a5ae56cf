//! The order of rows: a pure function of snapshot and settings, the same whoever reads and however fast.
//!
//! ```text
//! snapshot rows ─ cut ─▶ splits ─ permuted per epoch ─▶ sequence (N positions)
//!
//! sequence   │ stripe 0                          │ stripe 1 …                 │ rest │
//!            │ lane 0      │ lane 1      │ …     │
//!              ^^^ share     ^^^ share              a round takes the next share of every lane
//!
//! flat order │ round 0: lane 0, lane 1, … │ round 1: … │ … the rest is one short last round
//! ```
//!
//! A piece is a lane's part of a split: what one read asks for. `tests/order_reference.py` says the same in plain Python.

mod lanes;
mod rounds;
mod settings;
mod stripe;

use std::ops::Range;

use dpp_proto::{shuffle::mix, v1};
use sha2::{Digest, Sha256};

pub use self::{
    lanes::{LaneCursor, LanePieces, LaneStream},
    rounds::{Left, OnUneven, Round, Rounds},
    settings::{OrderSettings, SplitShuffle},
    stripe::Stripe,
};
use crate::Error;

/// A part of one row group, at most `split_rows` long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Split {
    first_row: u64,
    rows: u64,
    file: usize,
}

/// The order of one snapshot's rows.
#[derive(Debug)]
pub struct Order {
    settings: OrderSettings,
    splits: Vec<Split>,
    file_starts: Vec<u64>,
    rows: u64,
}

/// One epoch's splits laid end to end: position → split.
#[derive(Debug)]
pub struct Sequence {
    splits: Vec<Split>,
    starts: Vec<u64>,
}

/// A lane's part of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Positions in the epoch's sequence.
    pub positions: Range<u64>,
    /// Snapshot row at `positions.start`, before shuffling.
    pub first_row: u64,
    /// Index of the file in the snapshot.
    pub file: usize,
}

impl Order {
    /// The order of a snapshot's rows, files as the snapshot sorts them.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`OrderSettings::check`].
    pub fn new(settings: OrderSettings, files: &[v1::SnapshotFile]) -> Result<Order, Error> {
        settings.check()?;
        let (mut splits, mut file_starts, mut row) =
            (Vec::new(), Vec::with_capacity(files.len()), 0);
        for (file, entry) in files.iter().enumerate() {
            file_starts.push(row);
            for &group_rows in &entry.row_group_rows {
                let end = row + group_rows;
                while row < end {
                    let rows = settings.split_rows.min(end - row);
                    splits.push(Split {
                        first_row: row,
                        rows,
                        file,
                    });
                    row += rows;
                }
            }
        }
        Ok(Order {
            settings,
            splits,
            file_starts,
            rows: row,
        })
    }

    /// N: rows of an epoch.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &OrderSettings {
        &self.settings
    }

    /// Snapshot position of a file's first row.
    pub fn file_first_row(&self, file: usize) -> u64 {
        self.file_starts[file]
    }

    /// The file that holds a snapshot row below N.
    pub fn file_of(&self, row: u64) -> usize {
        self.file_starts.partition_point(|&start| start <= row) - 1
    }

    /// Hash of snapshot, settings and row filter (its hash, if there is one): two runs of one hash see the same rows in the
    /// same order.
    pub fn hash(&self, snapshot_hash: &str, filter: Option<&str>) -> String {
        let settings = serde_json::to_string(&self.settings).expect("plain settings are JSON");
        let filter = filter.map_or_else(String::new, |filter| format!("\n{filter}"));
        let digest = Sha256::digest(format!("dpp order 1\n{snapshot_hash}\n{settings}{filter}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The epoch's splits in the order in which they are laid end to end.
    pub fn sequence(&self, epoch: u64) -> Sequence {
        let block = match self.settings.shuffle_splits {
            SplitShuffle::Off => 1,
            SplitShuffle::Blocks(splits) => splits,
            SplitShuffle::Epoch => (self.splits.len() as u64).max(1),
        };
        let mut order: Vec<u64> = (0..self.splits.len() as u64).collect();
        order.sort_by_cached_key(|&split| {
            (
                split / block,
                mix(&[self.settings.seed, epoch, split]),
                split,
            )
        });
        let splits: Vec<Split> = order
            .into_iter()
            .map(|split| self.splits[split as usize])
            .collect();
        let starts = splits
            .iter()
            .scan(0, |next, split| {
                let start = *next;
                *next += split.rows;
                Some(start)
            })
            .collect();
        Sequence { splits, starts }
    }

    /// The stripe that holds a flat position below N. The rows left at the end are a stripe of one lane and one round.
    pub fn stripe(&self, flat: u64) -> Stripe {
        let OrderSettings {
            round_rows, lanes, ..
        } = self.settings;
        let whole_rounds = self.rows / round_rows;
        let round = flat / round_rows;
        if round >= whole_rounds {
            let first = whole_rounds * round_rows;
            return Stripe {
                first,
                rounds: 1,
                lanes: 1,
                share: self.rows - first,
            };
        }
        let most = self.settings.rounds_per_stripe();
        let first_round = round / most * most;
        Stripe {
            first: first_round * round_rows,
            rounds: most.min(whole_rounds - first_round),
            lanes,
            share: round_rows / lanes,
        }
    }

    /// The number of the stripe that holds a flat position below N, from 0.
    pub fn stripe_number(&self, flat: u64) -> u64 {
        let (round, whole_rounds) = (
            flat / self.settings.round_rows,
            self.rows / self.settings.round_rows,
        );
        let most = self.settings.rounds_per_stripe();
        if round < whole_rounds {
            round / most
        } else {
            whole_rounds.div_ceil(most)
        }
    }

    /// The sequence positions of flat positions `flat`, in order, neighbours merged.
    pub fn positions(&self, flat: Range<u64>) -> Vec<Range<u64>> {
        let mut positions: Vec<Range<u64>> = Vec::new();
        let mut at = flat.start;
        while at < flat.end {
            let run = self.stripe(at).run_at(at, flat.end);
            at += run.end - run.start;
            match positions.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => positions.push(run),
            }
        }
        positions
    }

    /// The snapshot rows at flat positions `flat`, in order: what the trainer consumes.
    pub fn snapshot_rows(&self, sequence: &Sequence, epoch: u64, flat: Range<u64>) -> Vec<u64> {
        let mut rows = Vec::new();
        for run in self.positions(flat) {
            let mut at = run.start;
            while at < run.end {
                let piece = self.piece(sequence, at);
                let end = run.end.min(piece.positions.end);
                self.push_piece_rows(epoch, &piece, at..end, &mut rows);
                at = end;
            }
        }
        rows
    }

    fn push_piece_rows(
        &self,
        epoch: u64,
        piece: &Piece,
        positions: Range<u64>,
        rows: &mut Vec<u64>,
    ) {
        let offset = |position: u64| position - piece.positions.start;
        let Range { start, end } = offset(positions.start)..offset(positions.end);
        let window = self.settings.shuffle_rows;
        if window == 0 {
            rows.extend(piece.first_row + start..piece.first_row + end);
            return;
        }
        let length = piece.positions.end - piece.positions.start;
        for first in
            (start / window * window..end).step_by(usize::try_from(window).unwrap_or(usize::MAX))
        {
            let last = length.min(first + window);
            let base = piece.first_row;
            let shuffled = dpp_proto::shuffle::shuffled_window(
                self.settings.seed,
                epoch,
                base,
                base + first..base + last,
            );
            let (from, to) = (start.max(first) - first, end.min(last) - first);
            rows.extend(&shuffled[from as usize..to as usize]);
        }
    }

    /// The piece that holds a sequence position below N.
    pub fn piece(&self, sequence: &Sequence, position: u64) -> Piece {
        let (split, start) = sequence.split_at(position);
        let lane = self.stripe(position).lane_at(position);
        let positions = start.max(lane.start)..(start + split.rows).min(lane.end);
        Piece {
            first_row: split.first_row + positions.start - start,
            positions,
            file: split.file,
        }
    }
}

impl Sequence {
    fn split_at(&self, position: u64) -> (Split, u64) {
        let index = self.starts.partition_point(|&start| start <= position) - 1;
        (self.splits[index], self.starts[index])
    }
}
