//! Ops on numbers: one per row in, one per row out.

pub mod abs;
pub mod add;
pub mod box_cox;
pub mod cast_dense;
pub mod clamp;
pub mod clip_log;
pub mod divide;
pub mod fill_nan;
pub mod fill_null;
pub mod get_local_hour;
pub mod is_present;
pub mod log;
pub mod log1p;
pub mod logit;
pub mod min_max;
pub mod multiply;
pub mod one_hot;
pub mod quantile;
pub mod sign_log1p;
pub mod sqrt;
pub mod subtract;
pub mod z_score;

mod arithmetic;
pub(crate) mod elementwise;
pub(crate) mod logarithm;

use crate::registry::Entry;

pub(crate) const OPS: &[Entry] = &[
    abs::ENTRY,
    add::ENTRY,
    box_cox::ENTRY,
    cast_dense::ENTRY,
    clamp::ENTRY,
    clip_log::ENTRY,
    divide::ENTRY,
    fill_nan::ENTRY,
    fill_null::ENTRY,
    get_local_hour::ENTRY,
    is_present::ENTRY,
    log::ENTRY,
    log1p::ENTRY,
    logit::ENTRY,
    min_max::ENTRY,
    multiply::ENTRY,
    one_hot::ENTRY,
    quantile::ENTRY,
    sign_log1p::ENTRY,
    sqrt::ENTRY,
    subtract::ENTRY,
    z_score::ENTRY,
];
