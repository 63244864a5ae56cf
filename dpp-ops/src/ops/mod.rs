//! One op a file: formula, shape, nulls, NaN, empty, errors and source in its doc comment.
//!
//! A folder is a kind of work: `dense` to dense, one list to another (`ids`, `scores`), several lists to one (`sets`)
//! or to a number (`measures`), `text` to ids, `images` to pixels.

pub mod dense;
pub mod ids;
pub mod images;
pub mod measures;
pub mod scores;
pub mod sets;
pub mod text;

pub(crate) mod hash;
pub(crate) mod sieve;

#[cfg(test)]
mod reference;
#[cfg(test)]
pub(crate) mod testing;

use crate::registry::Entry;

/// Every op of this crate, folder by folder.
pub(crate) const GROUPS: &[&[Entry]] = &[
    dense::OPS,
    ids::OPS,
    scores::OPS,
    sets::OPS,
    measures::OPS,
    text::OPS,
    images::OPS,
];
