//! A lane as a stream, as a filtered order needs it: its runs of all stripes end to end, and where the trainer stands in it.
//!
//! ```text
//! lane 1 = stripe 0's run │ stripe 1's run │ …        (the rows left at the end belong to the last lane)
//!            inputs:        ▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒          frames state how many inputs they cover
//!            survivors:      ▓  ▓▓   ▓▓   ▓           and carry those that the filter keeps
//!            cursor:        (inputs before the first frame that is not used up, survivors taken of it)
//! ```
//!
//! Where frames end does not matter: survivors are counted from the cursor's input on, whatever frames come then.

use std::{collections::VecDeque, ops::Range};

use serde::{Deserialize, Serialize};

use super::{Order, Piece, Sequence, Stripe};

/// Where a lane stands. As JSON `[inputs, taken]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct LaneCursor {
    /// Rows of the lane, before the filter, that are done with.
    pub inputs: u64,
    /// Survivors taken of the rows that follow.
    pub taken: u64,
}

/// Survivors of a lane that have arrived, and how many were taken.
#[derive(Debug, Default)]
pub struct LaneStream {
    done: LaneCursor,
    /// Inputs and survivors of frames that are not used up.
    frames: VecDeque<(u64, u64)>,
    arrived: u64,
}

/// The pieces of a lane one after another. Keeps its place by itself, so that it can be kept beside the order.
#[derive(Clone, Debug)]
pub struct LanePieces {
    lane: u64,
    /// Rows of the lane that are passed over before the first piece.
    skip: u64,
    /// What is left of the run under way, in sequence positions.
    run: Range<u64>,
    /// Where the stripe after that run's begins.
    next_stripe: u64,
}

impl Order {
    /// Sequence positions of a lane's runs, in the lane's order.
    pub fn lane_runs(&self, lane: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut next = 0;
        let stripes = std::iter::from_fn(move || {
            let stripe = (next < self.rows()).then(|| self.stripe(next))?;
            next = stripe.positions().end;
            Some(stripe)
        });
        stripes.filter_map(move |stripe| self.run_within(&stripe, lane))
    }

    /// The pieces of a lane from its input number `from` on, each with the offset at which the lane goes on in it.
    pub fn lane_pieces<'a>(
        &'a self,
        sequence: &'a Sequence,
        lane: u64,
        from: u64,
    ) -> impl Iterator<Item = (Piece, u64)> + 'a {
        let mut pieces = LanePieces::of(lane, from);
        std::iter::from_fn(move || pieces.next(self, sequence))
    }

    /// The run of a lane within a stripe, if it has one.
    fn run_within(&self, stripe: &Stripe, lane: u64) -> Option<Range<u64>> {
        let last = self.settings().lanes - 1;
        // Fewer lanes than the order has: the rows left at the end, of which the last lane is given all.
        let within = if stripe.lanes == last + 1 {
            lane
        } else {
            lane.checked_sub(last)?
        };
        let length = stripe.rounds * stripe.share;
        let start = stripe.first + within * length;
        Some(start..start + length)
    }
}

impl LanePieces {
    /// The pieces of `lane` from its input number `from` on.
    pub fn of(lane: u64, from: u64) -> LanePieces {
        LanePieces {
            lane,
            skip: from,
            run: 0..0,
            next_stripe: 0,
        }
    }

    /// The next piece and the offset at which the lane goes on in it; `None` after the last.
    pub fn next(&mut self, order: &Order, sequence: &Sequence) -> Option<(Piece, u64)> {
        while self.run.is_empty() {
            if self.next_stripe >= order.rows() {
                return None;
            }
            let stripe = order.stripe(self.next_stripe);
            self.next_stripe = stripe.positions().end;
            if let Some(run) = order.run_within(&stripe, self.lane) {
                let skipped = self.skip.min(run.end - run.start);
                self.skip -= skipped;
                self.run = run.start + skipped..run.end;
            }
        }
        let piece = order.piece(sequence, self.run.start);
        let offset = self.run.start - piece.positions.start;
        self.run.start = piece.positions.end;
        Some((piece, offset))
    }
}

impl LaneStream {
    /// A stream from a saved cursor on. Frames are those of the lane from input `cursor.inputs` on.
    pub fn at(cursor: LaneCursor) -> LaneStream {
        LaneStream {
            done: cursor,
            ..LaneStream::default()
        }
    }

    /// The next frame covers so many inputs and carries so many survivors.
    pub fn arrived(&mut self, inputs: u64, survivors: u64) {
        self.frames.push_back((inputs, survivors));
        self.arrived += survivors;
        self.pass_used_up();
    }

    /// Survivors that may be taken.
    pub fn ready(&self) -> u64 {
        self.arrived.saturating_sub(self.done.taken)
    }

    /// Survivors that arrive first and were taken before the cursor was saved.
    pub fn owed(&self) -> u64 {
        self.done.taken.saturating_sub(self.arrived)
    }

    /// The trainer has the next `rows` survivors, at most those that are ready.
    pub fn take(&mut self, rows: u64) {
        debug_assert!(rows <= self.ready(), "taken before they arrived");
        self.done.taken += rows;
        self.pass_used_up();
    }

    /// What is saved.
    pub fn cursor(&self) -> LaneCursor {
        self.done
    }

    fn pass_used_up(&mut self) {
        while let Some(&(inputs, survivors)) = self.frames.front()
            && survivors <= self.done.taken
        {
            self.frames.pop_front();
            self.arrived -= survivors;
            self.done.taken -= survivors;
            self.done.inputs += inputs;
        }
    }
}

impl From<(u64, u64)> for LaneCursor {
    fn from((inputs, taken): (u64, u64)) -> LaneCursor {
        LaneCursor { inputs, taken }
    }
}

impl From<LaneCursor> for (u64, u64) {
    fn from(cursor: LaneCursor) -> (u64, u64) {
        (cursor.inputs, cursor.taken)
    }
}
