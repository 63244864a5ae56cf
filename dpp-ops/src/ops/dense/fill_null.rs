//! [`FillNull`]: a value in place of nulls.

use std::sync::Arc;

use arrow::array::{Array, Float32Array, Int64Array};

use crate::{
    Column, Error, Kind,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    validity::filled,
};

/// `fill_null(value)`: x if x is there, else value. dense `[rows] → [rows]`, int `[rows] → [rows]`.
///
/// - An int stays an int when `value` is whole; a fraction makes it dense first (`cast_dense`).
/// - Nulls: none are left. NaN is a value and stays. Empty in, empty out.
/// - Errors: `value` is no number, or too large for f32.
/// - Source: NVTabular FillMissing; TorchArrow `fill_null`.
#[derive(Debug)]
pub struct FillNull {
    dense: f32,
    int: Option<i64>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "fill_null",
    parameters: &["value"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let (dense, int) = reader.number("value")?;
    Ok(Arc::new(FillNull { dense, int }))
}

impl Op for FillNull {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        match self.int {
            Some(_) => only_input(inputs, &[Kind::Dense, Kind::Int]),
            None => only_input(inputs, &[Kind::Dense]),
        }
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        match (only_column(ENTRY.name, inputs)?, self.int) {
            (Column::Dense(array), _) => Ok(Column::Dense(match array.null_count() {
                0 => Float32Array::new(array.values().clone(), None),
                _ => filled(array.values(), array.nulls(), self.dense).into(),
            })),
            (Column::Int(array), Some(value)) => Ok(Column::Int(match array.null_count() {
                0 => Int64Array::new(array.values().clone(), None),
                _ => filled(array.values(), array.nulls(), value).into(),
            })),
            (other, _) => Err(other.is_not(Kind::Dense)),
        }
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        let FillNull { dense, int } = *self;
        Some(InPlace::Nulls { dense, int })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ops::testing::*, parameters::Value};

    #[test]
    fn nulls_are_filled_and_nan_stays() {
        let column = dense(&[Some(1.5), None, Some(f32::NAN)]);
        let filled = apply("fill_null", &[("value", Value::Real(0.25))], &column).unwrap();
        assert_eq!(
            dense_bits(&filled),
            dense_bits(&dense(&[Some(1.5), Some(0.25), Some(f32::NAN)]))
        );
    }

    #[test]
    fn ints_stay_ints_for_whole_values() {
        let column = int(&[Some(i64::MAX), None]);
        let filled = apply("fill_null", &[("value", Value::Integer(-7))], &column).unwrap();
        let rows: Vec<_> = filled.int().unwrap().iter().collect();
        assert_eq!(rows, [Some(i64::MAX), Some(-7)]);
        let half = FillNull {
            dense: 0.5,
            int: None,
        };
        let mismatch = half.output_kind(&[Kind::Int]).unwrap_err();
        assert_eq!(
            mismatch,
            Mismatch::Kind {
                input: 0,
                wanted: &[Kind::Dense]
            }
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), int_rows(), -100i64..100);
        check_rows("fill_null", cases, |(rows, ints, value)| {
            let parameters = [("value", Value::Integer(value))];
            let found = apply("fill_null", &parameters, &sliced_dense(&rows)).unwrap();
            let expected: Vec<_> = rows
                .iter()
                .map(|row| Some(row.unwrap_or(value as f32).to_bits()))
                .collect();
            assert_eq!(dense_bits(&found), expected);
            let found = apply("fill_null", &parameters, &int(&ints)).unwrap();
            let expected: Vec<_> = ints.iter().map(|row| Some(row.unwrap_or(value))).collect();
            assert_eq!(found.int().unwrap().iter().collect::<Vec<_>>(), expected);
        });
    }
}
