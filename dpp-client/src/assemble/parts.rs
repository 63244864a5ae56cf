//! What one batch is made of, while it is being made: slices of frames, and padding.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use dpp_batch::{Batch, Layout, Rows, Slice, concat, padding};

use crate::{
    Error,
    memory::{Budget, Charge},
    stall::{Making, ReadStall},
};

/// How long which reads were waited for.
pub(super) type Waits = Vec<(Arc<ReadStall>, Duration)>;

/// Rows in order, joined once all are there.
#[derive(Default)]
pub(super) struct Parts {
    slices: Vec<Slice>,
    rows: usize,
    padded: Vec<Range<usize>>,
    /// Frames whose rows are all in `slices`.
    spent: Vec<Charge>,
    pub(super) waits: Waits,
}

/// Frames whose rows are handed out one after another.
#[derive(Default)]
pub(super) struct Frames {
    frames: VecDeque<(Rows, Charge)>,
}

/// A batch, its bytes, and how it was made.
pub(super) struct Joined {
    pub(super) tensors: Batch,
    pub(super) valid: Arc<[u8]>,
    pub(super) charge: Charge,
    pub(super) making: Making,
}

impl Parts {
    fn push(&mut self, slice: Slice) {
        self.rows += slice.rows();
        self.slices.push(slice);
    }

    /// Adds padding.
    pub(super) fn pad(&mut self, layout: &Arc<Layout>, rows: u64) {
        if rows > 0 {
            let first = self.rows;
            self.push(padding(layout, count(rows)));
            self.padded.push(first..self.rows);
        }
    }

    /// One batch of all, whose making began then.
    pub(super) fn join(self, layout: &Arc<Layout>, budget: &Budget, began: Instant) -> Joined {
        let tensors = concat(layout, &self.slices);
        Joined {
            valid: self.valid(),
            charge: budget.batch(tensors.byte_size() as u64),
            tensors,
            making: Making::new(began.elapsed(), self.waits),
        }
    }

    fn valid(&self) -> Arc<[u8]> {
        let mut valid = vec![1_u8; self.rows];
        for rows in &self.padded {
            valid[rows.clone()].fill(0);
        }
        valid.into()
    }
}

impl Frames {
    /// Adds a frame behind the others, unless it has no rows.
    pub(super) fn push(&mut self, rows: Rows, charge: Charge) {
        if rows.remaining() > 0 {
            self.frames.push_back((rows, charge));
        }
    }

    /// Hands out `wanted` rows, or as many as there are, to `parts` if they are of use; returns how many.
    pub(super) fn take(&mut self, wanted: u64, mut parts: Option<&mut Parts>) -> u64 {
        let mut missing = count(wanted);
        while missing > 0
            && let Some((rows, _)) = self.frames.front_mut()
        {
            let slice = rows.take(missing);
            missing -= slice.rows();
            let spent = match rows.remaining() {
                0 => self.frames.pop_front(),
                _ => None,
            };
            if let Some(parts) = &mut parts {
                parts.push(slice);
                parts.spent.extend(spent.map(|(_, charge)| charge));
            }
        }
        wanted - missing as u64
    }
}

/// `batch`, whose lanes gave so many rows each one after another, with `rows` of each: less, or padded; and its validity.
pub(crate) fn fit(batch: Batch, given: &[u64], rows: u64) -> Result<(Batch, Arc<[u8]>), Error> {
    let layout = batch.layout.clone();
    let mut all = Rows::new(batch);
    let mut parts = Parts::default();
    for &given in given {
        let kept = given.min(rows);
        parts.push(all.take(count(kept)));
        all.take(count(given - kept));
        parts.pad(&layout, rows - kept);
    }
    Ok((concat(&layout, &parts.slices), parts.valid()))
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).expect("a batch fits in memory")
}
