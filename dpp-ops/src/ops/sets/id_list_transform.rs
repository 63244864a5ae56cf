//! [`IdListTransform`]: one feature's scores on what another allows.

use std::sync::Arc;

use super::{common::common, two_lists};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `id_list_transform(a, b)`: the ids of a that are in b, in a's order, each at its first place only, with a's scores
/// if it has them. a, id_list → as a. An int becomes an id_list first.
///
/// - b's scores are left behind. A row that is empty on either side stays empty. No parameters, no errors.
/// - Source: DPP paper (IdListTransform); order and multiplicity are ours.
#[derive(Debug)]
pub struct IdListTransform;

pub(crate) const ENTRY: Entry = Entry {
    name: "id_list_transform",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(IdListTransform))
}

impl Op for IdListTransform {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|(a, _)| a)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [a, b] = two_lists(ENTRY.name, inputs)?;
        common(a, b, true).map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn scores_are_those_of_the_first() {
        let a = scored_lists(&[vec![(5, 0.5), (1, 0.1), (5, 0.6)], vec![(2, 0.2)]]);
        let b = scored_lists(&[vec![(5, 9.0)], vec![]]);
        let found = apply_to("id_list_transform", &[], &[&a, &b]).unwrap();
        assert_eq!(scored_rows(&found), [vec![(5, 0.5)], vec![]]);
        let found = apply_to(
            "id_list_transform",
            &[],
            &[&lists(&[vec![5, 5], vec![]]), &b],
        )
        .unwrap();
        assert_eq!(list_rows(&found), [vec![5], vec![]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("id_list_transform", any_two_scored_lists(), |rows| {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let columns = [&scored_lists(&a), &scored_lists(&b)];
            let found = scored_rows(&apply_to("id_list_transform", &[], &columns).unwrap());
            let expected = rows.iter().map(|(a, b)| {
                let mut kept: Vec<(i64, f32)> = Vec::new();
                for entry in a.iter().filter(|entry| ids_of(b).contains(&entry.0)) {
                    if !ids_of(&kept).contains(&entry.0) {
                        kept.push(*entry);
                    }
                }
                kept
            });
            assert_eq!(found, expected.collect::<Vec<_>>());
        });
    }
}
