//! [`LastX`]: long lists cut to their end.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::{InPlace, Stretch},
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::ids::slices::slices,
    parameters::Reader,
    registry::Entry,
};

/// `last_x(n)`: the last min(n, length) ids of every row, in order. id_list → id_list; id_score_list →
/// id_score_list, each score with its id. An int becomes an id_list first.
///
/// - n ≤ 0 gives empty rows. Empty rows stay empty.
/// - Errors: n is no whole number.
/// - Source: ours; NVTabular ListSlice with a negative start.
#[derive(Debug)]
pub struct LastX {
    n: usize,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "last_x",
    parameters: &["n"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let n = reader.integer("n")?.max(0);
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Arc::new(LastX { n }))
}

impl Op for LastX {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let kept = slices(lists, |length| length.saturating_sub(self.n)..length)?;
        Ok(Column::IdList(kept))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Rows(Stretch::Last(self.n)))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn rows_are_cut() {
        let column = lists(&[vec![0, 1, 2, 3], vec![4], vec![]]);
        let last = |n: i64| list_rows(&apply("last_x", &[("n", n.into())], &column).unwrap());
        assert_eq!(last(2), [vec![2, 3], vec![4], vec![]]);
        assert_eq!(last(i64::MAX), list_rows(&column));
        assert_eq!(last(-1), [[]; 3] as [[i64; 0]; 3]);
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), -1i64..9);
        check_rows("last_x", cases, |(rows, n)| {
            check_lists("last_x", &[("n", n.into())], &rows, |row| {
                let mut kept: Vec<_> = row.iter().rev().copied().take(n.max(0) as usize).collect();
                kept.reverse();
                kept
            });
        });
    }
}
