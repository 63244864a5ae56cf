//! [`GetMaxCount`]: how often shared ids stand, on the side where they stand more often.

use std::sync::Arc;

use super::matching::{each_row, matched};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `get_max_count(a, b)`: Σ over ids that a and b share of max(times in a, times in b). id_list, id_list → dense
/// `[rows]`. An int becomes an id_list first.
///
/// - An empty side gives 0. Scores do not count. Exact up to 2^24.
/// - Source: TorchArrow `get_max_count` (compute_score.h).
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct GetMaxCount;

pub(crate) const ENTRY: Entry = Entry {
    name: "get_max_count",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(GetMaxCount))
}

impl Op for GetMaxCount {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(ENTRY.name, inputs, |a, b| {
            let counts = matched(a, b).map(|(a, b)| a.count.max(b.count));
            counts.sum::<usize>() as f32
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    #[test]
    fn vectors_of_torcharrow_hold() {
        let (a, b) = torcharrow();
        let found = apply_to("get_max_count", &[], &[&a, &b]).unwrap();
        let expected: [f32; 4] = [3.0, 0.0, 1.0, 3.0];
        assert_eq!(dense_bits(&found), dense_bits(&dense(&expected.map(Some))));
    }

    #[test]
    fn empty_rows_give_zero() {
        let scored = |rows: &[&[i64]]| {
            let rows: Vec<Vec<_>> = rows
                .iter()
                .map(|row| row.iter().map(|id| (*id, 1.0)).collect())
                .collect();
            scored_lists(&rows)
        };
        let (a, b) = (scored(&[&[], &[1], &[]]), scored(&[&[], &[], &[1]]));
        let found = apply_to("get_max_count", &[], &[&a, &b]).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(0.0); 3])));
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_two_scored_lists()) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = apply_to("get_max_count", &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let (a, b) = (ids_of(a), ids_of(b));
                let times = |ids: &[i64], id: i64| ids.iter().filter(|other| **other == id).count();
                let shared: std::collections::BTreeSet<_> = a.iter().filter(|id| b.contains(id)).collect();
                shared.iter().map(|id| times(&a, **id).max(times(&b, **id))).sum::<usize>() as f32
            };
            let expected: Vec<_> = rows.iter().map(|(a, b)| Some(naive(a, b).to_bits())).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
