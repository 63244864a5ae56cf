//! [`Unique`]: every id once.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    id_set::IdSet,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `unique()`: the ids of every row, each at its first place only. id_list → id_list; id_score_list →
/// id_score_list, each score with its id. An int becomes an id_list first.
///
/// - Empty rows stay empty. No parameters, no errors.
/// - Source: ours; PyTorch `unique_consecutive` is another thing.
#[derive(Debug)]
pub struct Unique;

pub(crate) const ENTRY: Entry = Entry {
    name: "unique",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Unique))
}

impl Op for Unique {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let mut seen = IdSet::default();
        let scored = lists.scores().is_some();
        let mut kept = ListWriter::new(lists.rows(), lists.ids().len(), scored);
        for extent in lists.extents() {
            seen.clear_for(extent.len());
            for place in extent {
                if seen.insert(lists.ids()[place]) {
                    kept.push_from(lists, place);
                }
            }
            kept.end_row()?;
        }
        kept.finish().map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn the_first_of_equals_stays() {
        let column = scored_lists(&[vec![(3, 0.1), (1, 0.2), (3, 0.3)], vec![], vec![(3, 0.4)]]);
        let found = scored_rows(&apply("unique", &[], &column).unwrap());
        assert_eq!(found, [vec![(3, 0.1), (1, 0.2)], vec![], vec![(3, 0.4)]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("unique", any_scored_lists(), |rows| {
            check_lists("unique", &[], &rows, |row| {
                let first =
                    |(place, (id, _)): &(usize, &(i64, f32))| !ids_of(&row[..*place]).contains(id);
                row.iter()
                    .enumerate()
                    .filter(first)
                    .map(|(_, entry)| *entry)
                    .collect()
            });
        });
    }
}
