//! A condition made ready for columns: which rows of a batch it keeps.
//!
//! A dense value is compared as f32, with the number rounded to f32 as torch and numpy do; NaN is less, equal and greater
//! than nothing, so only `!=` holds for it. An int is compared exactly, with a real number too. Texts compare byte by
//! byte. `==` asks of a list of ids whether it holds that id, `!=` whether it does not; ids have no order. Any kind may be
//! asked whether it is null.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array, RecordBatch, cast::AsArray},
    buffer::BooleanBuffer,
    datatypes::{Float32Type, Int64Type},
};
use dpp_proto::v1::{
    self,
    comparison::{Operator, Value},
    predicate::Predicate as Form,
};

use super::{check_size, incomplete, sample::Sample, truth::Truth};
use crate::{Error, Kind};

/// Which rows to keep, decided by some features' columns.
#[derive(Debug)]
pub struct RowFilter {
    features: Arc<[v1::Feature]>,
    pub(super) test: Test,
}

/// Positions are those of the feature's column.
#[derive(Debug)]
pub(super) enum Test {
    Dense(usize, Operator, f32),
    /// Within these bounds, both included.
    Int(usize, i64, i64),
    Ints(usize, HashSet<i64>),
    Text(usize, Operator, String),
    Texts(usize, HashSet<String>),
    /// A list holds one of these ids.
    Holds(usize, HashSet<i64>),
    IsNull(usize),
    Sample(Sample),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

impl RowFilter {
    /// Compiles `condition` over `features`, which have their kinds. Fails when it names another feature, compares one
    /// with what its kind can't be compared with, or says nothing.
    pub fn compile(
        condition: &v1::Predicate,
        features: &[v1::Feature],
    ) -> Result<RowFilter, Error> {
        check_size(condition)?;
        let mut compiler = Compiler {
            features,
            used: Vec::new(),
            asks_rows: false,
        };
        let test = compiler.compile(condition)?;
        if compiler.used.is_empty() && !compiler.asks_rows {
            return Err(Error::Form {
                place: "condition".into(),
                message: "it names no feature; an empty is_in keeps no row at all".into(),
            });
        }
        let features = compiler.used.into_iter().map(|it| features[it].clone());
        Ok(RowFilter {
            features: features.collect(),
            test,
        })
    }

    /// The features to read, with their kinds: the columns [`keep`](RowFilter::keep) expects, in this order.
    pub fn features(&self) -> &Arc<[v1::Feature]> {
        &self.features
    }

    /// Which rows of `batch` are kept, a bit a row; `row_ids` are their positions in the snapshot. Fails when a column is missing or
    /// not of its kind's Arrow type, and where row ids are not as many as rows.
    pub fn keep(&self, batch: &RecordBatch, row_ids: &[i64]) -> Result<BooleanBuffer, Error> {
        if row_ids.len() != batch.num_rows() {
            return Err(Error::WrongRows {
                rows: batch.num_rows(),
                row_ids: row_ids.len(),
            });
        }
        Ok(self.decide(&self.test, (batch, row_ids))?.yes)
    }

