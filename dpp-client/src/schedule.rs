//! What one rank reads and takes: steps of the flat order become reads of pieces and takes from them.
//!
//! A step is the next G rows of the flat order; a rank's part of it lies in one or more pieces. Each piece is
//! read once, with the ordered selection of the positions that this rank takes, from the cursor on. Pure.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use dpp_proto::v1::Cuts;
use serde::{Deserialize, Serialize};

use crate::order::{Order, Piece, Sequence};

/// Who takes what: world size and batch are free to change whenever a schedule is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Rows of a step over all ranks, G.
    pub global_batch: u64,
    /// This rank, below `world_size`.
    pub rank: u64,
    /// Ranks, W.
    pub world_size: u64,
    /// Whether a short last step is left out.
    pub drop_last: bool,
}

/// One of several processes that share a rank's steps: it takes those that begin in every `of`-th stripe.
///
/// The steps of all children together are the rank's, each once, and pieces are not shared when a round is a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// This child, below `of`.
    pub index: u64,
    /// Children.
    pub of: u64,
}

/// One read: a piece and the offsets within it, in its (shuffled) order, that the rank takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRead {
    /// What is read.
    pub piece: Piece,
    /// Ascending offsets from the piece's start, neighbours merged.
    pub selection: Vec<Range<u64>>,
    /// Rows selected.
    pub rows: u64,
    /// Which of them end batches, if any batch is of this read alone.
    pub cuts: Option<Cuts>,
}

/// One step of one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Flat positions of the whole step, over all ranks.
    pub flat: Range<u64>,
    /// Flat positions of this rank's part.
    pub part: Range<u64>,
    /// Rows from reads, in order: the read's number and how many rows.
    pub takes: Vec<(u64, u64)>,
}

/// The rest of an epoch for one rank, from a cursor on.
#[derive(Debug)]
pub struct Schedule {
    order: Arc<Order>,
    sequence: Arc<Sequence>,
    share: Share,
    child: Option<Child>,
    start: u64,
    next_step: u64,
    planned_to: u64,
    reads: VecDeque<PlannedRead>,
    first_read: u64,
    read_at: HashMap<u64, u64>, // piece's first position → read's number, for reads not yet forgotten
}

/// Steps from flat position `start` on: the same number for every rank, known without reading anything.
pub fn steps(rows: u64, start: u64, global_batch: u64, drop_last: bool) -> u64 {
    let left = rows.saturating_sub(start);
    if drop_last {
        left / global_batch
    } else {
        left.div_ceil(global_batch)
    }
}

impl Share {
    /// This rank's part of a step.
    pub(crate) fn part(&self, flat: &Range<u64>) -> Range<u64> {
        let rows = u128::from(flat.end - flat.start);
        let cut =
            |rank: u64| flat.start + (u128::from(rank) * rows / u128::from(self.world_size)) as u64;
        cut(self.rank)..cut(self.rank + 1)
    }
}

impl PlannedRead {
    /// Flat position of the read's row number `row`, counted from 0; one that it does not have counts as its last.
    pub fn flat_position(&self, order: &Order, mut row: u64) -> u64 {
        let start = self.piece.positions.start;
        let mut offset = 0;
        for range in &self.selection {
            let rows = range.end - range.start;
            offset = range.start + row.min(rows - 1);
            if row < rows {
                break;
            }
            row -= rows;
        }
        order.stripe(start).flat_run(start + offset).0
    }
}

impl Schedule {
    /// The steps of `epoch`'s sequence from flat position `start` (the cursor) on.
    pub fn new(order: Arc<Order>, sequence: Arc<Sequence>, share: Share, start: u64) -> Schedule {
        Schedule {
            order,
            sequence,
            share,
            child: None,
            start,
            next_step: 0,
            planned_to: start,
            reads: VecDeque::new(),
            first_read: 0,
            read_at: HashMap::new(),
        }
    }

    /// Only the steps of one child.
    #[must_use]
    pub fn of_child(mut self, child: Option<Child>) -> Schedule {
        self.child = child;
        self
    }

    /// The next step, or `None` after the last.
    pub fn next_step(&mut self) -> Option<Step> {
        let own = (self.next_step..self.steps()).find(|&step| self.is_own(step));
        self.next_step = own?;
        let (flat, part) = self.step_ranges(self.next_step);
        self.next_step += 1;
        while self.planned_to < part.end {
            self.plan_stripe();
        }
        let takes = self.takes(part.clone());
        Some(Step { flat, part, takes })
    }

    /// Read number `read`, counted from 0 in order of first use; `None` when the epoch has fewer, or it was forgotten.
    pub fn read(&mut self, read: u64) -> Option<&PlannedRead> {
        while self.first_read + self.reads.len() as u64 <= read && self.planned_to < self.end() {
            self.plan_stripe();
        }
        self.reads
            .get(usize::try_from(read.checked_sub(self.first_read)?).ok()?)
    }

    /// Forgets the reads before `read`: their rows have been taken.
    pub fn forget_before(&mut self, read: u64) {
        while self.first_read < read {
            let Some(done) = self.reads.pop_front() else {
                return;
            };
            self.read_at.remove(&done.piece.positions.start);
            self.first_read += 1;
        }
    }

