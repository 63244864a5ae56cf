//! [`Split`]: text as hashed tokens.

use std::sync::Arc;

use arrow::array::{Array, LargeStringArray};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `split(separator=None)`: the tokens of every text, each hashed to an id. text `[rows]` → id_list `[rows]`.
///
/// - Tokens lie between separators, or between runs of Unicode white space where no separator is given; empty ones are
///   left out. Their bytes are neither folded nor normalised: `lower` comes first.
/// - id = XXH3 64-bit of the token's UTF-8, seed 0, read as i64; `sigrid_hash` brings it into a table's range.
/// - Null → empty list; text without tokens too.
/// - Errors: an empty separator.
/// - Source: TorchArrow `str.split`; the hash is ours.
#[derive(Debug)]
pub struct Split {
    separator: Option<String>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "split",
    parameters: &["separator"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let separator = separator(reader)?;
    Ok(Arc::new(Split { separator }))
}

impl Op for Split {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Text]).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let text = only_column(ENTRY.name, inputs)?.text()?;
        tokens(text, self.separator.as_deref()).map(Column::IdList)
    }
}

/// The separator, none for white space.
pub(super) fn separator(reader: &mut Reader<'_>) -> Result<Option<String>, Error> {
    match reader.optional_text("separator")? {
        Some(separator) if separator.is_empty() => Err(reader.bad(
            "separator",
            "it is empty; leave it out to split at white space",
        )),
        separator => Ok(separator),
    }
}

/// The hashed tokens of every row.
pub(super) fn tokens(text: &LargeStringArray, separator: Option<&str>) -> Result<IdList, Error> {
    let mut hashed = ListWriter::new(text.len(), text.len(), false);
    for row in text.iter().map(Option::unwrap_or_default) {
        match separator {
            None => hashed.ids.extend(row.split_whitespace().map(id)),
            Some(separator) => {
                let tokens = row.split(separator).filter(|token| !token.is_empty());
                hashed.ids.extend(tokens.map(id));
            }
        }
        hashed.end_row()?;
    }
    hashed.finish()
}

fn id(token: &str) -> i64 {
    xxh3_64(token.as_bytes()).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Column, ops::testing::*, parameters::Value};

    use super::id;

    fn split(separator: Option<&str>, rows: &[Option<&str>]) -> Vec<Vec<i64>> {
        let column = Column::Text(rows.to_vec().into());
        let parameters: Vec<(&str, Value)> = separator
            .map(|it| ("separator", it.into()))
            .into_iter()
            .collect();
        list_rows(&apply("split", &parameters, &column).unwrap())
    }

    #[test]
    fn tokens_are_hashed() {
        let rows = [Some(" how are\tyou "), None, Some(""), Some("how,are,,")];
        let words = ["how", "are", "you"].map(id).to_vec();
        assert_eq!(
            split(None, &rows),
            [words.clone(), vec![], vec![], vec![id("how,are,,")]]
        );
        assert_eq!(split(Some(","), &rows)[3], words[..2]);
        assert_eq!(id("a"), 0xe6c6_32b6_1e96_4e1f_u64.cast_signed());
    }

    #[test]
    fn an_empty_separator_is_refused() {
        let message = refusal("split", &[("separator", "".into())]);
        let expected =
            "op split, parameter `separator`: it is empty; leave it out to split at white space";
        assert_eq!(message, expected);
    }

    #[test]
    fn equals_row_by_row() {
        let cases = rows(prop::option::of("[ab, é]{0,12}"));
        check_rows("split", cases, |rows| {
            let given: Vec<Option<&str>> = rows.iter().map(Option::as_deref).collect();
            let naive = |at: fn(char) -> bool| {
                let tokens = |row: &Option<String>| {
                    let (mut tokens, mut token) = (Vec::new(), String::new());
                    for letter in row.iter().flat_map(|row| row.chars()).chain([' ', ',']) {
                        if !at(letter) {
                            token.push(letter);
                        } else if !token.is_empty() {
                            tokens.push(id(&std::mem::take(&mut token)));
                        }
                    }
                    tokens
                };
                rows.iter().map(tokens).collect::<Vec<_>>()
            };
            assert_eq!(split(None, &given), naive(char::is_whitespace));
        });
    }
}
