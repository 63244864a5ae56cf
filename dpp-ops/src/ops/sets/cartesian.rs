//! [`Cartesian`]: every pair of two features.

use std::sync::Arc;

use super::two_lists;
use crate::{
    Column, Error, Kind,
    list_writer::{ListWriter, too_long},
    op::{Mismatch, Op, SharedOp, two_inputs},
    ops::hash::pair,
    parameters::Reader,
    registry::Entry,
};

/// `cartesian(a, b, max_len)`: h128(x, y) of every x of a and y of b, all of a's first x before those of its second,
/// at most max_len of them. id_list, id_list → id_list. An int becomes an id_list first.
///
/// - h128(upper, lower) is that of `sigrid_hash`, without twang: a × b differs from b × a, and a × a does not vanish.
///   Scores are left behind.
/// - A row that is empty on either side is empty.
/// - Errors: max_len ≤ 0 or no whole number; more than 2^31 − 1 ids in a batch.
/// - Source: DPP paper (Cartesian); the hash is ours.
#[derive(Debug)]
pub struct Cartesian {
    max_len: usize,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "cartesian",
    parameters: &["max_len"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let max_len = reader.integer("max_len")?;
    if max_len < 1 {
        return Err(reader.bad("max_len", format!("{max_len} is not at least 1")));
    }
    let max_len = usize::try_from(max_len).unwrap_or(usize::MAX);
    Ok(Arc::new(Cartesian { max_len }))
}

impl Op for Cartesian {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [a, b] = two_lists(ENTRY.name, inputs)?;
        let rows = || a.id_rows().zip(b.id_rows());
        let pairs = |(a, b): (&[i64], &[i64])| a.len().saturating_mul(b.len()).min(self.max_len);
        let ids = rows().map(pairs).fold(0, usize::saturating_add);
        // Known before anything is written: lists of 10^6 ids have 10^12 pairs.
        i32::try_from(ids).map_err(|_| too_long())?;
        let mut crossed = ListWriter::new(a.rows(), ids, false);
        for (row, others) in rows() {
            let pairs = row
                .iter()
                .flat_map(|&x| others.iter().map(move |&y| pair(x, y)));
            crossed.ids.extend(pairs.take(self.max_len));
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
    fn the_first_moves_slowest() {
        let (a, b) = (
            lists(&[vec![1, 2], vec![], vec![3]]),
            lists(&[vec![8, 9], vec![1], vec![]]),
        );
        let crossed = |n: i64| {
            let found = apply_to("cartesian", &[("max_len", n.into())], &[&a, &b]).unwrap();
            list_rows(&found)
        };
        let all = [pair(1, 8), pair(1, 9), pair(2, 8), pair(2, 9)];
        assert_eq!(crossed(4), [all.to_vec(), vec![], vec![]]);
        assert_eq!(crossed(3), [all[..3].to_vec(), vec![], vec![]]);
        assert_eq!(crossed(i64::MAX), crossed(4));
        let message = refusal("cartesian", &[("max_len", 0.into())]);
        assert_eq!(
            message,
            "op cartesian, parameter `max_len`: 0 is not at least 1"
        );
    }

    #[test]
    fn too_many_pairs_are_an_error() {
        let long = lists(&[vec![1; 100_000]]);
        let parameters = [("max_len", i64::MAX.into())];
        let error = apply_to("cartesian", &parameters, &[&long, &long]).unwrap_err();
        assert!(error.to_string().contains("2^31"));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_two_lists(), 1i64..20);
        check_rows("cartesian", cases, |(rows, max_len)| {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let parameters = [("max_len", max_len.into())];
            let found =
                list_rows(&apply_to("cartesian", &parameters, &[&lists(&a), &lists(&b)]).unwrap());
            let expected = rows.iter().map(|(a, b)| {
                let mut pairs = Vec::new();
                for x in a {
                    for y in b {
                        pairs.push(pair(*x, *y));
                    }
                }
                pairs.truncate(max_len as usize);
                pairs
            });
            assert_eq!(found, expected.collect::<Vec<_>>());
        });
    }
}
