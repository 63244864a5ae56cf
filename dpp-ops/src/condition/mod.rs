//! Conditions on rows: `label is not null and price > 3`. One grammar for partition columns, which choose files, and for
//! features, which choose rows; as protobuf it is [`v1::Predicate`].
//!
//! ```json
//! {"all_of": [{"not": {"is_null": "label"}}, {"column": "price", "operator": ">", "value": 3}]}
//! ```
//!
//! Operators are `==`, `!=`, `<`, `<=`, `>`, `>=`; conditions are joined by `all_of`, `any_of` and `not`. A part of the rows is
//! `{"sample": "user", "rate": 0.1, "seed": 7}`, and with the sample null it is drawn by row.

mod bounds;
mod in_words;
mod json;
mod row_filter;
mod sample;
#[cfg(test)]
mod tests;
mod truth;

use std::collections::BTreeSet;

use dpp_proto::v1::{self, predicate::Predicate as Form};

use crate::Error;

pub use bounds::{Bounds, Extent};
pub(crate) use in_words::in_words;
pub use json::from_json;
pub(crate) use json::{Written, read};
pub use row_filter::RowFilter;

/// Fails on a condition that is nested too deep, or too long to be asked of every row.
pub(crate) fn check_size(condition: &v1::Predicate) -> Result<(), Error> {
    let mut parts = 0;
    let mut waiting = vec![(condition, 1)];
    while let Some((condition, depth)) = waiting.pop() {
        parts += 1;
        if depth > DEEPEST {
            return Err(Error::Condition {
                limit: DEEPEST,
                what: "levels",
            });
        }
        if parts > MOST_PARTS {
            return Err(Error::Condition {
                limit: MOST_PARTS,
                what: "parts",
            });
        }
        match &condition.predicate {
            Some(Form::AllOf(group) | Form::AnyOf(group)) => {
                waiting.extend(group.predicates.iter().map(|part| (part, depth + 1)));
            }
            Some(Form::Not(inner)) => waiting.push((inner, depth + 1)),
            _ => {}
        }
    }
    Ok(())
}

/// Of conditions within conditions. As many fit a message that crosses the wire.
const DEEPEST: usize = 40;
/// Comparisons and what joins them.
const MOST_PARTS: usize = 1 << 20;

/// The names a condition speaks of, sorted. Fails on a condition that says nothing, and on one that is too large.
pub(crate) fn features(condition: &v1::Predicate) -> Result<BTreeSet<&str>, Error> {
    check_size(condition)?;
    let mut names = BTreeSet::new();
    let mut waiting = vec![condition];
    while let Some(condition) = waiting.pop() {
        match condition.predicate.as_ref().ok_or_else(incomplete)? {
            Form::Comparison(comparison) => drop(names.insert(comparison.column.as_str())),
            Form::IsNull(column) => drop(names.insert(column.as_str())),
            Form::Sample(sample) if sample.column.is_empty() => {}
            Form::Sample(sample) => drop(names.insert(sample.column.as_str())),
            Form::AllOf(group) | Form::AnyOf(group) => waiting.extend(&group.predicates),
            Form::Not(inner) => waiting.push(inner),
        }
    }
    Ok(names)
}

fn incomplete() -> Error {
    Error::Form {
        place: "condition".into(),
        message: "it says nothing this version knows".into(),
    }
}
