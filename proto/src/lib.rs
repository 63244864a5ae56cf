//! Contracts between trainer, workers and fleet: the only place where they meet.
//!
//! In data order: a table and its snapshot (`table.proto`), the plan (`plan.proto`), what a worker
//! serves (`worker.proto`, `cuts`, [`shuffle`], [`stream`], [`shared`]), who is there (`fleet.proto`). [`fault`] says how errors cross the wire,
//! [`listen`] where services are reached, [`access`] and [`tls`] by whom, [`intake`] how much at a time.

pub mod access;
mod cuts;
pub mod fault;
pub mod hash;
pub mod intake;
pub mod listen;
#[cfg(feature = "process")]
pub mod process;
pub mod shared;
pub mod shuffle;
pub mod stream;
pub mod tls;

/// Generated messages, clients and servers of package `dpp.v1`.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the .proto files carry the documentation"
)]
pub mod v1 {
    tonic::include_proto!("dpp.v1");
}

/// Generated messages, client and server of KEDA's external scaler.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the .proto file carries the documentation"
)]
pub mod keda {
    tonic::include_proto!("externalscaler");
}

pub use fault::{Fault, Faulty};

/// The contracts as an encoded `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Version of the ops' semantics. Two builds of the same version compute the same bits from the same plan.
pub const SEMANTICS_VERSION: u32 = 1;
