//! Lanes side by side: how positions of the sequence and of the flat order map to one another. Pure arithmetic.

use std::ops::Range;

/// Consecutive positions of the sequence read by several lanes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// First position; also the first flat position.
    pub first: u64,
    /// Rounds that run through it.
    pub rounds: u64,
    /// Lanes it is cut into.
    pub lanes: u64,
    /// Rows that a round takes of each lane.
    pub share: u64,
}

impl Stripe {
    /// Positions of the stripe, sequence and flat alike.
    pub fn positions(&self) -> Range<u64> {
        self.first..self.first + self.rounds * self.lanes * self.share
    }

    /// Positions of the lane that holds a position of the stripe.
    pub fn lane_at(&self, position: u64) -> Range<u64> {
        let length = self.rounds * self.share;
        let start = self.first + (position - self.first) / length * length;
        start..start + length
    }

    /// Sequence positions of the flat run that begins at `flat` and ends with its share, or at `end`.
    pub(super) fn run_at(&self, flat: u64, end: u64) -> Range<u64> {
        let round_rows = self.lanes * self.share;
        let (round, within) = (
            (flat - self.first) / round_rows,
            (flat - self.first) % round_rows,
        );
        let (lane, offset) = (within / self.share, within % self.share);
        let start = self.first + (lane * self.rounds + round) * self.share + offset;
        start..start + (self.share - offset).min(end - flat)
    }

    /// The flat position of a sequence position of the stripe, and how many positions follow it in both.
    pub fn flat_run(&self, position: u64) -> (u64, u64) {
        let within = position - self.first;
        let (lane, in_lane) = (
            within / (self.rounds * self.share),
            within % (self.rounds * self.share),
        );
        let (round, offset) = (in_lane / self.share, in_lane % self.share);
        (
            self.first + (round * self.lanes + lane) * self.share + offset,
            self.share - offset,
        )
    }
}
