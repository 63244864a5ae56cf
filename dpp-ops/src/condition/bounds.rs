//! What bounds of values say of a condition before any row is read: whether it can hold for a row at all. Pure.
//!
//! Bounds err on the wide side, so rows are only ever left unread that the condition would drop. Each test may be able to
//! hold and may be able to fail; what is unknown is both.

use super::row_filter::{RowFilter, Test};
use dpp_proto::v1::comparison::Operator;

/// What is known of a feature's values in some rows; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Every value that is there lies between these, both included; NaN may lie anywhere.
    pub values: Option<Extent>,
    /// Whether there is no null.
    pub has_no_nulls: bool,
}

/// The least and the largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// Of ints.
    Ints(i64, i64),
    /// Of dense values.
    Reals(f32, f32),
}

impl RowFilter {
    /// Whether the condition may hold for a row within these bounds: one of each of [`RowFilter::features`].
    pub fn may_keep(&self, bounds: &[Bounds]) -> bool {
        possible(&self.test, bounds).holds
    }
}

/// What a test may come to.
#[derive(Clone, Copy)]
struct Possible {
    holds: bool,
    fails: bool,
}

fn possible(test: &Test, bounds: &[Bounds]) -> Possible {
    let of = |position: &usize| bounds.get(*position).copied().unwrap_or_default();
    let holds = |holds| Possible { holds, fails: true };
    match test {
        Test::Dense(position, operator, value) => match of(position).values {
            Some(Extent::Reals(least, most)) => holds(compares(least, most, *operator, *value)),
            _ => holds(true),
        },
        Test::Int(position, from, to) => match of(position).values {
            Some(Extent::Ints(least, most)) => Possible {
                holds: least <= *to && most >= *from,
                fails: least < *from || most > *to,
            },
            _ => holds(true),
        },
        Test::Ints(position, set) => match of(position).values {
            Some(Extent::Ints(least, most)) => {
                holds(set.iter().any(|value| (least..=most).contains(value)))
            }
            _ => holds(true),
        },
        Test::IsNull(position) => holds(!of(position).has_no_nulls),
        // texts may be cut short in bounds, and lists have none
        Test::Text(..) | Test::Texts(..) | Test::Holds(..) | Test::Sample(_) => holds(true),
        Test::All(tests) => Possible {
            holds: tests.iter().all(|test| possible(test, bounds).holds),
            fails: tests.iter().any(|test| possible(test, bounds).fails),
        },
        Test::Any(tests) => Possible {
            holds: tests.iter().any(|test| possible(test, bounds).holds),
            fails: tests.iter().all(|test| possible(test, bounds).fails),
        },
        Test::Not(test) => {
            let Possible { holds, fails } = possible(test, bounds);
            Possible {
                holds: fails,
                fails: holds,
            }
        }
    }
}

/// Whether any value between the two compares so.
fn compares(least: f32, most: f32, operator: Operator, value: f32) -> bool {
    match operator {
        Operator::Less => least < value,
        Operator::LessOrEqual => least <= value,
        Operator::Greater => most > value,
        Operator::GreaterOrEqual => most >= value,
        _ => least <= value && value <= most,
    }
}
