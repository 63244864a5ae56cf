//! [`Sort`]: ids in ascending order.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `sort()`: the ids of every row, ascending; equal ids keep their order, so their scores do. id_list → id_list;
/// id_score_list →
/// id_score_list, each score with its id. An int becomes an id_list first.
///
/// - Empty rows stay empty. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct Sort;

pub(crate) const ENTRY: Entry = Entry {
    name: "sort",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Sort))
}

impl Op for Sort {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            let mut ids = lists.ids().to_vec();
            for extent in lists.extents() {
                ids[extent].sort_unstable();
            }
            return Ok(Column::IdList(lists.with_ids(ids)));
        };
        let mut places: Vec<usize> = (0..scores.len()).collect();
        for extent in lists.extents() {
            places[extent].sort_by_key(|&place| lists.ids()[place]);
        }
        let ids = places.iter().map(|&place| lists.ids()[place]).collect();
        let scores = places.iter().map(|&place| scores[place]).collect();
        Ok(Column::IdList(lists.with_ids(ids).with_scores(scores)))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn rows_are_sorted_apart() {
        let column = lists(&[vec![3, -1, 3, i64::MIN], vec![], vec![2, 1]]);
        let found = list_rows(&apply("sort", &[], &column).unwrap());
        assert_eq!(found, [vec![i64::MIN, -1, 3, 3], vec![], vec![1, 2]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("sort", any_scored_lists(), |rows| {
            check_lists("sort", &[], &rows, |row| {
                let mut sorted: Vec<(i64, f32)> = Vec::new();
                for entry in row {
                    let place = sorted.iter().position(|other| other.0 > entry.0);
                    sorted.insert(place.unwrap_or(sorted.len()), *entry);
                }
                sorted
            });
        });
    }
}
