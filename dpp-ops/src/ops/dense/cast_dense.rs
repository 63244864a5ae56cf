//! [`CastDense`]: whole numbers as dense values.

use std::sync::Arc;

use arrow::datatypes::Float32Type;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `cast_dense()`: the nearest f32, ties to even. int `[rows]` → dense `[rows]`; dense passes unchanged.
///
/// - Inserted by itself where an op or an output asks for dense and is given an int.
/// - Exact up to 2^24; beyond, neighbours fall together (timestamps in seconds: 128 s).
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: ours; the rounding of IEEE 754.
#[derive(Debug)]
pub struct CastDense;

pub(crate) const ENTRY: Entry = Entry {
    name: "cast_dense",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(CastDense))
}

impl Op for CastDense {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Int, Kind::Dense]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        match only_column(ENTRY.name, inputs)? {
            Column::Dense(values) => Ok(Column::Dense(values.clone())),
            column => {
                let values = column.int()?;
                Ok(Column::Dense(values.unary::<_, Float32Type>(|x| x as f32)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn rounds_to_nearest_even() {
        let column = int(&[Some(16_777_217), Some(16_777_219), Some(i64::MIN), None]);
        let expected = dense(&[
            Some(16_777_216.0),
            Some(16_777_220.0),
            Some(-9.223_372e18),
            None,
        ]);
        assert_eq!(
            dense_bits(&apply("cast_dense", &[], &column).unwrap()),
            dense_bits(&expected)
        );
        let unchanged = apply("cast_dense", &[], &expected).unwrap();
        assert_eq!(dense_bits(&unchanged), dense_bits(&expected));
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("cast_dense", int_rows(), |rows| {
            let found = apply("cast_dense", &[], &int(&rows)).unwrap();
            let expected: Vec<_> = rows
                .iter()
                .map(|row| row.map(|x| (x as f32).to_bits()))
                .collect();
            assert_eq!(dense_bits(&found), expected);
        });
    }
}