    /// Steps from the cursor on that are this child's, or all.
    pub fn own_steps(&self) -> u64 {
        match self.child {
            None => self.steps(),
            Some(_) => (0..self.steps()).filter(|&step| self.is_own(step)).count() as u64,
        }
    }

    /// Steps from the cursor on.
    pub fn steps(&self) -> u64 {
        steps(
            self.order.rows(),
            self.start,
            self.share.global_batch,
            self.share.drop_last,
        )
    }

    /// Flat position after the last step.
    fn end(&self) -> u64 {
        self.order
            .rows()
            .min(self.start + self.steps() * self.share.global_batch)
    }

    fn is_own(&self, step: u64) -> bool {
        self.child.is_none_or(|child| {
            let first = self.start + step * self.share.global_batch;
            self.order.stripe_number(first) % child.of == child.index
        })
    }

    fn step_ranges(&self, step: u64) -> (Range<u64>, Range<u64>) {
        let global_batch = self.share.global_batch;
        let first = self.start + step * global_batch;
        let rows = global_batch.min(self.order.rows() - first);
        let flat = first..first + rows;
        let part = self.share.part(&flat);
        (flat, part)
    }

    fn takes(&self, part: Range<u64>) -> Vec<(u64, u64)> {
        let mut takes: Vec<(u64, u64)> = Vec::new();
        for run in self.order.positions(part) {
            let mut at = run.start;
            while at < run.end {
                let piece = self.order.piece(&self.sequence, at);
                let rows = run.end.min(piece.positions.end) - at;
                let read = self.read_at[&piece.positions.start];
                match takes.last_mut() {
                    Some(last) if last.0 == read => last.1 += rows,
                    _ => takes.push((read, rows)),
                }
                at += rows;
            }
        }
        takes
    }

    /// Plans the reads of the stripe at `planned_to`, in order of first use.
    fn plan_stripe(&mut self) {
        let stripe = self.order.stripe(self.planned_to);
        let mut at = stripe.first;
        let mut reads = Vec::new();
        while at < stripe.positions().end {
            let piece = self.order.piece(&self.sequence, at);
            at = piece.positions.end;
            if let Some(read) = self.select(piece) {
                reads.push(read);
            }
        }
        reads.sort_by_key(|(first_use, _)| *first_use);
        for (_, read) in reads {
            self.read_at.insert(
                read.piece.positions.start,
                self.first_read + self.reads.len() as u64,
            );
            self.reads.push_back(read);
        }
        self.planned_to = stripe.positions().end;
    }

    /// The flat position of the first row that this rank takes of `piece`, and the read; `None` if it takes none.
    fn select(&self, piece: Piece) -> Option<(u64, PlannedRead)> {
        let stripe = self.order.stripe(piece.positions.start);
        let (mut selection, mut first_use): (Vec<Range<u64>>, Option<u64>) = (Vec::new(), None);
        let mut takes = FirstTakes::default();
        let mut at = piece.positions.start;
        while at < piece.positions.end {
            let (flat, follow) = stripe.flat_run(at);
            let run = flat..flat + follow.min(piece.positions.end - at);
            for (step, part) in self.parts_within(run.clone()) {
                first_use = first_use.or(Some(part.start));
                let offset = at - piece.positions.start + part.start - run.start;
                let rows = part.end - part.start;
                takes.add(step, rows);
                match selection.last_mut() {
                    Some(last) if last.end == offset => last.end += rows,
                    _ => selection.push(offset..offset + rows),
                }
            }
            at += run.end - run.start;
        }
        let rows = selection.iter().map(|range| range.end - range.start).sum();
        first_use.map(|first_use| {
            (
                first_use,
                PlannedRead {
                    piece,
                    selection,
                    rows,
                    cuts: takes.cuts(|step| {
                        let (_, part) = self.step_ranges(step);
                        part.end - part.start
                    }),
                },
            )
        })
    }

    /// The parts of flat positions `run` that are this rank's, each with its step.
    fn parts_within(&self, run: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> + '_ {
        let steps = if run.end <= self.start {
            0..0
        } else {
            let first = run.start.saturating_sub(self.start) / self.share.global_batch;
            first
                ..self
                    .steps()
                    .min((run.end - self.start).div_ceil(self.share.global_batch))
        };
        let own = steps.filter(|&step| self.is_own(step));
        own.filter_map(move |step| {
            let (_, part) = self.step_ranges(step);
            let within = part.start.max(run.start)..part.end.min(run.end);
            (within.start < within.end).then_some((step, within))
        })
    }
}

/// Steps and the rows that each takes of one read: the first two.
#[derive(Default)]
struct FirstTakes(Vec<(u64, u64)>);

impl FirstTakes {
    fn add(&mut self, step: u64, rows: u64) {
        let steps = self.0.len();
        match self.0.last_mut() {
            Some((last, taken)) if *last == step => *taken += rows,
            _ if steps < 2 => self.0.push((step, rows)),
            _ => {}
        }
    }

    /// Where batches end, if one of these steps takes nothing but of this read; `rows_of` says how many it takes in all.
    fn cuts(&self, rows_of: impl Fn(u64) -> u64) -> Option<Cuts> {
        let &(_, first) = self.0.first()?;
        let mut steps = self.0.iter();
        let &(_, each) = steps.find(|(step, rows)| *rows == rows_of(*step))?;
        Some(Cuts { first, each })
    }
}
