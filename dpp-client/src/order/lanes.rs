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

use super::{Order, Piece, Sequence};

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

impl Order {
    /// Sequence positions of a lane's runs, in the lane's order.
    pub fn lane_runs(&self, lane: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut next = 0;
        let stripes = std::iter::from_fn(move || {
            let stripe = (next < self.rows()).then(|| self.stripe(next))?;
            next = stripe.positions().end;
            Some(stripe)
        });
        let last = self.settings().lanes - 1;
        stripes.filter_map(move |stripe| {
            // Fewer lanes than the order has: the rows left at the end, of which the last lane is given all.
            let within = if stripe.lanes == last + 1 {
                lane
            } else {
                lane.checked_sub(last)?
            };
            let length = stripe.rounds * stripe.share;
            let start = stripe.first + within * length;
            Some(start..start + length)
        })
    }

    /// The pieces of a lane from its input number `from` on, each with the offset at which the lane goes on in it.
    pub fn lane_pieces<'a>(
        &'a self,
        sequence: &'a Sequence,
        lane: u64,
        from: u64,
    ) -> impl Iterator<Item = (Piece, u64)> + 'a {
        let mut skipped = from;
        let runs = self.lane_runs(lane).filter_map(move |run| {
            let skip = skipped.min(run.end - run.start);
            skipped -= skip;
            (run.start + skip < run.end).then_some(run.start + skip..run.end)
        });
        runs.flat_map(move |run| {
            let mut at = run.start;
            std::iter::from_fn(move || {
                let piece = (at < run.end).then(|| self.piece(sequence, at))?;
                let offset = at - piece.positions.start;
                at = piece.positions.end;
                Some((piece, offset))
            })
        })
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
