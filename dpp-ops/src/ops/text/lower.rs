//! [`Lower`]: text without capitals.

use std::sync::Arc;

use arrow::array::LargeStringArray;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `lower()`: every character in lower case. text `[rows] → [rows]`.
///
/// - Unicode's full mapping, without locale, final sigma included; the length in bytes may change. A later version of
///   Unicode may map letters that are new in it.
/// - Null stays null. Empty in, empty out. No parameters, no errors.
/// - Source: TorchArrow `str.lower`; Rust's `str::to_lowercase`.
#[derive(Debug)]
pub struct Lower;

pub(crate) const ENTRY: Entry = Entry {
    name: "lower",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(Lower))
}

impl Op for Lower {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Text])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let text = only_column(ENTRY.name, inputs)?.text()?;
        let rows = text.iter().map(|row| row.map(str::to_lowercase));
        Ok(Column::Text(LargeStringArray::from_iter(rows)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Column, ops::testing::*, parameters::Value};

    fn lowered(rows: &[Option<&str>]) -> Vec<Option<String>> {
        let column = Column::Text(rows.to_vec().into());
        let none: &[(&str, Value)] = &[];
        let found = apply("lower", none, &column).unwrap();
        let rows = found.text().unwrap().iter();
        rows.map(|row| row.map(str::to_owned)).collect()
    }

    #[test]
    fn capitals_go_in_every_script() {
        let found = lowered(&[
            Some("Hello WORLD"),
            None,
            Some(""),
            Some("ÄÉЖΟΔΟΣ"),
            Some("İ"),
        ]);
        let expected = [
            Some("hello world"),
            None,
            Some(""),
            Some("äéжοδος"),
            Some("i\u{307}"),
        ];
        assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = rows(prop::option::of("[A-Za-z0-9 ÄÖÜäöüЖж]{0,12}"));
        check_rows("lower", cases, |rows| {
            let given: Vec<Option<&str>> = rows.iter().map(Option::as_deref).collect();
            let lower = |text: &String| {
                text.chars()
                    .flat_map(char::to_lowercase)
                    .collect::<String>()
            };
            let expected: Vec<_> = rows.iter().map(|row| row.as_ref().map(lower)).collect();
            assert_eq!(lowered(&given), expected);
        });
    }
}