    fn decide(&self, test: &Test, given: (&RecordBatch, &[i64])) -> Result<Truth, Error> {
        let (batch, row_ids) = given;
        let rows = batch.num_rows();
        match test {
            Test::Dense(position, operator, value) => {
                let column = self.column(batch, *position)?;
                let array = column.as_primitive_opt::<Float32Type>();
                let array = array.ok_or_else(|| self.wrong(*position, column))?;
                let holds = compare(array.values(), *operator, *value);
                Ok(Truth::of(holds, array.nulls()))
            }
            Test::Int(position, least, most) => {
                self.ints(batch, *position, |value| *least <= value && value <= *most)
            }
            Test::Ints(position, set) => self.ints(batch, *position, |value| set.contains(&value)),
            Test::Text(position, operator, value) => {
                self.texts(batch, *position, |text| match operator {
                    Operator::Less => text < value.as_str(),
                    Operator::LessOrEqual => text <= value.as_str(),
                    Operator::Greater => text > value.as_str(),
                    Operator::GreaterOrEqual => text >= value.as_str(),
                    _ => text == value,
                })
            }
            Test::Texts(position, set) => self.texts(batch, *position, |text| set.contains(text)),
            Test::Holds(position, ids) => self.lists(batch, *position, ids),
            Test::IsNull(position) => {
                let column = self.column(batch, *position)?;
                let is_null = match column.logical_nulls() {
                    Some(nulls) => !nulls.inner(),
                    None => BooleanBuffer::new_unset(rows),
                };
                Ok(Truth::of(is_null, None))
            }
            Test::All(tests) => tests
                .iter()
                .try_fold(Truth::constant(true, rows), |all, test| {
                    Ok(all.and(self.decide(test, given)?))
                }),
            Test::Any(tests) => tests
                .iter()
                .try_fold(Truth::constant(false, rows), |any, test| {
                    Ok(any.or(self.decide(test, given)?))
                }),
            Test::Not(test) => Ok(self.decide(test, given)?.not()),
            Test::Sample(sample) => match sample.position() {
                None => Ok(sample.rows(row_ids)),
                Some(position) => {
                    let column = self.column(batch, position)?;
                    let truth = sample.keys(column);
                    truth.ok_or_else(|| self.wrong(position, column))
                }
            },
        }
    }

    fn ints(
        &self,
        batch: &RecordBatch,
        position: usize,
        holds: impl Fn(i64) -> bool,
    ) -> Result<Truth, Error> {
        let column = self.column(batch, position)?;
        let array = column.as_primitive_opt::<Int64Type>();
        let array = array.ok_or_else(|| self.wrong(position, column))?;
        let values = array.values();
        let holds = BooleanBuffer::collect_bool(values.len(), |row| holds(values[row]));
        Ok(Truth::of(holds, array.nulls()))
    }

    fn texts(
        &self,
        batch: &RecordBatch,
        position: usize,
        holds: impl Fn(&str) -> bool,
    ) -> Result<Truth, Error> {
        let column = self.column(batch, position)?;
        let array = column.as_string_opt::<i64>();
        let array = array.ok_or_else(|| self.wrong(position, column))?;
        let holds = BooleanBuffer::collect_bool(array.len(), |row| holds(array.value(row)));
        Ok(Truth::of(holds, array.nulls()))
    }

    fn lists(
        &self,
        batch: &RecordBatch,
        position: usize,
        ids: &HashSet<i64>,
    ) -> Result<Truth, Error> {
        let column = self.column(batch, position)?;
        let wrong = || self.wrong(position, column);
        let lists = column.as_list_opt::<i32>().ok_or_else(wrong)?;
        let entries = match lists.values().as_struct_opt() {
            Some(pairs) => pairs.column_by_name("id").ok_or_else(wrong)?,
            None => lists.values(),
        };
        let entries = entries.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let (values, offsets) = (entries.values(), lists.value_offsets());
        let holds = BooleanBuffer::collect_bool(lists.len(), |row| {
            let list = &values[offsets[row] as usize..offsets[row + 1] as usize];
            list.iter().any(|id| ids.contains(id))
        });
        Ok(Truth::of(holds, lists.nulls()))
    }

    fn column<'a>(&self, batch: &'a RecordBatch, position: usize) -> Result<&'a dyn Array, Error> {
        match batch.columns().get(position) {
            Some(column) => Ok(column.as_ref()),
            None => Err(Error::WrongColumn {
                position,
                wanted: format!("`{}`", self.features[position].name),
                found: "missing".into(),
            }),
        }
    }

    fn wrong(&self, position: usize, column: &dyn Array) -> Error {
        Error::WrongColumn {
            position,
            wanted: format!("`{}`", self.features[position].name),
            found: column.data_type().to_string(),
        }
    }
}

