//! [`ListMax`]: the highest score of a row.

use super::{
    matching::higher,
    measure::{OfScores, of_scores},
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

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
    Ok(of_scores(ListMax))
}

impl OfScores for ListMax {
    const NAME: &str = ENTRY.name;

    fn of(scores: &[f32]) -> Option<f32> {
        scores.iter().copied().reduce(higher)
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
        let found = apply("list_max", &[], &column).unwrap();
        assert_eq!(
            dense_bits(&found),
            dense_bits(&dense(&[Some(2.0), None, Some(1.0)]))
        );
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("list_max", any_scored_lists(), |rows| {
            let found = apply("list_max", &[], &scored_lists(&rows)).unwrap();
            let naive = |row: &[(i64, f32)]| -> Option<f32> {
                let scores = row.iter().map(|(_, score)| *score);
                scores.reduce(|a, b| if b > a { b } else { a })
            };
            let expected: Vec<_> = rows
                .iter()
                .map(|row| naive(row).map(f32::to_bits))
                .collect();
            assert_eq!(dense_bits(&found), expected);
        });
    }
}
