//! Ops that give lists of ids, from one column.

pub mod bucketize;
pub mod clamp_list;
pub mod enumerate;
pub mod first_x;
pub mod last_x;
pub mod list_slice;
pub mod look_up;
pub mod map_id;
pub mod ngram;
pub mod offset;
pub mod positive_modulus;
pub mod sigrid_hash;
pub mod sort;
pub mod to_ids;
pub mod unique;

mod floor_mod;
mod slices;

use crate::registry::Entry;

pub(crate) const OPS: &[Entry] = &[
    bucketize::ENTRY,
    clamp_list::ENTRY,
    enumerate::ENTRY,
    first_x::ENTRY,
    last_x::ENTRY,
    list_slice::ENTRY,
    look_up::ENTRY,
    map_id::ENTRY,
    ngram::ENTRY,
    offset::ENTRY,
    positive_modulus::ENTRY,
    sigrid_hash::ENTRY,
    sort::ENTRY,
    to_ids::ENTRY,
    unique::ENTRY,
];
