//! [`Ngram`]: runs of neighbouring ids, each as one id.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::hash::pair,
    parameters::Reader,
    registry::Entry,
};

/// `ngram(n)`: for every window of n' = min(n, length) neighbours w: h128(… h128(h128(w[0], w[1]), w[2]) …). id_list
/// → id_list of
/// windows. An int becomes an id_list first.
///
/// - length − n' + 1 windows, in order; a window of one id is that id. h128(upper, lower) is that of `sigrid_hash`,
///   without twang: order counts.
/// - Empty rows stay empty. Scores are left behind.
/// - Errors: n ≤ 0; n is no whole number.
/// - Source: windows as Velox `ngrams`; the folding is ours.
#[derive(Debug)]
pub struct Ngram {
    n: usize,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "ngram",
    parameters: &["n"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let n = size(reader)?;
    Ok(Arc::new(Ngram { n }))
}

/// Reads `n`, the ids of a window.
pub(crate) fn size(reader: &mut Reader<'_>) -> Result<usize, Error> {
    let n = reader.integer("n")?;
    if n < 1 {
        return Err(reader.bad("n", format!("{n} is not at least 1")));
    }
    Ok(usize::try_from(n).unwrap_or(usize::MAX))
}

impl Op for Ngram {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        windows(lists, self.n).map(Column::IdList)
    }
}

/// The folded windows of every row.
pub(crate) fn windows(lists: &IdList, n: usize) -> Result<IdList, Error> {
    let mut grams = ListWriter::new(lists.rows(), lists.ids().len(), false);
    for row in lists
        .id_rows()
        .map(|row| row.windows(n.min(row.len()).max(1)))
    {
        let folded = row.map(|window| {
            window[1..]
                .iter()
                .fold(window[0], |gram, &id| pair(gram, id))
        });
        grams.ids.extend(folded);
        grams.end_row()?;
    }
    grams.finish()
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    use crate::ops::hash::pair;

    #[test]
    fn windows_are_folded() {
        let column = lists(&[vec![1, 2, 3, 4], vec![5], vec![]]);
        let grams = |n: i64| list_rows(&apply("ngram", &[("n", n.into())], &column).unwrap());
        assert_eq!(grams(1), list_rows(&column));
        let pairs = [pair(1, 2), pair(2, 3), pair(3, 4)];
        assert_eq!(grams(2), [pairs.to_vec(), vec![5], vec![]]);
        let whole = pair(pair(pair(1, 2), 3), 4);
        for n in [4, 5, i64::MAX] {
            assert_eq!(grams(n), [vec![whole], vec![5], vec![]]);
        }
        assert_eq!(whole, 8_675_198_155_374_317_688);
        assert_eq!(
            refusal("ngram", &[("n", 0.into())]),
            "op ngram, parameter `n`: 0 is not at least 1"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), 1i64..10);
        check_rows("ngram", cases, |(rows, n)| {
            check_ids("ngram", &[("n", n.into())], &rows, |row| {
                let ids = ids_of(row);
                let windows = ids.windows((n as usize).min(ids.len().max(1)));
                windows
                    .map(|window| window.iter().copied().reduce(pair).unwrap())
                    .collect()
            });
        });
    }
}
