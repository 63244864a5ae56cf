//! [`GetScoreSum`]: the scores of what two features share.

use std::sync::Arc;

use super::matching::{each_row, matched};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `get_score_sum(a, b)`: Σ of b's scores over the ids that a has too. id_list, id_score_list →
/// dense `[rows]`. An int becomes an id_list first.
///
/// - No match gives 0. An id that a has twice counts once. Sums run over ascending ids, an id's scores in list order.
///   a's scores do not count. NaN gives the one canonical NaN.
/// - Source: TorchArrow `get_score_sum` (compute_score.h).
/// - Added in f64, rounded once. No parameters, no errors.
#[derive(Debug)]
pub struct GetScoreSum;

pub(crate) const ENTRY: Entry = Entry {
    name: "get_score_sum",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(GetScoreSum))
}

impl Op for GetScoreSum {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, &[Kind::IdScoreList]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(ENTRY.name, inputs, |a, b| {
            matched(a, b).map(|(_, b)| b.sum).sum::<f64>() as f32 + 0.0
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use crate::ops::testing::*;

    #[test]
    fn vectors_of_torcharrow_hold() {
        let (a, b) = torcharrow();
        let found = apply_to("get_score_sum", &[], &[&a, &b]).unwrap();
        let expected: [f32; 4] = [6.0, 0.0, 7.0, 31.0];
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
        let found = apply_to("get_score_sum", &[], &[&a, &b]).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(0.0); 3])));
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_two_scored_lists()) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = apply_to("get_score_sum", &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let mut sums = BTreeMap::new();
                let shared = b.iter().filter(|(id, _)| ids_of(a).contains(id));
                shared.for_each(|(id, score)| *sums.entry(*id).or_insert(0.0) += f64::from(*score));
                sums.values().sum::<f64>() as f32 + 0.0
            };
            let expected: Vec<_> = rows.iter().map(|(a, b)| Some(naive(a, b).to_bits())).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
