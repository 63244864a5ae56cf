//! Frames become batches: opens reads in the order in which they are needed, takes rows, joins them.
//!
//! Reads are opened ahead so that the source stays busy; each buffers a few frames at the most, as far as memory
//! allows. A read that a step needs is opened, and has its frame, whatever else is open, so that waiting for it
//! can't wait for ever.
//!
//! ```text
//! no row filter     every.rs       a step's rows lie where the schedule says
//! row filter        all_lanes.rs   survivors are counted lane by lane, then cut into steps
//!                   own_lanes.rs   the same of a rank's own lanes; ranks agree on each round as it is delivered
//! ```

mod all_lanes;
mod every;
mod lanes;
mod own_lanes;
mod parts;
mod read;

use std::{ops::Range, sync::Arc};

use dpp_batch::Batch;

pub(crate) use self::{
    all_lanes::AllLanes,
    every::Every,
    lanes::Lanes,
    own_lanes::OwnLanes,
    parts::fit,
    read::{Reader, Requests},
};
use crate::{
    Error,
    agree::Claim,
    memory::{Budget, Charge},
    order::LaneCursor,
    stall::Making,
};

/// Makes the batches of one pass, in order.
pub(crate) enum Assembler {
    Every(Every),
    AllLanes(AllLanes),
    OwnLanes(OwnLanes),
}

/// How a rank takes the survivors of a row filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gathers {
    /// It reads every lane and drops what is other ranks'.
    AllLanes,
    /// It reads its own, and ranks tell one another what lanes have left.
    OwnLanes,
}

/// A step's batch on its way to the trainer.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// Flat positions of the whole step, over all ranks.
    pub(crate) flat: Range<u64>,
    /// Flat positions of this rank's part.
    pub(crate) part: Range<u64>,
    pub(crate) tensors: Batch,
    /// u8 `[B]`, 0 where a row is padding; `None` where none can be.
    pub(crate) valid: Option<Arc<[u8]>>,
    pub(crate) charge: Charge,
    pub(crate) making: Making,
    pub(crate) after: After,
}

/// What follows a step.
#[derive(Debug)]
pub(crate) enum After {
    /// Whether it is the last, and with a row filter where lanes stand after it.
    Known {
        is_last: bool,
        lanes: Option<Arc<[LaneCursor]>>,
    },
    /// Other ranks have a say in it.
    Open(Claim),
}

impl Assembler {
    /// The next step and its batch, or `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Assembled>, Error> {
        match self {
            Assembler::Every(every) => every.next().await,
            Assembler::AllLanes(lanes) => lanes.next().await,
            Assembler::OwnLanes(lanes) => lanes.next().await.map(Some),
        }
    }

    /// Whether it is known before any row is read that there is no step.
    pub(crate) fn has_no_steps(&self) -> bool {
        matches!(self, Assembler::Every(every) if every.has_no_steps())
    }

    pub(crate) fn budget(&self) -> &Budget {
        &match self {
            Assembler::Every(every) => every.reader(),
            Assembler::AllLanes(lanes) => lanes.reader(),
            Assembler::OwnLanes(lanes) => lanes.reader(),
        }
        .budget
    }
}
