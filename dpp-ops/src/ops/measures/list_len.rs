//! [`ListLen`]: how many ids a row has.

use std::sync::Arc;

use arrow::array::Float32Array;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `list_len()`: the number of ids of every row. id_list → dense `[rows]`. An int becomes an id_list first.
///
/// - An empty row gives 0. Exact up to 2^24. No parameters, no errors.
/// - Source: TorchArrow `list.length`.
#[derive(Debug)]
pub struct ListLen;

pub(crate) const ENTRY: Entry = Entry {
    name: "list_len",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(ListLen))
}

impl Op for ListLen {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let lengths = lists.offsets().lengths().map(|length| length as f32);
        Ok(Column::Dense(Float32Array::from_iter_values(lengths)))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn ids_are_counted() {
        let column = scored_lists(&[
            vec![(7, 0.5), (7, 2.0), (1, -1.0)],
            vec![],
            vec![(1, f32::NAN), (2, 1.0)],
        ]);
        let found = apply("list_len", &[], &column).unwrap();
        assert_eq!(
            dense_bits(&found),
            dense_bits(&dense(&[Some(3.0), Some(0.0), Some(2.0)]))
        );
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("list_len", any_scored_lists(), |rows| {
            let found = apply("list_len", &[], &scored_lists(&rows)).unwrap();
            let naive = |row: &[(i64, f32)]| -> Option<f32> { Some(row.len() as f32) };
            let expected: Vec<_> = rows
                .iter()
                .map(|row| naive(row).map(f32::to_bits))
                .collect();
            assert_eq!(dense_bits(&found), expected);
        });
    }
}
