//! Typed parameters of ops: as a plan carries them, and as an op reads them.
//!
//! What an op has read, defaults included, is the canonical form: bound plans carry that, so that `0` and `0.0`
//! are the same expression.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Error, fit::Fitted, nearest::nearest};

/// Values by parameter name.
pub type Parameters = BTreeMap<String, Value>;

/// A parameter's value. NaN is one value, whatever its bits; an empty list is `Integers`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A real number; infinities and NaN are allowed where the op allows them.
    Real(f64),
    /// Yes or no.
    Flag(bool),
    /// Text; never one of `NaN`, `Infinity`, `-Infinity`, which stand for those reals.
    Text(String),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Real numbers.
    Reals(Vec<f64>),
    /// One value for each feature that the pattern under the op matches.
    ByFeature(BTreeMap<String, Value>),
}

impl Value {
    fn name(&self) -> &'static str {
        match self {
            Value::Integer(_) => "a whole number",
            Value::Real(_) => "a real number",
            Value::Flag(_) => "true or false",
            Value::Text(_) => "text",
            Value::Integers(_) | Value::Reals(_) => "a list of numbers",
            Value::ByFeature(_) => "values by feature",
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<Vec<i64>> for Value {
    fn from(numbers: Vec<i64>) -> Value {
        Value::Integers(numbers)
    }
}

impl From<Vec<f64>> for Value {
    fn from(numbers: Vec<f64>) -> Value {
        match numbers.is_empty() {
            true => Value::Integers(Vec::new()),
            false => Value::Reals(numbers),
        }
    }
}

/// Reads an op's parameters, with errors that name op and parameter.
#[derive(Debug)]
pub struct Reader<'a> {
    op: &'a str,
    given: &'a Parameters,
    read: Parameters,
    fitted: Option<&'a BTreeMap<String, Arc<Fitted>>>,
}

impl<'a> Reader<'a> {
    /// A reader of what was given to `op`. Fails on a name that is not among `known`, with the nearest that are.
    pub fn new(op: &'a str, given: &'a Parameters, known: &[&str]) -> Result<Reader<'a>, Error> {
        if let Some(unknown) = given.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::UnknownParameter {
                op: op.to_owned(),
                parameter: unknown.clone(),
                nearest: nearest(unknown, known.iter().copied()),
            });
        }
        Ok(Reader {
            op,
            given,
            read: Parameters::new(),
            fitted: None,
        })
    }

    pub(crate) fn knowing(mut self, fitted: &'a BTreeMap<String, Arc<Fitted>>) -> Reader<'a> {
        self.fitted = Some(fitted);
        self
    }

    /// The artefact of that digest, if it is loaded.
    pub fn fitted(&self, digest: &str) -> Option<Arc<Fitted>> {
        self.fitted?.get(&digest.to_ascii_lowercase()).cloned()
    }

    /// The parameters read so far, in canonical form.
    pub fn into_canonical(self) -> Parameters {
        self.read
    }

    /// A whole number; reals without fraction count.
    pub fn integer(&mut self, name: &str) -> Result<i64, Error> {
        let value = self.required(name)?;
        let number = integral(value).ok_or_else(|| self.is_not(name, "a whole number", value))?;
        self.read.insert(name.to_owned(), Value::Integer(number));
        Ok(number)
    }

    /// As [`integer`](Reader::integer), `default` when not given.
    pub fn integer_or(&mut self, name: &str, default: i64) -> Result<i64, Error> {
        match self.has(name) {
            true => self.integer(name),
            false => {
                self.read.insert(name.to_owned(), Value::Integer(default));
                Ok(default)
            }
        }
    }

    /// As [`integer`](Reader::integer), `None` when not given.
    pub fn optional_integer(&mut self, name: &str) -> Result<Option<i64>, Error> {
        match self.has(name) {
            true => self.integer(name).map(Some),
            false => Ok(None),
        }
    }

    /// A list of whole numbers; reals without fraction count.
    pub fn integers(&mut self, name: &str) -> Result<Vec<i64>, Error> {
        let numbers = match self.required(name)? {
            Value::Integers(numbers) => Some(numbers.clone()),
            Value::Reals(numbers) => numbers
                .iter()
                .map(|&it| integral(&Value::Real(it)))
                .collect(),
            other => return Err(self.is_not(name, "a list of whole numbers", other)),
        };
        let numbers = numbers.ok_or_else(|| self.bad(name, "every number must be whole"))?;
        let canonical = Value::Integers(numbers.clone());
        self.read.insert(name.to_owned(), canonical);
        Ok(numbers)
    }

    /// Text that must be given.
    pub fn text(&mut self, name: &str) -> Result<String, Error> {
        self.required(name)?;
        Ok(self.optional_text(name)?.unwrap_or_default())
    }

    /// Text.
    pub fn optional_text(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.given.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => {
                self.read.insert(name.to_owned(), Value::Text(text.clone()));
                Ok(Some(text.clone()))
            }
            Some(other) => Err(self.is_not(name, "text", other)),
        }
    }

    /// Whether the parameter is given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Yes or no, `default` when not given.
    pub fn flag_or(&mut self, name: &str, default: bool) -> Result<bool, Error> {
        let flag = match self.given.get(name) {
            None => default,
            Some(Value::Flag(flag)) => *flag,
            Some(other) => return Err(self.is_not(name, "true or false", other)),
        };
        self.read.insert(name.to_owned(), Value::Flag(flag));
        Ok(flag)
    }

    /// A real number as f32. May be infinite or NaN if given so; fails when too large for f32.
    pub fn float(&mut self, name: &str) -> Result<f32, Error> {
        let value = self.required(name)?;
        let number = real(value).ok_or_else(|| self.is_not(name, "a number", value))?;
        self.read.insert(name.to_owned(), Value::Real(number));
        self.as_f32(name, number)
    }

    /// A real number as f32 that is neither infinite nor NaN.
    pub fn finite_float(&mut self, name: &str) -> Result<f32, Error> {
        let number = self.float(name)?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(self.bad(name, format!("{number} is not finite")))
        }
    }

    /// As [`finite_float`](Reader::finite_float), `default` when not given.
    pub fn finite_float_or(&mut self, name: &str, default: f64) -> Result<f32, Error> {
        match self.has(name) {
            true => self.finite_float(name),
            false => {
                self.read.insert(name.to_owned(), Value::Real(default));
                self.as_f32(name, default)
            }
        }
    }

    /// As [`float`](Reader::float), `None` when not given.
    pub fn optional_float(&mut self, name: &str) -> Result<Option<f32>, Error> {
        match self.has(name) {
            true => self.float(name).map(Some),
            false => Ok(None),
        }
    }

    /// A list of real numbers as f32.
    pub fn floats(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let numbers = match self.required(name)? {
            Value::Integers(numbers) => numbers.iter().map(|&number| number as f64).collect(),
            Value::Reals(numbers) => numbers.clone(),
            other => return Err(self.is_not(name, "a list of numbers", other)),
        };
        let floats = numbers.iter().map(|&number| self.as_f32(name, number));
        let floats = floats.collect();
        let canonical = match numbers.is_empty() {
            true => Value::Integers(Vec::new()),
            false => Value::Reals(numbers),
        };
        self.read.insert(name.to_owned(), canonical);
        floats
    }

    /// A number that serves dense and int alike: as f32, and as i64 where it is whole.
    pub fn number(&mut self, name: &str) -> Result<(f32, Option<i64>), Error> {
        let value = self.required(name)?;
        let number = real(value).ok_or_else(|| self.is_not(name, "a number", value))?;
        let whole = integral(value);
        let canonical = whole.map_or(Value::Real(number), Value::Integer);
        self.read.insert(name.to_owned(), canonical);
        Ok((self.as_f32(name, number)?, whole))
    }

    /// An error about the value of the parameter `name`.
    pub fn bad(&self, name: &str, message: impl Into<String>) -> Error {
        Error::BadParameter {
            op: self.op.to_owned(),
            parameter: name.to_owned(),
            message: message.into(),
        }
    }

    fn required(&self, name: &str) -> Result<&'a Value, Error> {
        self.given.get(name).ok_or_else(|| Error::MissingParameter {
            op: self.op.to_owned(),
            parameter: name.to_owned(),
        })
    }

    fn is_not(&self, name: &str, wanted: &str, found: &Value) -> Error {
        self.bad(
            name,
            format!("{wanted} is needed, {} is given", found.name()),
        )
    }

    fn as_f32(&self, name: &str, number: f64) -> Result<f32, Error> {
        let rounded = number as f32;
        if number.is_finite() && rounded.is_infinite() {
            return Err(self.bad(name, format!("{number} is too large for f32")));
        }
        Ok(rounded)
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    }
}

