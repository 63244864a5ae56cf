//! Rows to frames, anywhere: a worker is a pure function of its requests.
//!
//! [`Engine`] does the work (tokio waits, a compute pool computes); [`server`] puts it behind gRPC and
//! [`command`] runs it as a process that tells the fleet where it is.

mod allocator;
pub mod apply;
mod bounds;
pub mod command;
mod compute;
pub mod engine;
mod error;
mod heartbeat;
mod http;
mod memory;
mod metrics;
mod rights;
mod run_work;
pub mod server;
mod shares;
mod slots;

pub use apply::Applier;
pub use dpp_ops::Registry;
pub use engine::Engine;
pub use error::Error;
pub use memory::ByteSize;
pub use rights::Rights;
