//! Ops on text.

pub mod lower;
pub mod split;
pub mod token_ngram;

use crate::registry::Entry;

pub(crate) const OPS: &[Entry] = &[lower::ENTRY, split::ENTRY, token_ngram::ENTRY];