/// `!=` is compiled to not `==`.
fn compare(values: &[f32], operator: Operator, wanted: f32) -> BooleanBuffer {
    let of = |holds: fn(&f32, &f32) -> bool| {
        BooleanBuffer::collect_bool(values.len(), |row| holds(&values[row], &wanted))
    };
    match operator {
        Operator::Less => of(f32::lt),
        Operator::LessOrEqual => of(f32::le),
        Operator::Greater => of(f32::gt),
        Operator::GreaterOrEqual => of(f32::ge),
        _ => of(f32::eq),
    }
}

struct Compiler<'a> {
    features: &'a [v1::Feature],
    /// Places in `features`, in the order of first use.
    used: Vec<usize>,
    /// Whether a row's position decides.
    asks_rows: bool,
}

impl Compiler<'_> {
    fn compile(&mut self, condition: &v1::Predicate) -> Result<Test, Error> {
        match condition.predicate.as_ref().ok_or_else(incomplete)? {
            Form::Comparison(comparison) => self.comparison(comparison),
            Form::IsNull(column) => Ok(Test::IsNull(self.position(column)?.0)),
            Form::Sample(sample) => self.sample(sample),
            Form::Not(inner) => Ok(not(self.compile(inner)?)),
            Form::AllOf(group) => Ok(Test::All(self.each(group)?)),
            Form::AnyOf(group) => Ok(joined(self.each(group)?)),
        }
    }

    fn each(&mut self, group: &v1::Predicates) -> Result<Vec<Test>, Error> {
        let predicates = group.predicates.iter();
        predicates
            .map(|predicate| self.compile(predicate))
            .collect()
    }

    fn comparison(&mut self, comparison: &v1::Comparison) -> Result<Test, Error> {
        let (position, kind) = self.position(&comparison.column)?;
        let value = comparison.value.as_ref().ok_or_else(incomplete)?;
        let operator = match comparison.operator() {
            Operator::Unspecified => return Err(incomplete()),
            Operator::NotEqual => Operator::Equal,
            other => other,
        };
        let test = match (kind, value) {
            (Kind::Dense, Value::Integer(value)) => Test::Dense(position, operator, *value as f32),
            (Kind::Dense, Value::Real(value)) => Test::Dense(position, operator, *value as f32),
            (Kind::Int, Value::Integer(value)) => ints(position, operator, i128::from(*value), 0),
            (Kind::Int, Value::Real(value)) => int_and_real(position, operator, *value),
            (Kind::IdList | Kind::IdScoreList, Value::Integer(id))
                if operator == Operator::Equal =>
            {
                Test::Holds(position, HashSet::from([*id]))
            }
            (Kind::Text, Value::Text(value)) => Test::Text(position, operator, value.clone()),
            (kind, value) => return Err(not_comparable(&comparison.column, kind, value)),
        };
        match comparison.operator() {
            Operator::NotEqual => Ok(not(test)),
            _ => Ok(test),
        }
    }

    fn sample(&mut self, sample: &v1::Sample) -> Result<Test, Error> {
        let key = match sample.column.as_str() {
            "" => None,
            column => Some(self.position(column)?),
        };
        self.asks_rows |= key.is_none();
        Ok(Test::Sample(Sample::of(sample, key)?))
    }

    fn position(&mut self, name: &str) -> Result<(usize, Kind), Error> {
        let unknown = || Error::UnknownFeature {
            feature: name.to_owned(),
            nearest: Vec::new(),
        };
        let found = self.features.iter().position(|it| it.name == name);
        let place = found.ok_or_else(unknown)?;
        let kind = Kind::of(&self.features[place])?.ok_or_else(unknown)?;
        let used = self.used.iter().position(|&it| it == place);
        let position = used.unwrap_or_else(|| {
            self.used.push(place);
            self.used.len() - 1
        });
        Ok((position, kind))
    }
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

