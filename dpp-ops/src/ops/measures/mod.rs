//! Ops that make one number of a list, or of two side by side.

pub mod get_cosine_similarity;
pub mod get_jaccard_similarity;
pub mod get_max_count;
pub mod get_score_max;
pub mod get_score_min;
pub mod get_score_sum;
pub mod has_id_overlap;
pub mod id_overlap_count;
pub mod list_len;
pub mod list_max;
pub mod list_mean;
pub mod list_min;
pub mod list_sum;

mod matching;
mod measure;
#[cfg(test)]
mod testing;

use crate::registry::Entry;

pub(crate) const OPS: &[Entry] = &[
    get_cosine_similarity::ENTRY,
    get_jaccard_similarity::ENTRY,
    get_max_count::ENTRY,
    get_score_max::ENTRY,
    get_score_min::ENTRY,
    get_score_sum::ENTRY,
    has_id_overlap::ENTRY,
    id_overlap_count::ENTRY,
    list_len::ENTRY,
    list_max::ENTRY,
    list_mean::ENTRY,
    list_min::ENTRY,
    list_sum::ENTRY,
];

/// The scores of a row together, added in list order.
fn sum(scores: &[f32]) -> f64 {
    scores
        .iter()
        .fold(0.0, |sum, &score| sum + f64::from(score))
}
