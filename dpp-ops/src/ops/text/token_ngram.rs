//! [`TokenNgram`]: runs of neighbouring tokens, each as one id.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::{
        ids::ngram::{size, windows},
        text::split::{separator, tokens},
    },
    parameters::Reader,
    registry::Entry,
};

/// `token_ngram(n, separator=None)`: `split(separator)`, then `ngram(n)`. text `[rows]` → id_list `[rows]`.
///
/// - For every window of n' = min(n, tokens) neighbouring tokens one id: their hashes folded with h128.
/// - Null → empty list; text without tokens too.
/// - Errors: n ≤ 0; an empty separator.
/// - Source: ours.
#[derive(Debug)]
pub struct TokenNgram {
    n: usize,
    separator: Option<String>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "token_ngram",
    parameters: &["n", "separator"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let n = size(reader)?;
    let separator = separator(reader)?;
    Ok(Arc::new(TokenNgram { n, separator }))
}

impl Op for TokenNgram {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Text]).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let text = only_column(ENTRY.name, inputs)?.text()?;
        let tokens = tokens(text, self.separator.as_deref())?;
        windows(&tokens, self.n).map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use crate::{Column, ops::testing::*, parameters::Value};

    fn grams(parameters: &[(&str, Value)], rows: &[Option<&str>]) -> Vec<Vec<i64>> {
        let column = Column::Text(rows.to_vec().into());
        list_rows(&apply("token_ngram", parameters, &column).unwrap())
    }

    #[test]
    fn neighbours_are_folded() {
        let rows = [Some("to be or not to be"), None, Some("be")];
        let one = |text: &str| grams(&[("n", 1.into())], &[Some(text)])[0].clone();
        assert_eq!(
            grams(&[("n", 1.into())], &rows)[0],
            one("to be or not to be")
        );
        let pairs = grams(&[("n", 2.into())], &rows);
        assert_eq!(pairs[0].len(), 5);
        assert_eq!(pairs[0][0], pairs[0][4], "to be");
        assert_eq!(
            pairs[0][0],
            crate::ops::hash::pair(one("to")[0], one("be")[0])
        );
        assert_eq!(pairs[1..], [vec![], one("be")]);
        assert!(refusal("token_ngram", &[("n", 0.into())]).contains("`n`"));
        let both = [("n", 1.into()), ("separator", "".into())];
        assert!(refusal("token_ngram", &both).contains("`separator`"));
    }

    /// hash128to64 of folly, as its source has it.
    fn folded(upper: u64, lower: u64) -> u64 {
        let multiplied = |it: u64| it.wrapping_mul(0x9ddf_ea08_eb38_2d69);
        let mixed = |it: u64| it ^ (it >> 47);
        multiplied(mixed(multiplied(upper ^ mixed(multiplied(lower ^ upper)))))
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            rows(prop::option::of("[ab, ]{0,12}")),
            1usize..5,
            any::<bool>(),
        );
        check_rows("token_ngram", cases, |(rows, n, comma)| {
            let given: Vec<Option<&str>> = rows.iter().map(Option::as_deref).collect();
            let separator: Vec<_> = comma
                .then(|| ("separator", Value::from(",")))
                .into_iter()
                .collect();
            let parameters: Vec<_> = separator
                .into_iter()
                .chain([("n", i64::try_from(n).unwrap().into())])
                .collect();
            let at = if comma { ',' } else { ' ' };
            let naive = |row: &Option<String>| {
                let text = row.clone().unwrap_or_default();
                let tokens: Vec<&str> = text.split(at).filter(|token| !token.is_empty()).collect();
                let size = n.min(tokens.len());
                let mut grams = Vec::new();
                for first in 0..tokens.len().saturating_sub(size.max(1) - 1) {
                    let mut gram = xxh3_64(tokens[first].as_bytes()).cast_signed();
                    for token in &tokens[first + 1..first + size] {
                        gram =
                            folded(gram.cast_unsigned(), xxh3_64(token.as_bytes())).cast_signed();
                    }
                    grams.push(gram);
                }
                grams
            };
            assert_eq!(
                grams(&parameters, &given),
                rows.iter().map(naive).collect::<Vec<_>>()
            );
        });
    }
}
