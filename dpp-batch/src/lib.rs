//! Tensors of one batch, and the bytes they travel as.
//!
//! In data order: a [`Layout`] says what a plan's batches hold, a [`Batch`] holds it for some rows, a
//! [`Frame`] is a batch with the positions it covers and crosses the wire, [`Rows`] hands out a frame's rows
//! in [`Slice`]s and [`concat`] joins slices of many frames, and [`padding`], into the batch that a trainer sees.
//!
//! Large buffers come from `dpp_pool` and return to it. No I/O, no threads, no clock.

#[cfg(test)]
mod arbitrary;
mod batch;
mod error;
mod frame;
mod layout;
mod little_endian;
mod rows;

pub use batch::{Batch, Extra, ExtraData, Jagged};
pub use error::Error;
pub use frame::{Arriving, FRAME_VERSION, Frame};
pub use layout::{Element, ExtraKind, ExtraSpec, Layout, SparseKey, VectorSpec};
pub use rows::{Rows, Slice, concat, padding};
