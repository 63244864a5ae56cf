//! [`DropScores`]: scored ids as plain ids.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `drop_scores()`: the ids of every row, without their scores. id_list → id_list,
/// id_score_list → id_list. An int becomes an id_list first.
///
/// - Empty rows stay empty. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct DropScores;

pub(crate) const ENTRY: Entry = Entry {
    name: "drop_scores",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(DropScores))
}

impl Op for DropScores {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        Ok(Column::IdList(lists.without_scores()))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn scores_go_and_ids_stay() {
        let column = scored_lists(&[vec![(1, 0.5), (1, 0.25)], vec![]]);
        let found = apply("drop_scores", &[], &column).unwrap();
        assert_eq!(found.kind(), crate::Kind::IdList);
        assert_eq!(list_rows(&found), [vec![1, 1], vec![]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("drop_scores", any_scored_lists(), |rows| {
            let found = apply("drop_scores", &[], &scored_lists(&rows)).unwrap();
            assert!(found.id_list().unwrap().scores().is_none());
            assert_eq!(
                list_rows(&found),
                rows.iter().map(|row| ids_of(row)).collect::<Vec<_>>()
            );
            check_ids("drop_scores", &[], &rows, ids_of);
        });
    }
}
