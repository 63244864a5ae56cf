//! [`OneHot`]: a category as a row of zeros and a one.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    vector::Vector,
};

/// `one_hot(vocabulary)`: 1 at the place of x in the vocabulary, 0 elsewhere. dense or int
/// `[rows] → vector [rows, len(vocabulary)]`.
///
/// - As a dense output it adds len(vocabulary) columns, named `output=value`; as a vectors output it is one tensor.
/// - By equality: of i64 for an int if the whole vocabulary is whole, else of f32, where 0 equals −0 and every value is
///   rounded first. Unknown values, null and NaN give a row of zeros. Empty in, empty out.
/// - Errors: no vocabulary, or more than 65,536 values; the same value twice; NaN, or too large for f32.
/// - Source: Caffe2 OneHot, ReAgent ENUM.
#[derive(Debug)]
pub struct OneHot {
    dense: Vec<f32>,
    ints: Option<Vec<i64>>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "one_hot",
    parameters: &["vocabulary"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    // Read as reals, then once more as whole numbers where they are: that is then the canonical form.
    let dense = reader.floats("vocabulary")?;
    let ints = reader.integers("vocabulary").ok();
    if dense.is_empty() || dense.len() > MOST {
        let message = format!("1 to {MOST} values are needed, {} given", dense.len());
        return Err(reader.bad("vocabulary", message));
    }
    if dense.iter().any(|value| value.is_nan()) {
        return Err(reader.bad("vocabulary", "NaN equals nothing"));
    }
    let doubled = match &ints {
        Some(ints) => first_doubled(ints, |a, b| a.cmp(b)),
        None => first_doubled(&dense, |a, b| (a + 0.0).total_cmp(&(b + 0.0))),
    };
    match doubled {
        Some(place) => Err(reader.bad("vocabulary", format!("value {place} is there twice"))),
        None => Ok(Arc::new(OneHot { dense, ints })),
    }
}

/// The place of a value that stands again further on.
fn first_doubled<T>(values: &[T], order: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| order(&values[a], &values[b]));
    let doubled = places
        .windows(2)
        .filter(|pair| order(&values[pair[0]], &values[pair[1]]).is_eq());
    doubled.map(|pair| pair[0]).min()
}

impl Op for OneHot {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        match self.ints {
            Some(_) => only_input(inputs, &[Kind::Dense, Kind::Int])?,
            None => only_input(inputs, &[Kind::Dense])?,
        };
        let width = u32::try_from(self.dense.len()).expect("a vocabulary is far smaller");
        Ok(Kind::Vector { width })
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        match (only_column(ENTRY.name, inputs)?, &self.ints) {
            (Column::Int(array), Some(vocabulary)) => {
                let rows = array.iter();
                Ok(rows_of(rows, vocabulary, |a, b| a == b))
            }
            (column, _) => {
                let rows = column.dense()?.iter();
                Ok(rows_of(rows, &self.dense, |a, b| a == b))
            }
        }
    }

    fn column_names(&self, name: &str, _width: usize) -> Vec<String> {
        match &self.ints {
            Some(values) => values.iter().map(|it| format!("{name}={it}")).collect(),
            None => (self.dense.iter().map(|it| format!("{name}={it}"))).collect(),
        }
    }
}

fn rows_of<T: Copy>(
    rows: impl ExactSizeIterator<Item = Option<T>>,
    vocabulary: &[T],
    equal: impl Fn(T, T) -> bool,
) -> Column {
    let width = vocabulary.len();
    let mut cells = vec![0f32; rows.len() * width];
    for (row, cells) in rows.zip(cells.chunks_exact_mut(width)) {
        let Some(value) = row else { continue };
        for (cell, &known) in cells.iter_mut().zip(vocabulary) {
            *cell = f32::from(u8::from(equal(value, known)));
        }
    }
    Column::Vector(Vector::new(width, cells.into()))
}

/// Bounds the width of a tensor; more categories than that want an embedding.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use crate::{Column, ops::testing::*, parameters::Value};

    fn cells(vocabulary: impl Into<Value>, column: &Column) -> Vec<f32> {
        let parameters = [("vocabulary", vocabulary.into())];
        match apply("one_hot", &parameters, column).unwrap() {
            Column::Vector(vector) => vector.values().to_vec(),
            other => panic!("{other:?} is no vector"),
        }
    }

    #[test]
    fn one_is_at_the_value() {
        let found = cells(vec![7, 3, 0], &int(&[Some(3), Some(8), None, Some(7)]));
        assert_eq!(found, [0., 1., 0., 0., 0., 0., 0., 0., 0., 1., 0., 0.]);
        let found = cells(
            vec![0.0, 0.5],
            &dense(&[Some(-0.0), Some(0.5), Some(f32::NAN)]),
        );
        assert_eq!(found, [1., 0., 0., 1., 0., 0.]);
        let neighbours = vec![(1 << 53) + 1, 1 << 53];
        assert_eq!(cells(neighbours, &int(&[Some(1 << 53)])), [0., 1.]);
    }

    #[test]
    fn columns_are_named_by_value() {
        let registry = crate::Registry::of_this_crate();
        let names = |vocabulary: Value| {
            let parameters = [("vocabulary".to_owned(), vocabulary)].into();
            let (op, _) = registry.construct("one_hot", &parameters).unwrap();
            op.column_names("os", 2)
        };
        assert_eq!(names(vec![7, -1].into()), ["os=7", "os=-1"]);
        assert_eq!(names(vec![1.0, 0.5].into()), ["os=1", "os=0.5"]);
    }

    #[test]
    fn bad_vocabularies_are_refused() {
        let refusal = |vocabulary: Value| refusal("one_hot", &[("vocabulary", vocabulary)]);
        let message = refusal(vec![5, 1, 2, 1].into());
        assert_eq!(
            message,
            "op one_hot, parameter `vocabulary`: value 1 is there twice"
        );
        for vocabulary in [
            vec![],
            vec![0.5, f64::NAN],
            vec![0.5, 0.0, -0.0],
            vec![0.5, 1e300],
        ] {
            assert!(refusal(vocabulary.into()).contains("`vocabulary`"));
        }
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            dense_rows(),
            int_rows(),
            prop::collection::btree_set(-8i64..8, 1..8),
            vec(any::<bool>(), 1),
        );
        check_rows("one_hot", cases, |(rows, ints, vocabulary, halves)| {
            let vocabulary: Vec<i64> = vocabulary.into_iter().collect();
            let found = cells(vocabulary.clone(), &int(&ints));
            let hot = |hot: bool| if hot { 1.0 } else { 0.0 };
            let expected: Vec<f32> = ints
                .iter()
                .flat_map(|row| {
                    vocabulary
                        .iter()
                        .map(move |value| hot(*row == Some(*value)))
                })
                .collect();
            assert_eq!(found, expected);
            let shift = if halves[0] { 0.5 } else { 0.0 };
            let vocabulary: Vec<f64> = vocabulary
                .iter()
                .map(|value| *value as f64 + shift)
                .collect();
            let found = cells(vocabulary.clone(), &sliced_dense(&rows));
            let expected: Vec<f32> = rows
                .iter()
                .flat_map(|row| {
                    vocabulary
                        .iter()
                        .map(move |value| hot(*row == Some(*value as f32)))
                })
                .collect();
            assert_eq!(found, expected);
        });
    }
}
