//! [`Intersect`]: what two features have in common.

use std::sync::Arc;

use super::{common::common, two_lists};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `intersect(a, b)`: the ids of a that are in b, in a's order, once each. id_list, id_list → id_list. An int becomes
/// an id_list first.
///
/// - Scores are left behind. `id_list_transform` keeps them.
/// - A row that is empty on either side stays empty. No parameters, no errors.
/// - Source: DPP paper (PositiveIntersect); order and multiplicity are ours.
#[derive(Debug)]
pub struct Intersect;

pub(crate) const ENTRY: Entry = Entry {
    name: "intersect",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Intersect))
}

impl Op for Intersect {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [a, b] = two_lists(ENTRY.name, inputs)?;
        common(a, b, false).map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn the_order_is_that_of_the_first() {
        let a = lists(&[vec![5, 1, 5, 2], vec![], vec![1, 1], vec![i64::MIN]]);
        let b = lists(&[vec![2, 5, 9], vec![1], vec![], vec![i64::MIN]]);
        let found = list_rows(&apply_to("intersect", &[], &[&a, &b]).unwrap());
        assert_eq!(found, [vec![5, 2], vec![], vec![], vec![i64::MIN]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("intersect", any_two_lists(), |rows| {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = list_rows(&apply_to("intersect", &[], &[&lists(&a), &lists(&b)]).unwrap());
            let expected: Vec<Vec<i64>> = rows
                .iter()
                .map(|(a, b)| {
                    let mut kept: Vec<i64> = Vec::new();
                    for id in a.iter().filter(|id| b.contains(id)) {
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
