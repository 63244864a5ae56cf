//! [`SortByScore`]: the best ids first.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `sort_by_score(descending=True)`: the ids of every row by their scores, highest first, or lowest first. id_list →
/// id_list; id_score_list →
/// id_score_list, each score with its id.
///
/// - Stable: equal scores keep their order; 0 equals −0. NaN comes last either way, in its order.
/// - Empty rows stay empty.
/// - Errors: `descending` is neither true nor false.
/// - Source: ours.
#[derive(Debug)]
pub struct SortByScore {
    descending: bool,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "sort_by_score",
    parameters: &["descending"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let descending = reader.flag_or("descending", true)?;
    Ok(Arc::new(SortByScore { descending }))
}

impl Op for SortByScore {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let mut places: Vec<usize> = (0..scores.len()).collect();
        for extent in lists.extents() {
            places[extent].sort_by(|&a, &b| by_score(scores[a], scores[b], self.descending));
        }
        let ids = places.iter().map(|&place| lists.ids()[place]).collect();
        let scores = places.iter().map(|&place| scores[place]).collect();
        Ok(Column::IdList(lists.with_ids(ids).with_scores(scores)))
    }
}

/// How two scores stand to each other: the better first, NaN after all.
pub(crate) fn by_score(a: f32, b: f32, descending: bool) -> Ordering {
    let order = match a.partial_cmp(&b) {
        Some(order) => order,
        None => return a.is_nan().cmp(&b.is_nan()),
    };
    if descending { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn order_is_stable_and_nan_last() {
        let column = scored_lists(&[vec![(1, 0.5), (2, NAN), (3, 2.0), (4, 0.5)], vec![]]);
        let sorted = |descending: bool| {
            let parameters = [("descending", descending.into())];
            let found = apply("sort_by_score", &parameters, &column).unwrap();
            ids_of(&scored_rows(&found)[0])
        };
        assert_eq!(sorted(true), [3, 1, 4, 2]);
        assert_eq!(sorted(false), [1, 4, 3, 2]);
        assert!(refusal("sort_by_score", &[("descending", 1.into())]).contains("`descending`"));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), any::<bool>());
        check_rows("sort_by_score", cases, |(rows, descending)| {
            let column = scored_lists(&rows);
            let found = apply(
                "sort_by_score",
                &[("descending", descending.into())],
                &column,
            )
            .unwrap();
            let expected = rows.iter().map(|row| {
                let mut sorted: Vec<(i64, f32)> = Vec::new();
                for entry in row {
                    let before = |other: &(i64, f32)| match descending {
                        true => other.1 < entry.1,
                        false => other.1 > entry.1,
                    };
                    let place = sorted.iter().position(before).unwrap_or(sorted.len());
                    sorted.insert(place, *entry);
                }
                sorted
            });
            assert_eq!(scored_rows(&found), expected.collect::<Vec<_>>());
        });
    }
}
