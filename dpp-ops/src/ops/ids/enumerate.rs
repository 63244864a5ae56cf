//! [`Enumerate`]: ids replaced by their place.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `enumerate()`: each id's position in its row, 0 … length − 1. id_list → id_list, row by row of the same length;
/// scores pass through. An int becomes an id_list first.
///
/// - Empty rows stay empty. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct Enumerate;

pub(crate) const ENTRY: Entry = Entry {
    name: "enumerate",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Enumerate))
}

impl Op for Enumerate {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let rows = lists.extents();
        let places = rows.flat_map(|extent| (0i64..).zip(extent).map(|(place, _)| place));
        let places = places.collect();
        Ok(Column::IdList(lists.with_ids(places)))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn every_row_counts_from_zero() {
        let column = lists(&[vec![7, 7, 7], vec![], vec![-1]]);
        let found = list_rows(&apply("enumerate", &[], &column).unwrap());
        assert_eq!(found, [vec![0, 1, 2], vec![], vec![0]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("enumerate", any_scored_lists(), |rows| {
            check_lists("enumerate", &[], &rows, |row| {
                (0..)
                    .zip(row)
                    .map(|(place, (_, score))| (place, *score))
                    .collect()
            });
        });
    }
}
