//! The table through its public door.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "selections are lists of ranges"
)]

mod bad_input;
mod busy_store;
mod encrypted;
mod encrypting;
mod kinds;
mod map_layout;
mod mutations;
mod old_shapes;
mod real_table;
mod redirects;
mod round_trip;
mod s3;
mod sealed;
mod snapshots;
mod streaming;
mod support;
mod write_table;
mod writing;
