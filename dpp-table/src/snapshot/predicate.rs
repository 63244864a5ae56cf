//! Which partitions a filter keeps. Pure: partition values in, keep or drop out.
//!
//! SQL's three values: a comparison with a null partition is unknown, `not` keeps it unknown, and only what is
//! true is kept.

use std::cmp::Ordering;

use dpp_proto::v1::comparison::{Operator, Value};
use dpp_proto::v1::predicate::Predicate as Form;
use dpp_proto::v1::{Comparison, Predicate};

use crate::error::Error;

/// One partition column's value for one file; `None` is Hive's null.
pub type PartitionValue = (String, Option<String>);

/// Whether `predicate` is true of a file's partition values. Fails on a column that is not among them, on a number
/// compared with what is none, and on an incomplete predicate.
pub fn keeps(predicate: &Predicate, partitions: &[PartitionValue]) -> Result<bool, Error> {
    Ok(evaluate(predicate, partitions)? == Some(true))
}

fn evaluate(predicate: &Predicate, partitions: &[PartitionValue]) -> Result<Option<bool>, Error> {
    match &predicate.predicate {
        Some(Form::Comparison(comparison)) => compare(comparison, partitions),
        Some(Form::AllOf(all)) => decide(&all.predicates, partitions, false),
        Some(Form::AnyOf(any)) => decide(&any.predicates, partitions, true),
        Some(Form::Not(inner)) => Ok(evaluate(inner, partitions)?.map(|truth| !truth)),
        Some(Form::IsNull(column)) => Ok(Some(find(column, partitions)?.is_none())),
        Some(Form::Sample(_)) => Err(incomplete(
            "a sample is one of rows, for a plan's where: partitions are not sampled",
        )),
        None => Err(incomplete("a predicate says nothing")),
    }
}

/// `decisive` if any part is; else unknown if any is; else the opposite. Every part is looked at, so that a wrong
/// one is an error whatever the others say.
fn decide(
    parts: &[Predicate],
    partitions: &[PartitionValue],
    decisive: bool,
) -> Result<Option<bool>, Error> {
    let mut result = Some(!decisive);
    for part in parts {
        match evaluate(part, partitions)? {
            Some(truth) if truth == decisive => result = Some(decisive),
            None if result != Some(decisive) => result = None,
            _ => {}
        }
    }
    Ok(result)
}

fn compare(comparison: &Comparison, partitions: &[PartitionValue]) -> Result<Option<bool>, Error> {
    let column = &comparison.column;
    let holds = operator(comparison)?;
    let wanted = comparison
        .value
        .as_ref()
        .ok_or_else(|| incomplete(&format!("the comparison of {column:?} has no value")))?;
    let Some(stored) = find(column, partitions)? else {
        return Ok(None);
    };
    let order = match wanted {
        Value::Text(text) => Some(stored.cmp(text)),
        Value::Integer(integer) => number_order(column, stored, *integer)?,
        Value::Real(real) => parse_real(column, stored)?.partial_cmp(real),
    };
    Ok(order.map(holds))
}

/// The column's value; `None` is Hive's null.
fn find<'a>(column: &str, partitions: &'a [PartitionValue]) -> Result<Option<&'a str>, Error> {
    let found = partitions.iter().find(|(name, _)| name == column);
    let (_, value) = found.ok_or_else(|| Error::PartitionColumn {
        column: column.to_owned(),
        existing: partitions.iter().map(|(name, _)| name.clone()).collect(),
    })?;
    Ok(value.as_deref())
}

fn number_order(column: &str, stored: &str, wanted: i64) -> Result<Option<Ordering>, Error> {
    match stored.parse::<i64>() {
        Ok(stored) => Ok(Some(stored.cmp(&wanted))),
        Err(_) => Ok(parse_real(column, stored)?.partial_cmp(&(wanted as f64))),
    }
}

fn parse_real(column: &str, stored: &str) -> Result<f64, Error> {
    stored.parse().map_err(|_| Error::PartitionValue {
        column: column.to_owned(),
        value: stored.to_owned(),
    })
}

fn operator(comparison: &Comparison) -> Result<fn(Ordering) -> bool, Error> {
    match comparison.operator() {
        Operator::Equal => Ok(Ordering::is_eq),
        Operator::NotEqual => Ok(Ordering::is_ne),
        Operator::Less => Ok(Ordering::is_lt),
        Operator::LessOrEqual => Ok(Ordering::is_le),
        Operator::Greater => Ok(Ordering::is_gt),
        Operator::GreaterOrEqual => Ok(Ordering::is_ge),
        Operator::Unspecified => Err(incomplete(&format!(
            "the comparison of {:?} has no operator this version knows",
            comparison.column
        ))),
    }
}