/// The value as a whole number, if that loses nothing; −0.0 is kept apart from 0.
fn integral(value: &Value) -> Option<i64> {
    const EXACT: f64 = (1u64 << 53) as f64;
    match value {
        Value::Integer(number) => Some(*number),
        Value::Real(number) if number.abs() <= EXACT && number.to_bits() != (-0.0f64).to_bits() => {
            (number.trunc() == *number).then_some(*number as i64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[(&str, Value)]) -> Parameters {
        let named = values
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()));
        named.collect()
    }

    #[test]
    fn errors_name_op_and_parameter() {
        let values = given(&[("max_valu", Value::Integer(1))]);
        let error = Reader::new("sigrid_hash", &values, &["max_value", "salt"]).unwrap_err();
        let message = error.to_string();
        assert_eq!(
            message,
            "op sigrid_hash has no parameter `max_valu`; did you mean max_value?"
        );
        let none = Parameters::new();
        let mut reader = Reader::new("first_x", &none, &["n"]).unwrap();
        let message = reader.integer("n").unwrap_err().to_string();
        assert_eq!(message, "op first_x needs the parameter `n`");
        let values = given(&[("n", Value::Text("two".into()))]);
        let mut reader = Reader::new("first_x", &values, &["n"]).unwrap();
        let message = reader.integer("n").unwrap_err().to_string();
        assert_eq!(
            message,
            "op first_x, parameter `n`: a whole number is needed, text is given"
        );
    }

    #[test]
    fn whole_reals_are_integers() {
        assert_eq!(integral(&Value::Real(1e6)), Some(1_000_000));
        for fraction in [0.5, f64::NAN, f64::INFINITY, 1e300, -0.0] {
            assert_eq!(integral(&Value::Real(fraction)), None);
        }
    }

    #[test]
    fn what_does_not_fit_f32_is_refused() {
        let values = given(&[("value", Value::Real(1e39))]);
        let mut reader = Reader::new("fill_null", &values, &["value"]).unwrap();
        assert!(matches!(
            reader.float("value"),
            Err(Error::BadParameter { .. })
        ));
    }

    #[test]
    fn canonical_form_is_typed_and_has_the_defaults() {
        let values = given(&[("min", Value::Integer(0))]);
        let mut reader = Reader::new("op", &values, &["min", "right"]).unwrap();
        reader.float("min").unwrap();
        reader.flag_or("right", true).unwrap();
        let canonical = given(&[("min", Value::Real(0.0)), ("right", Value::Flag(true))]);
        assert_eq!(reader.into_canonical(), canonical);
    }
}
