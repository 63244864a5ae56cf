//! [`ListSlice`]: a stretch of every list.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::{InPlace, Stretch},
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::ids::slices::slices,
    parameters::Reader,
    registry::Entry,
};

/// `list_slice(start=0, end=None)`: the ids from position start up to, not including, end. id_list → id_list;
/// id_score_list →
/// id_score_list, each score with its id. An int becomes an id_list first.
///
/// - As Python slices: a negative position counts from the row's end, positions beyond it are its ends; without end,
///   to the end.
/// - No padding. Empty rows stay empty.
/// - Errors: a position that is no whole number.
/// - Source: NVTabular ListSlice, TorchArrow `list.slice`.
#[derive(Debug)]
pub struct ListSlice {
    stretch: Stretch,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "list_slice",
    parameters: &["start", "end"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let start = reader.integer_or("start", 0)?;
    let end = reader.optional_integer("end")?;
    let stretch = Stretch::Between { start, end };
    Ok(Arc::new(ListSlice { stretch }))
}

impl Op for ListSlice {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let kept = slices(lists, |length| self.stretch.of(length))?;
        Ok(Column::IdList(kept))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Rows(self.stretch))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    use crate::parameters::Value;

    fn parameters(start: i64, end: Option<i64>) -> Vec<(&'static str, Value)> {
        let end = end.map(|end| ("end", end.into()));
        [("start", start.into())].into_iter().chain(end).collect()
    }

    #[test]
    fn positions_are_those_of_python() {
        let column = lists(&[vec![0, 1, 2, 2, 767], vec![1, 2, 2, 3], vec![1, 223, 4]]);
        let check = |start, end, expected: [&[i64]; 3]| {
            let found = apply("list_slice", &parameters(start, end), &column).unwrap();
            assert_eq!(list_rows(&found), expected);
        };
        check(0, Some(2), [&[0, 1], &[1, 2], &[1, 223]]);
        check(3, Some(5), [&[2, 767], &[3], &[]]);
        check(100, Some(20000), [&[], &[], &[]]);
        check(-4, None, [&[1, 2, 2, 767], &[1, 2, 2, 3], &[1, 223, 4]]);
        check(-3, Some(-1), [&[2, 2], &[2, 2], &[1, 223]]);
        check(2, Some(1), [&[], &[], &[]]);
        check(
            i64::MIN,
            Some(i64::MAX),
            [&[0, 1, 2, 2, 767], &[1, 2, 2, 3], &[1, 223, 4]],
        );
        assert!(refusal("list_slice", &[("end", 0.5.into())]).contains("`end`"));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), -9i64..9, prop::option::of(-9i64..9));
        check_rows("list_slice", cases, |(rows, start, end)| {
            check_lists("list_slice", &parameters(start, end), &rows, |row| {
                let length = i64::try_from(row.len()).unwrap();
                let at = |place: i64| if place < 0 { place + length } else { place };
                let within =
                    |place: &i64| *place >= at(start) && end.is_none_or(|end| *place < at(end));
                (0..length)
                    .filter(within)
                    .map(|place| row[place as usize])
                    .collect()
            });
        });
    }
}
