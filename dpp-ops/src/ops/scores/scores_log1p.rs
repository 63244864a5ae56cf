//! [`ScoresLog1p`]: scores on a logarithmic scale.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::dense::{elementwise::one_nan, logarithm::ln_1p},
    parameters::Reader,
    registry::Entry,
    vectorised::map_in_place,
};

/// `scores_log1p()`: `log1p` of every score, ln(1 + score). id_list → id_list; id_score_list → id_score_list
/// of the same ids.
///
/// - The same bits on every machine. −1 gives −inf; less than −1 and NaN give the one canonical NaN. Empty rows stay
///   empty. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct ScoresLog1p;

pub(crate) const ENTRY: Entry = Entry {
    name: "scores_log1p",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(ScoresLog1p))
}

impl Op for ScoresLog1p {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let mut scores = scores.to_vec();
        map_in_place(&mut scores, &|score| one_nan(ln_1p(score)));
        Ok(Column::IdList(lists.with_scores(scores)))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn scores_are_logarithms() {
        let column = scored_lists(&[vec![(1, 0.0), (2, 1.0), (3, -1.0)], vec![]]);
        let found = scored_rows(&apply("scores_log1p", &[], &column).unwrap());
        let two = f32::from_bits(0x3f31_7218);
        assert_eq!(
            found,
            [vec![(1, 0.0), (2, two), (3, f32::NEG_INFINITY)], vec![]]
        );
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("scores_log1p", any_scored_lists(), |rows| {
            let one = |score: f32| libm::log1p(score.into()) as f32;
            let found = apply("scores_log1p", &[], &scored_lists(&rows)).unwrap();
            let bits = |rows: Vec<Vec<(i64, f32)>>| -> Vec<Vec<(i64, u32)>> {
                let bits = |row: Vec<(i64, f32)>| {
                    row.into_iter()
                        .map(|(id, score)| (id, score.to_bits()))
                        .collect()
                };
                rows.into_iter().map(bits).collect()
            };
            let expected = rows
                .iter()
                .map(|row| row.iter().map(|(id, score)| (*id, one(*score))).collect());
            assert_eq!(bits(scored_rows(&found)), bits(expected.collect()));
        });
    }
}