/// Any of many equalities on one feature is a look-up in a set.
fn joined(tests: Vec<Test>) -> Test {
    let ints: Option<(Vec<usize>, HashSet<i64>)> = tests.iter().map(equal_int).collect();
    if let Some((positions, set)) = ints
        && let Some(position) = only(&positions)
    {
        return Test::Ints(position, set);
    }
    let texts: Option<(Vec<usize>, HashSet<String>)> = tests.iter().map(equal_text).collect();
    if let Some((positions, set)) = texts
        && let Some(position) = only(&positions)
    {
        return Test::Texts(position, set);
    }
    let lists: Option<(Vec<usize>, Vec<&HashSet<i64>>)> = tests.iter().map(held).collect();
    if let Some((positions, sets)) = lists
        && let Some(position) = only(&positions)
    {
        return Test::Holds(position, sets.into_iter().flatten().copied().collect());
    }
    Test::Any(tests)
}

fn held(test: &Test) -> Option<(usize, &HashSet<i64>)> {
    match test {
        Test::Holds(position, ids) => Some((*position, ids)),
        _ => None,
    }
}

fn equal_int(test: &Test) -> Option<(usize, i64)> {
    match test {
        Test::Int(position, least, most) if least == most => Some((*position, *least)),
        _ => None,
    }
}

fn equal_text(test: &Test) -> Option<(usize, String)> {
    match test {
        Test::Text(position, Operator::Equal, text) => Some((*position, text.clone())),
        _ => None,
    }
}

fn only(positions: &[usize]) -> Option<usize> {
    let (&first, others) = positions.split_first()?;
    others.iter().all(|&it| it == first).then_some(first)
}

/// An int compared with `floor + fraction ÷ 2`, `fraction` being 0 or 1: a real number lies on an integer or between two.
fn ints(position: usize, operator: Operator, floor: i128, fraction: i128) -> Test {
    let (least, most) = match operator {
        Operator::Less => (i128::MIN, floor - 1 + fraction),
        Operator::LessOrEqual => (i128::MIN, floor),
        Operator::Greater => (floor + 1, i128::MAX),
        Operator::GreaterOrEqual => (floor + fraction, i128::MAX),
        _ => (floor + fraction, floor),
    };
    let bounds = i128::from(i64::MIN)..=i128::from(i64::MAX);
    if least > most || least > *bounds.end() || most < *bounds.start() {
        return never(position);
    }
    let clamped = |bound: i128| {
        i64::try_from(bound.clamp(*bounds.start(), *bounds.end())).expect("clamped to i64")
    };
    Test::Int(position, clamped(least), clamped(most))
}

fn int_and_real(position: usize, operator: Operator, value: f64) -> Test {
    if value.is_nan() {
        return never(position);
    }
    // Beyond ±2^70 every i64 compares alike.
    let bounded = value.clamp(-BEYOND, BEYOND);
    let floor = bounded.floor();
    ints(
        position,
        operator,
        floor as i128,
        i128::from(bounded > floor),
    )
}

fn not_comparable(feature: &str, kind: Kind, value: &Value) -> Error {
    let given = match value {
        Value::Text(_) => "text",
        Value::Integer(_) | Value::Real(_) => "a number",
    };
    let advice = match kind {
        Kind::Dense | Kind::Int => "compare it with a number",
        Kind::Text => "compare it with text",
        Kind::IdList | Kind::IdScoreList => {
            "== and != with a whole number ask whether it holds that id, and it can be asked whether it is null"
        }
        _ => "a feature of this kind can only be asked whether it is null",
    };
    Error::Form {
        place: format!("feature `{feature}`"),
        message: format!("{kind} does not compare with {given}; {advice}"),
    }
}

/// False wherever there is a value.
fn never(position: usize) -> Test {
    Test::Int(position, i64::MAX, i64::MIN)
}

const BEYOND: f64 = (1u128 << 70) as f64;
