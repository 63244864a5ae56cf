//! [`ListSum`]: the scores of a row together.

use std::sync::Arc;

use arrow::array::Float32Array;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::{dense::elementwise::one_nan, measures::sum},
    parameters::Reader,
    registry::Entry,
};

/// `list_sum()`: the sum of the scores of every row. id_score_list → dense `[rows]`.
///
/// - An empty row gives 0. NaN gives the one canonical NaN. Added in f64 in list order, rounded once. No parameters,
///   no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct ListSum;

pub(crate) const ENTRY: Entry = Entry {
    name: "list_sum",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(ListSum))
}

impl Op for ListSum {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let rows = lists.extents().map(|extent| &scores[extent]);
        let sums = rows.map(|row| one_nan(sum(row) as f32));
        Ok(Column::Dense(Float32Array::from_iter_values(sums)))
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
        let found = apply("list_sum", &[], &column).unwrap();
        assert_eq!(
            dense_bits(&found),
            dense_bits(&dense(&[Some(1.5), Some(0.0), Some(f32::NAN)]))
        );
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_scored_lists()) {
            let found = apply("list_sum", &[], &scored_lists(&rows)).unwrap();
            let naive = |row: &[(i64, f32)]| -> Option<f32> {
                Some(row.iter().fold(0.0, |sum, (_, score)| sum + f64::from(*score)) as f32)
            };
            let expected: Vec<_> = rows.iter().map(|row| naive(row).map(f32::to_bits)).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
