//! Ops on the scores that ids carry.

pub mod drop_scores;
pub mod scores_clamp;
pub mod scores_log1p;
pub mod sort_by_score;
pub mod top_k_by_score;

use crate::registry::Entry;

pub(crate) const OPS: &[Entry] = &[
    drop_scores::ENTRY,
    scores_clamp::ENTRY,
    scores_log1p::ENTRY,
    sort_by_score::ENTRY,
    top_k_by_score::ENTRY,
];
