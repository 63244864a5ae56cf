//! Conditions as JSON, read with errors that say where.

use dpp_proto::v1::{
    self,
    comparison::{Operator, Value},
    predicate::Predicate as Form,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value as Json;

use crate::{Error, plan::field::Field};

/// Reads a condition; `name` is what errors call the text. Fails with the path of what is wrong.
pub fn from_json(name: &str, text: &str) -> Result<v1::Predicate, Error> {
    let json: Json = serde_json::from_str(text).map_err(|error| Error::Form {
        place: name.to_owned(),
        message: error.to_string(),
    })?;
    read(Field::root(name, &json))
}

pub(crate) fn read(condition: Field<'_>) -> Result<v1::Predicate, Error> {
    let keys = condition.object(EXPECTED)?;
    let first = FORMS.iter().find(|name| keys.contains_key(**name));
    let form = match first {
        Some(&"column") => {
            condition.only_keys(keys, &["column", "operator", "value"])?;
            Form::Comparison(v1::Comparison {
                column: condition.required("column", |field| field.text())?,
                operator: condition.required("operator", read_operator)?.into(),
                value: Some(condition.required("value", read_value)?),
            })
        }
        Some(&"sample") => {
            condition.only_keys(keys, &["sample", "rate", "seed"])?;
            let column = condition.optional("sample", |field| field.text())?;
            let seed = condition.optional("seed", read_integer)?;
            Form::Sample(v1::Sample {
                column: column.unwrap_or_default(),
                rate: condition.required("rate", |field| field.real())?,
                seed: seed.unwrap_or(0),
            })
        }
        Some(&name) => {
            condition.only_keys(keys, &[name])?;
            let several = |name| {
                let predicates = condition.each(name, read)?;
                Ok::<_, Error>(v1::Predicates { predicates })
            };
            match name {
                "all_of" => Form::AllOf(several(name)?),
                "any_of" => Form::AnyOf(several(name)?),
                "not" => Form::Not(Box::new(condition.required(name, read)?)),
                _ => Form::IsNull(condition.required(name, |field| field.text())?),
            }
        }
        None => return Err(condition.expected(EXPECTED)),
    };
    Ok(v1::Predicate {
        predicate: Some(form),
    })
}

fn read_operator(field: Field<'_>) -> Result<Operator, Error> {
    let sign = field.text()?;
    let known = OPERATORS.iter().find(|(_, known)| *known == sign);
    match known {
        Some((operator, _)) => Ok(*operator),
        None => Err(field.error(format!(
            "`{sign}` is no operator; use ==, !=, <, <=, > or >="
        ))),
    }
}

fn read_value(field: Field<'_>) -> Result<Value, Error> {
    match field.value {
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Ok(Value::Integer(integer)),
            None => Ok(Value::Real(field.real()?)),
        },
        Json::String(text) => Ok(Value::Text(text.clone())),
        _ => Err(field.expected("text or a number")),
    }
}

fn read_integer(field: Field<'_>) -> Result<i64, Error> {
    let number = field.value.as_i64();
    number.ok_or_else(|| field.expected("a whole number"))
}

/// A condition to be written as [`read`] reads it.
pub(crate) struct Written<'a>(pub(crate) &'a v1::Predicate);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.0.predicate {
            Some(Form::Comparison(comparison)) => {
                map.serialize_entry("column", &comparison.column)?;
                map.serialize_entry("operator", sign(comparison.operator()))?;
                match &comparison.value {
                    Some(Value::Text(text)) => map.serialize_entry("value", text)?,
                    Some(Value::Integer(integer)) => map.serialize_entry("value", integer)?,
                    Some(Value::Real(real)) => map.serialize_entry("value", real)?,
                    None => {}
                }
            }
            Some(Form::AllOf(group)) => map.serialize_entry("all_of", &several(group))?,
            Some(Form::AnyOf(group)) => map.serialize_entry("any_of", &several(group))?,
            Some(Form::Not(inner)) => map.serialize_entry("not", &Written(inner))?,
            Some(Form::IsNull(column)) => map.serialize_entry("is_null", column)?,
            Some(Form::Sample(sample)) => {
                let column = Some(&sample.column).filter(|column| !column.is_empty());
                map.serialize_entry("sample", &column)?;
                map.serialize_entry("rate", &sample.rate)?;
                map.serialize_entry("seed", &sample.seed)?;
            }
            None => {}
        }
        map.end()
    }
}

/// The operator as it is written; nothing for one that is not known.
pub(super) fn sign(operator: Operator) -> &'static str {
    let known = OPERATORS.iter().find(|(it, _)| *it == operator);
    known.map_or("", |(_, sign)| sign)
}

fn several(group: &v1::Predicates) -> Vec<Written<'_>> {
    group.predicates.iter().map(Written).collect()
}

const EXPECTED: &str = "a condition (`column` with `operator` and `value`, `all_of`, `any_of`, `not`, `is_null`, or `sample` with `rate`)";
const FORMS: [&str; 6] = ["column", "sample", "all_of", "any_of", "not", "is_null"];
const OPERATORS: [(Operator, &str); 6] = [
    (Operator::Equal, "=="),
    (Operator::NotEqual, "!="),
    (Operator::Less, "<"),
    (Operator::LessOrEqual, "<="),
    (Operator::Greater, ">"),
    (Operator::GreaterOrEqual, ">="),
];
