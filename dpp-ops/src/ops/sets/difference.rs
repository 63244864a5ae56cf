//! [`Difference`]: what one feature has that another lacks.

use std::sync::Arc;

use super::two_lists;
use crate::{
    Column, Error, Kind,
    id_set::IdSet,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `difference(a, b)`: the ids of a that are not in b, in a's order, once each. id_list, id_list → id_list. An int
/// becomes an id_list first.
///
/// - Scores are left behind.
/// - An empty b leaves a's distinct ids. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct Difference;

pub(crate) const ENTRY: Entry = Entry {
    name: "difference",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Difference))
}

impl Op for Difference {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [a, b] = two_lists(ENTRY.name, inputs)?;
        let mut seen = IdSet::default();
        let mut kept = ListWriter::new(a.rows(), a.ids().len(), false);
        for (row, others) in a.id_rows().zip(b.id_rows()) {
            seen.clear_for(row.len() + others.len());
            for &id in others {
                seen.insert(id);
            }
            kept.ids.extend(row.iter().filter(|&&id| seen.insert(id)));
            kept.end_row()?;
        }
        kept.finish().map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn what_the_second_has_is_gone() {
        let a = lists(&[vec![5, 1, 5, 2], vec![], vec![1, 1], vec![i64::MIN]]);
        let b = lists(&[vec![2, 5, 9], vec![1], vec![], vec![i64::MIN]]);
        let found = list_rows(&apply_to("difference", &[], &[&a, &b]).unwrap());
        assert_eq!(found, [vec![1], vec![], vec![1], vec![]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("difference", any_two_lists(), |rows| {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = list_rows(&apply_to("difference", &[], &[&lists(&a), &lists(&b)]).unwrap());
            let expected: Vec<Vec<i64>> = rows
                .iter()
                .map(|(a, b)| {
                    let mut kept: Vec<i64> = Vec::new();
                    for id in a.iter().filter(|id| !b.contains(id)) {
                        if !kept.contains(id) {
                            kept.push(*id);
                        }
                    }
                    kept
                })
                .collect();
            assert_eq!(found, expected);
        });
    }
}
