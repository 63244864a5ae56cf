//! [`ListSum`]: the scores of a row together.

use super::{
    measure::{OfScores, of_scores},
    sum,
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

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
    Ok(of_scores(ListSum))
}

impl OfScores for ListSum {
    const NAME: &str = ENTRY.name;

    fn of(scores: &[f32]) -> Option<f32> {
        Some(sum(scores) as f32)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn equals_row_by_row() {
        check_rows("list_sum", any_scored_lists(), |rows| {
            let found = apply("list_sum", &[], &scored_lists(&rows)).unwrap();
            let naive = |row: &[(i64, f32)]| -> Option<f32> {
                Some(
                    row.iter()
                        .fold(0.0, |sum, (_, score)| sum + f64::from(*score))
                        as f32,
                )
            };
            let expected: Vec<_> = rows
                .iter()
                .map(|row| naive(row).map(f32::to_bits))
                .collect();
            assert_eq!(dense_bits(&found), expected);
        });
    }
}
