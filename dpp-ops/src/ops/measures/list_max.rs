//! [`ListMax`]: the highest score of a row.

use std::sync::Arc;

use arrow::array::Float32Array;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::{dense::elementwise::one_nan, measures::matching::higher},
    parameters::Reader,
    registry::Entry,
};

/// `list_max()`: the highest score of every row. id_score_list → dense `[rows]`.
///
/// - An empty row gives null. NaN is passed over, and is the result only where every score is NaN; of 0 and −0 the
///   first stays. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct ListMax;

pub(crate) const ENTRY: Entry = Entry {
    name: "list_max",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(ListMax))
}

impl Op for ListMax {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let rows = lists.extents().map(|extent| &scores[extent]);
        let ends = rows.map(|row| row.iter().copied().reduce(higher).map(one_nan));
        Ok(Column::Dense(Float32Array::from_iter(ends)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    #[test]
    fn empty_rows_and_nan() {
        let column = scored_lists(&[
            vec![(7, 0.5), (7, 2.0), (1, -1.0)],
            vec![],
            vec![(1, f32::NAN), (2, 1.0)],
        ]);
        let found = apply("list_max", &[], &column).unwrap();
        assert_eq!(
            dense_bits(&found),
            dense_bits(&dense(&[Some(2.0), None, Some(1.0)]))
        );
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_scored_lists()) {
            let found = apply("list_max", &[], &scored_lists(&rows)).unwrap();
            let naive = |row: &[(i64, f32)]| -> Option<f32> {
                let scores = row.iter().map(|(_, score)| *score);
                scores.reduce(|a, b| if b > a { b } else { a })
            };
            let expected: Vec<_> = rows.iter().map(|row| naive(row).map(f32::to_bits)).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
