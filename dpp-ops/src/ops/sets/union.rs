//! [`Union`]: what any of several features has.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, each_input, same_rows},
    parameters::Reader,
    registry::Entry,
};

/// `union(a, b, …)`: the ids of all inputs, ascending, once each. id_list, … → id_list. An int becomes an id_list
/// first.
///
/// - Two inputs or more. Scores are left behind. A row that is empty everywhere stays empty.
/// - No parameters. Errors: more than 2^31 − 1 ids in a batch.
/// - Source: Caffe2 MergeIdLists; the order is ours.
#[derive(Debug)]
pub struct Union;

pub(crate) const ENTRY: Entry = Entry {
    name: "union",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Union))
}

impl Op for Union {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        match inputs.len() {
            0 | 1 => Err(Mismatch::TooFew { least: 2 }),
            _ => each_input(inputs, Kind::LISTS).map(|()| Kind::IdList),
        }
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let rows = same_rows(ENTRY.name, inputs)?;
        let lists = inputs.iter().map(|column| column.id_list());
        let lists: Vec<&IdList> = lists.collect::<Result<_, Error>>()?;
        let ids = lists.iter().map(|lists| lists.ids().len()).sum();
        let mut merged = ListWriter::new(rows, ids, false);
        let mut row: Vec<i64> = Vec::new();
        let mut inputs: Vec<_> = lists.iter().map(|lists| lists.id_rows()).collect();
        for _ in 0..rows {
            row.clear();
            for ids in inputs.iter_mut().filter_map(Iterator::next) {
                row.extend_from_slice(ids);
            }
            row.sort_unstable();
            row.dedup();
            merged.ids.extend_from_slice(&row);
            merged.end_row()?;
        }
        merged.finish().map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    use std::collections::BTreeSet;

    #[test]
    fn three_features_make_one() {
        let (a, b) = (lists(&[vec![3]]), scored_lists(&[vec![(9, 0.5)]]));
        let found = apply_to("union", &[], &[&a, &b, &lists(&[vec![1, 9]])]).unwrap();
        assert_eq!(list_rows(&found), [[1, 3, 9]]);
    }

    #[test]
    fn ids_ascend_once_each() {
        let a = lists(&[vec![5, 1, 5, 2], vec![], vec![1, 1], vec![i64::MIN]]);
        let b = lists(&[vec![2, 5, 9], vec![1], vec![], vec![i64::MIN]]);
        let found = list_rows(&apply_to("union", &[], &[&a, &b]).unwrap());
        assert_eq!(found, [vec![1, 2, 5, 9], vec![1], vec![1], vec![i64::MIN]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("union", any_two_lists(), |rows| {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = list_rows(&apply_to("union", &[], &[&lists(&a), &lists(&b)]).unwrap());
            let expected: Vec<Vec<i64>> = rows
                .iter()
                .map(|(a, b)| {
                    let both: BTreeSet<i64> = a.iter().chain(b).copied().collect();
                    both.into_iter().collect()
                })
                .collect();
            assert_eq!(found, expected);
        });
    }
}
