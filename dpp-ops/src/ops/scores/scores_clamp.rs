//! [`ScoresClamp`]: scores kept between two bounds.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::dense::clamp::Bounds,
    parameters::Reader,
    registry::Entry,
};

/// `scores_clamp(min, max)`: `clamp(min, max)` of every score. id_list → id_list; id_score_list → id_score_list
/// of the same ids.
///
/// - Either bound may be left out, not both. NaN passes. Empty rows stay empty.
/// - Errors: those of `clamp`.
/// - Source: ours.
#[derive(Debug)]
pub struct ScoresClamp {
    bounds: Bounds,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "scores_clamp",
    parameters: &["min", "max"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let bounds = Bounds::read(reader)?;
    Ok(Arc::new(ScoresClamp { bounds }))
}

impl Op for ScoresClamp {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let mapped = scores.iter().map(|&score| self.bounds.clamp(score));
        Ok(Column::IdList(lists.with_scores(mapped.collect())))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn bounds_hold_and_nan_passes() {
        let column = scored_lists(&[vec![(1, -5.0), (2, 0.5), (3, f32::NAN)], vec![]]);
        let found = apply("scores_clamp", &[("min", 0.into())], &column).unwrap();
        let row = &scored_rows(&found)[0];
        assert_eq!(row[..2], [(1, 0.0), (2, 0.5)]);
        assert!(row[2].1.is_nan());
        assert_eq!(
            refusal("scores_clamp", &[]),
            "op scores_clamp, parameter `min`: give min, max or both"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), -1f32..1.0, 0f32..1.0);
        check_rows("scores_clamp", cases, |(rows, min, width)| {
            let max = min + width;
            let one = |score: f32| score.max(min).min(max);
            let found = apply(
                "scores_clamp",
                &[
                    ("min", f64::from(min).into()),
                    ("max", f64::from(max).into()),
                ],
                &scored_lists(&rows),
            )
            .unwrap();
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