fn incomplete(reason: &str) -> Error {
    Error::Predicate {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use dpp_proto::v1::Predicates;

    use super::*;

    fn is(column: &str, operator: Operator, value: Value) -> Predicate {
        Predicate {
            predicate: Some(Form::Comparison(Comparison {
                column: column.to_owned(),
                operator: operator.into(),
                value: Some(value),
            })),
        }
    }

    fn text(column: &str, operator: Operator, value: &str) -> Predicate {
        is(column, operator, Value::Text(value.to_owned()))
    }

    fn not(inner: Predicate) -> Predicate {
        Predicate {
            predicate: Some(Form::Not(Box::new(inner))),
        }
    }

    fn group(form: fn(Predicates) -> Form, predicates: Vec<Predicate>) -> Predicate {
        Predicate {
            predicate: Some(form(Predicates { predicates })),
        }
    }

    fn check(predicate: Predicate, expected: bool) {
        assert_eq!(
            keeps(&predicate, &partitions()).unwrap(),
            expected,
            "{predicate:?}"
        );
    }

    fn partitions() -> Vec<PartitionValue> {
        vec![
            ("ds".to_owned(), Some("2016-02-07".to_owned())),
            ("hour".to_owned(), Some("07".to_owned())),
            ("ratio".to_owned(), Some("0.5".to_owned())),
            ("shop".to_owned(), None),
        ]
    }

    #[test]
    fn text_compares_as_text() {
        check(text("ds", Operator::GreaterOrEqual, "2016-02-07"), true);
        check(text("ds", Operator::Less, "2016-02-07"), false);
        check(text("ds", Operator::NotEqual, "2016-02-08"), true);
        check(text("hour", Operator::Equal, "7"), false);
    }

    #[test]
    fn numbers_compare_as_numbers() {
        check(is("hour", Operator::Equal, Value::Integer(7)), true);
        check(is("hour", Operator::Less, Value::Integer(10)), true);
        check(is("hour", Operator::Greater, Value::Real(6.5)), true);
        check(is("ratio", Operator::LessOrEqual, Value::Integer(0)), false);
        check(is("ratio", Operator::Equal, Value::Real(0.5)), true);
        check(is("ratio", Operator::Less, Value::Real(f64::NAN)), false);
    }

    #[test]
    fn null_is_neither_true_nor_false() {
        check(text("shop", Operator::Equal, "a"), false);
        check(not(text("shop", Operator::Equal, "a")), false);
        let known = text("hour", Operator::Equal, "07");
        check(
            group(
                Form::AnyOf,
                vec![text("shop", Operator::Equal, "a"), known.clone()],
            ),
            true,
        );
        check(
            not(group(
                Form::AllOf,
                vec![text("shop", Operator::Equal, "a"), known],
            )),
            false,
        );
    }

    #[test]
    fn whether_a_value_is_null_is_always_known() {
        let is_null = |column: &str| Predicate {
            predicate: Some(Form::IsNull(column.to_owned())),
        };
        check(is_null("shop"), true);
        check(not(is_null("shop")), false);
        check(is_null("ds"), false);
        assert!(keeps(&is_null("day"), &partitions()).is_err());
    }

    #[test]
    fn groups_are_and_and_or() {
        let yes = || text("hour", Operator::Equal, "07");
        let no = || text("hour", Operator::Equal, "08");
        check(group(Form::AllOf, vec![]), true);
        check(group(Form::AnyOf, vec![]), false);
        check(group(Form::AllOf, vec![yes(), no()]), false);
        check(group(Form::AnyOf, vec![no(), yes()]), true);
        check(not(group(Form::AnyOf, vec![no(), no()])), true);
    }

    #[test]
    fn wrong_filters_are_named() {
        let unknown = group(
            Form::AnyOf,
            vec![
                text("hour", Operator::Equal, "07"),
                text("day", Operator::Equal, "1"),
            ],
        );
        let message = keeps(&unknown, &partitions()).unwrap_err().to_string();
        assert!(
            message.contains("\"day\"") && message.contains("\"hour\""),
            "{message}"
        );
        let number = is("ds", Operator::Equal, Value::Integer(1));
        let message = keeps(&number, &partitions()).unwrap_err().to_string();
        assert!(
            message.contains("ds") && message.contains("2016-02-07"),
            "{message}"
        );
        assert!(keeps(&Predicate { predicate: None }, &partitions()).is_err());
        assert!(keeps(&text("ds", Operator::Unspecified, "x"), &partitions()).is_err());
    }
}
