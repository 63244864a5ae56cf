//! Transforms: features of a table in, tensors of a batch out. Pure: no I/O, no clock, no threads.
//!
//! A [`Plan`] says which features become which tensors through which ops. [`Plan::bind`] checks it against a
//! table's schema, [`Program`] runs it over one base batch of rows at a time.

pub mod kind;

pub mod column;
pub mod id_list;
pub mod pixels;
pub mod vector;

pub mod condition;

mod id_set;
mod list_writer;

pub mod in_place;
pub mod op;
pub mod ops;
pub mod parameters;
pub mod registry;

pub mod plan;
pub mod program;

pub mod fit;

mod error;
mod nearest;
mod pack;
mod validity;
mod vectorised;

pub use column::Column;
pub use error::Error;
pub use kind::Kind;
pub use op::Op;
pub use plan::{Plan, matches_pattern};
pub use program::Program;
pub use registry::Registry;
