//! A value within a plan's JSON, read with errors that say where it stands: `plan.nodes[3].inputs[0]: …`.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::{
    Error,
    nearest::{did_you_mean, nearest},
    parameters::Value,
};

use super::form::special_real;

/// A JSON value and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) value: &'a Json,
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Root(&'a str),
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root(name) => formatter.write_str(name),
            Place::Key(parent, key) => write!(formatter, "{parent}.{key}"),
            Place::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

impl<'a> Field<'a> {
    /// The whole document, and what to call it.
    pub(crate) fn root(name: &'a str, value: &'a Json) -> Field<'a> {
        Field {
            value,
            place: Place::Root(name),
        }
    }

    pub(crate) fn error(&self, message: String) -> Error {
        Error::Form {
            place: self.place.to_string(),
            message,
        }
    }

    pub(crate) fn expected(&self, what: &str) -> Error {
        let found = match self.value {
            Json::Null => "null",
            Json::Bool(_) => "true or false",
            Json::Number(_) => "a number",
            Json::String(_) => "text",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        };
        self.error(format!("{what} is expected, {found} found"))
    }

    pub(crate) fn at_key(&'a self, key: &'a str, value: &'a Json) -> Field<'a> {
        let place = Place::Key(&self.place, key);
        Field { value, place }
    }

    pub(crate) fn object(&self, what: &str) -> Result<&'a Map<String, Json>, Error> {
        self.value.as_object().ok_or_else(|| self.expected(what))
    }

    pub(crate) fn only_keys(&self, keys: &Map<String, Json>, known: &[&str]) -> Result<(), Error> {
        match keys.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let near = did_you_mean(&nearest(key, known.iter().copied()));
                Err(self.error(format!("unknown field `{key}`{near}")))
            }
        }
    }

    pub(crate) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(Field<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let value = self.value.get(key).filter(|value| !value.is_null());
        value.map(|value| read(self.at_key(key, value))).transpose()
    }

    pub(crate) fn required<T>(
        &self,
        key: &str,
        read: impl FnOnce(Field<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.optional(key, read)?;
        value.ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    pub(crate) fn each<T>(
        &self,
        key: &str,
        read: impl Fn(Field<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let read_all = |field: Field<'_>| {
            let values = field.value.as_array();
            let values = values.ok_or_else(|| field.expected("a list"))?.iter();
            let fields = values.enumerate().map(|(index, value)| {
                let place = Place::Index(&field.place, index);
                read(Field { value, place })
            });
            fields.collect()
        };
        Ok(self.optional(key, read_all)?.unwrap_or_default())
    }

    pub(crate) fn text(&self) -> Result<String, Error> {
        let text = self.value.as_str().ok_or_else(|| self.expected("text"))?;
        Ok(text.to_owned())
    }

    pub(crate) fn count(&self) -> Result<u32, Error> {
        let number = self.value.as_u64().and_then(|it| u32::try_from(it).ok());
        number.ok_or_else(|| self.expected("a whole number from 0 to 2^32 - 1"))
    }

    pub(crate) fn flag(&self) -> Result<bool, Error> {
        let flag = self.value.as_bool();
        flag.ok_or_else(|| self.expected("true or false"))
    }

    pub(crate) fn real(&self) -> Result<f64, Error> {
        let special = self.value.as_str().and_then(special_real);
        let number = special.or_else(|| self.value.as_f64());
        number.ok_or_else(|| self.expected("a number"))
    }

    pub(crate) fn value_or_by_feature(&self) -> Result<Value, Error> {
        let Json::Object(entries) = self.value else {
            return self.plain_value();
        };
        let values = entries.iter().map(|(feature, value)| {
            let value = self.at_key(feature, value).plain_value()?;
            Ok((feature.clone(), value))
        });
        Ok(Value::ByFeature(values.collect::<Result<_, Error>>()?))
    }

    fn plain_value(&self) -> Result<Value, Error> {
        match self.value {
            Json::Bool(flag) => Ok(Value::Flag(*flag)),
            Json::Number(number) if number.is_f64() => Ok(Value::Real(self.real()?)),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Ok(Value::Integer(number)),
                None => Err(self.error(format!("{number} is beyond 2^63 - 1"))),
            },
            Json::String(text) => Ok(match special_real(text) {
                Some(number) => Value::Real(number),
                None => Value::Text(text.clone()),
            }),
            Json::Array(values) => self.list(values),
            Json::Object(_) | Json::Null => Err(self.expected("a value")),
        }
    }

    fn list(&self, values: &[Json]) -> Result<Value, Error> {
        let integers: Option<Vec<i64>> = values.iter().map(Json::as_i64).collect();
        if let Some(integers) = integers {
            return Ok(Value::Integers(integers));
        }
        let reals = values.iter().enumerate().map(|(index, value)| {
            let place = Place::Index(&self.place, index);
            Field { value, place }.real()
        });
        Ok(Value::Reals(reals.collect::<Result<_, _>>()?))
    }
}
