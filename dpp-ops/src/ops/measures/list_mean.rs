//! [`ListMean`]: the average score of a row.

use super::{
    measure::{OfScores, of_scores},
    sum,
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `list_mean()`: the sum of the scores of every row, over their number. id_score_list → dense `[rows]`.
///
/// - An empty row gives null. NaN gives the one canonical NaN. Added and divided in f64, in list order, rounded once.
///   No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct ListMean;

pub(crate) const ENTRY: Entry = Entry {
    name: "list_mean",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(of_scores(ListMean))
}

impl OfScores for ListMean {
    const NAME: &str = ENTRY.name;

    fn of(scores: &[f32]) -> Option<f32> {
        (!scores.is_empty()).then(|| (sum(scores) / scores.len() as f64) as f32)
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
        let found = apply("list_mean", &[], &column).unwrap();
        assert_eq!(
            dense_bits(&found),
            dense_bits(&dense(&[Some(0.5), None, Some(f32::NAN)]))
        );
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("list_mean", any_scored_lists(), |rows| {
            let found = apply("list_mean", &[], &scored_lists(&rows)).unwrap();
            let naive = |row: &[(i64, f32)]| -> Option<f32> {
                let sum = row
                    .iter()
                    .fold(0.0, |sum, (_, score)| sum + f64::from(*score));
                (!row.is_empty()).then(|| (sum / row.len() as f64) as f32)
            };
            let expected: Vec<_> = rows
                .iter()
                .map(|row| naive(row).map(f32::to_bits))
                .collect();
            assert_eq!(dense_bits(&found), expected);
        });
    }
}
