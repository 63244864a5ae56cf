//! [`Cross`]: two categorical features as one.

use std::sync::Arc;

use super::two_lists;
use crate::{
    Column, Error, Kind,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, two_inputs},
    ops::hash::pair,
    parameters::Reader,
    registry::Entry,
};

/// `cross(a, b)`: h128(a[i], b[i]) for every position i that both rows have. id_list, id_list → id_list. An int
/// becomes an id_list first.
///
/// - Made for features of one id; longer lists are paired position by position, the longer one is cut. h128 as for
///   `cartesian`: order counts. Scores are left behind.
/// - A row that is empty on either side is empty, so a null on either side gives no id. No parameters, no errors.
/// - Source: ours; NVTabular's HashedCross XORs, so a × a vanishes there and order is lost.
#[derive(Debug)]
pub struct Cross;

pub(crate) const ENTRY: Entry = Entry {
    name: "cross",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Cross))
}

impl Op for Cross {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [a, b] = two_lists(ENTRY.name, inputs)?;
        let mut crossed = ListWriter::new(a.rows(), a.ids().len().min(b.ids().len()), false);
        for (row, others) in a.id_rows().zip(b.id_rows()) {
            let pairs = row.iter().zip(others).map(|(&x, &y)| pair(x, y));
            crossed.ids.extend(pairs);
            crossed.end_row()?;
        }
        crossed.finish().map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    use crate::ops::hash::pair;

    #[test]
    fn positions_are_paired() {
        let (a, b) = (
            lists(&[vec![1], vec![], vec![3, 4]]),
            lists(&[vec![8], vec![1], vec![5, 6, 7]]),
        );
        let found = list_rows(&apply_to("cross", &[], &[&a, &b]).unwrap());
        assert_eq!(
            found,
            [vec![pair(1, 8)], vec![], vec![pair(3, 5), pair(4, 6)]]
        );
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("cross", any_two_lists(), |rows| {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = list_rows(&apply_to("cross", &[], &[&lists(&a), &lists(&b)]).unwrap());
            let expected = rows.iter().map(|(a, b)| {
                let both = 0..a.len().min(b.len());
                both.map(|place| pair(a[place], b[place])).collect()
            });
            assert_eq!(found, expected.collect::<Vec<Vec<i64>>>());
        });
    }
}
