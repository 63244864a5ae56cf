//! Ops on images: files to pixels of one size, `[rows, 3, height, width]`, and what augments them.
//!
//! Integers and tables throughout, and the libraries' scalar or integer paths: the same bits on every machine. What is
//! random is drawn from (seed, epoch, row id), so that any worker makes the same image of a row.

pub mod center_crop;
pub mod decode_image;
pub mod horizontal_flip;
pub mod normalize;
pub mod random_resized_crop;
pub mod resize;

mod decode;
mod draws;
mod fit;

#[cfg(test)]
mod scaled_tests;
#[cfg(test)]
mod tests;

use crate::registry::Entry;

pub(crate) const OPS: &[Entry] = &[
    center_crop::ENTRY,
    decode_image::ENTRY,
    horizontal_flip::ENTRY,
    normalize::ENTRY,
    random_resized_crop::ENTRY,
    resize::ENTRY,
];
