//! [`IsPresent`]: which rows have a value at all.

use std::sync::Arc;

use arrow::array::Array;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    validity::filled,
    vector::Vector,
};

/// `is_present()`: 1 where there is a value, 0 where it is null. dense, int, bytes or text `[rows] → vector [rows, 1]`.
///
/// - As a dense output it adds the column `output=present`, beside that of the feature itself, of which nulls become the plan's
///   `missing`; as a vectors output it is a mask `[rows, 1]`.
/// - NaN, zero and empty text are values. Whether a list is empty says `list_len`. Empty in, empty out. No parameters, no errors.
/// - Source: ours; ReAgent's presence.
#[derive(Debug)]
pub struct IsPresent;

pub(crate) const ENTRY: Entry = Entry {
    name: "is_present",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(IsPresent))
}

impl Op for IsPresent {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        const WANTED: &[Kind] = &[Kind::Dense, Kind::Int, Kind::Bytes, Kind::Text];
        only_input(inputs, WANTED).map(|_| Kind::Vector { width: 1 })
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let column = only_column(ENTRY.name, inputs)?;
        let nulls = match column {
            Column::Dense(array) => array.nulls(),
            Column::Int(array) => array.nulls(),
            Column::Bytes(array) => array.nulls(),
            Column::Text(array) => array.nulls(),
            other => return Err(other.is_not(Kind::Dense)),
        };
        let cells = filled(&vec![1f32; column.rows()], nulls, 0.0);
        Ok(Column::Vector(Vector::new(1, cells.into())))
    }

    fn column_names(&self, name: &str, _width: usize) -> Vec<String> {
        vec![format!("{name}=present")]
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{LargeBinaryArray, LargeStringArray};

    use crate::{Column, ops::testing::*};

    fn mask(column: &Column) -> Vec<f32> {
        let Column::Vector(mask) = apply("is_present", &[], column).unwrap() else {
            panic!("a vector is promised")
        };
        assert_eq!(mask.width(), 1);
        mask.values().to_vec()
    }

    #[test]
    fn only_null_is_no_value() {
        let numbers = dense(&[Some(0.0), None, Some(f32::NAN)]);
        assert_eq!(mask(&numbers), [1.0, 0.0, 1.0]);
        let texts = LargeStringArray::from(vec![Some(""), None]);
        assert_eq!(mask(&Column::Text(texts)), [1.0, 0.0]);
        let bytes = LargeBinaryArray::from(vec![None, Some(b"x".as_slice())]);
        assert_eq!(mask(&Column::Bytes(bytes)), [0.0, 1.0]);
        assert!(mask(&int(&[])).is_empty());
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("is_present", (dense_rows(), int_rows()), |(rows, ints)| {
            let naive = |is_some: bool| if is_some { 1.0 } else { 0.0 };
            let expected: Vec<f32> = rows.iter().map(|row| naive(row.is_some())).collect();
            assert_eq!(mask(&sliced_dense(&rows)), expected);
            let expected: Vec<f32> = ints.iter().map(|row| naive(row.is_some())).collect();
            assert_eq!(mask(&int(&ints)), expected);
        });
    }
}
