//! The fleet: who is there, who starves, and how many workers are required.
//!
//! Heartbeats of workers become entries of the [`registry`], reports of trainers become loads of [`runs`], and the
//! [`autoscaler`] says how many workers those need. [`fleet`] joins them, [`server`] and `http` answer for it, KEDA's
//! `scaler` among them; [`local`] starts and stops workers on this machine. All of it is soft state: a restarted fleet
//! knows what it needs after one heartbeat period, and says "unknown" until then.

pub mod autoscaler;
pub mod client;
pub mod command;
mod error;
pub mod fleet;
mod http;
pub mod local;
pub mod metrics;
pub mod registry;
pub mod runs;
mod scaler;
pub mod server;
pub mod work;

pub use error::Error;
