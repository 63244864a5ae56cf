//! [`FirstX`]: long lists cut to their beginning.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::{InPlace, Stretch},
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::ids::slices::slices,
    parameters::Reader,
    registry::Entry,
};

/// `first_x(n)`: the first min(n, length) ids of every row. id_list → id_list; id_score_list → id_score_list, each score
/// with its id. An int becomes an id_list first.
///
/// - n ≤ 0 gives empty rows. Empty rows stay empty.
/// - Errors: n is no whole number.
/// - Source: TorchArrow `firstx`.
#[derive(Debug)]
pub struct FirstX {
    n: usize,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "first_x",
    parameters: &["n"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let n = reader.integer("n")?.max(0);
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Arc::new(FirstX { n }))
}

impl Op for FirstX {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdList, Kind::IdScoreList])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        if lists.offsets().lengths().all(|length| length <= self.n) {
            return Ok(Column::IdList(lists.clone()));
        }
        let kept = slices(lists, |length| 0..length.min(self.n))?;
        Ok(Column::IdList(kept))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Rows(Stretch::First(self.n)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{ops::testing::*, parameters::Value};

    fn check(n: i64, rows: &[Vec<i64>], expected: &[Vec<i64>]) {
        let found = apply("first_x", &[("n", Value::Integer(n))], &lists(rows)).unwrap();
        assert_eq!(list_rows(&found), expected);
    }

    #[test]
    fn rows_are_cut() {
        let rows = [vec![0, 1, 2, 3], vec![4], vec![], vec![7, 8, 9]];
        check(1, &rows, &[vec![0], vec![4], vec![], vec![7]]);
        check(2, &rows, &[vec![0, 1], vec![4], vec![], vec![7, 8]]);
        check(4, &rows, &rows);
        check(i64::MAX, &rows, &rows);
        for none in [0, -1, i64::MIN] {
            check(none, &rows, &[vec![], vec![], vec![], vec![]]);
        }
        check(3, &[], &[]);
    }

    #[test]
    fn scores_stay_with_their_ids() {
        let column = scored_lists(&[vec![(1, 0.1), (2, 0.2)], vec![(3, 0.3)]]);
        let found = apply("first_x", &[("n", Value::Integer(1))], &column).unwrap();
        assert_eq!(scored_rows(&found), [[(1, 0.1)], [(3, 0.3)]]);
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), -1i64..9);
        check_rows("first_x", cases, |(rows, n)| {
            let found =
                apply("first_x", &[("n", Value::Integer(n))], &scored_lists(&rows)).unwrap();
            let expected: Vec<Vec<_>> = rows
                .iter()
                .map(|row| row.iter().copied().take(n.max(0) as usize).collect())
                .collect();
            assert_eq!(scored_rows(&found), expected);
        });
    }
}
