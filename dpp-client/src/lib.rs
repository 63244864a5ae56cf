//! The trainer's side: order, cursor, sources, rebatching, prefetch.
//!
//! In data order: [`order`] says which rows come when, [`schedule`] turns a rank's steps into reads, a [`source`]
//! answers them with frames, `assemble` joins frames into batches, `agree` lets ranks decide how a filtered epoch ends, and the
//! [`Loader`] hands batches out and keeps the [`cursor`] that is saved with the model.

mod agree;
mod assemble;
mod batch;
pub mod cursor;
mod error;
mod loader;
mod memory;
pub mod order;
mod pass;
pub mod schedule;
mod secret;
mod settings;
pub mod source;
mod stall;
mod standing;
mod stats;
#[cfg(feature = "tch")]
mod torch;

pub use agree::Agreement;
pub use batch::{Batch, RowOrigin};
pub use cursor::State;
#[cfg(feature = "embedded")]
pub use dpp_worker::{Applier, engine::load_artefact};
pub use error::Error;
pub use loader::{Loader, Place};
pub use order::{OnUneven, SplitShuffle};
pub use pass::Batches;
pub use secret::is_secret_option;
pub use settings::{BatchRows, Settings, Shuffle};
pub use stall::StallByCause;
pub use stats::Stats;
#[cfg(feature = "tch")]
pub use torch::{TchBatch, TchExtra};
