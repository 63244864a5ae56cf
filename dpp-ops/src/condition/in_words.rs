//! A condition as one would write it.

use dpp_proto::v1::{self, comparison::Value, predicate::Predicate as Form};

use super::json::sign;

/// `(~(label is null) & (I1 > 3 | ds == "monday"))`; what says nothing is `?`.
pub(crate) fn in_words(condition: &v1::Predicate) -> String {
    let joined = |group: &v1::Predicates, how: &str| {
        let parts: Vec<String> = group.predicates.iter().map(in_words).collect();
        format!("({})", parts.join(how))
    };
    match &condition.predicate {
        Some(Form::Comparison(comparison)) => {
            let value = match &comparison.value {
                Some(Value::Text(text)) => format!("{text:?}"),
                Some(Value::Integer(integer)) => integer.to_string(),
                Some(Value::Real(real)) => format!("{real:?}"),
                None => "?".into(),
            };
            let sign = sign(comparison.operator());
            format!("{} {sign} {value}", comparison.column)
        }
        Some(Form::IsNull(column)) => format!("{column} is null"),
        Some(Form::Sample(v1::Sample { column, rate, seed })) => {
            let by = if column.is_empty() { "row" } else { column };
            format!("sample({rate:?} by {by}, seed {seed})")
        }
        Some(Form::AllOf(group)) => joined(group, " & "),
        Some(Form::AnyOf(group)) => joined(group, " | "),
        Some(Form::Not(inner)) => format!("~({})", in_words(inner)),
        None => "?".into(),
    }
}
