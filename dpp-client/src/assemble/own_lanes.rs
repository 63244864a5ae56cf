//! Batches of survivors when this rank reads its own lanes only: a step is a round, and its batch whatever the rank's lanes
//! have for it. How many rows of each lane count is agreed with the other ranks when the batch is delivered.

use std::time::Instant;

use super::{After, Assembled, Lanes, Reader, parts::Parts};
use crate::{
    Error,
    agree::Claim,
    order::{Left, OnUneven},
    schedule::Share,
};

/// Makes the batches of one pass. It does not end by itself: lanes of other ranks may have rows when its own have none.
pub(crate) struct OwnLanes {
    lanes: Lanes,
    share: Share,
    on_uneven: OnUneven,
    /// Flat position of the next round.
    next: u64,
}

impl OwnLanes {
    /// The rounds from flat position `next` on.
    pub(crate) fn new(lanes: Lanes, share: Share, on_uneven: OnUneven, next: u64) -> OwnLanes {
        OwnLanes {
            lanes,
            share,
            on_uneven,
            next,
        }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.lanes.reader
    }

    pub(super) async fn next(&mut self) -> Result<Assembled, Error> {
        let began = Instant::now();
        let settings = self.lanes.order.settings();
        let (round_rows, share) = (settings.round_rows, settings.round_rows / settings.lanes);
        let mut parts = Parts::default();
        self.lanes.fill(share, &mut parts.waits).await?;
        let given = self.left(share);
        for (lane, &rows) in given.iter().enumerate() {
            self.lanes.hand_out(lane, rows, Some(&mut parts));
        }
        self.lanes.pass(&given);
        let reader = &self.lanes.reader;
        let joined = parts.join(reader.layout(), &reader.budget, began);
        self.lanes.fill(share, &mut Vec::new()).await?;
        let flat = self.next..self.next + round_rows;
        self.next = flat.end;
        Ok(Assembled {
            part: self.share.part(&flat),
            flat,
            tensors: joined.tensors,
            valid: (self.on_uneven == OnUneven::Pad).then_some(joined.valid),
            charge: joined.charge,
            making: joined.making,
            after: After::Open(Claim {
                left: Left::of(self.left(share)),
                first_lane: self.lanes.first,
                lanes: self.lanes.cursors(),
                given,
            }),
        })
    }

    /// Rows that each lane has left, counted up to its share.
    fn left(&self, share: u64) -> Vec<u64> {
        let ready = self.lanes.ready().into_iter();
        ready.map(|rows| rows.min(share)).collect()
    }
}
