//! [`GetScoreMax`]: the highest score of what two features share.

use std::sync::Arc;

use super::matching::{each_row, higher, matched};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `get_score_max(a, b)`: the highest of b's scores over the ids that a has too. id_list, id_score_list →
/// dense `[rows]`. An int becomes an id_list first.
///
/// - No match gives 0. NaN is passed over, and is the result only where every match is NaN; of 0 and −0 the one with
///   the lower id stays. a's scores do not count.
/// - Source: TorchArrow `get_score_max` (compute_score.h).
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct GetScoreMax;

pub(crate) const ENTRY: Entry = Entry {
    name: "get_score_max",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(GetScoreMax))
}

impl Op for GetScoreMax {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, &[Kind::IdScoreList]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(ENTRY.name, inputs, |a, b| {
            let scores = matched(a, b).map(|(_, b)| b.max);
            scores.reduce(higher).unwrap_or(0.0)
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
        let found = apply_to("get_score_max", &[], &[&a, &b]).unwrap();
        let expected: [f32; 4] = [3.0, 0.0, 7.0, 11.0];
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
        let found = apply_to("get_score_max", &[], &[&a, &b]).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(0.0); 3])));
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_two_scored_lists()) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = apply_to("get_score_max", &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let shared = b.iter().filter(|(id, _)| ids_of(a).contains(id));
                let scores = shared.map(|(_, score)| *score);
                scores.reduce(|a, b| if b > a { b } else { a }).unwrap_or(0.0)
            };
            let expected: Vec<_> = rows.iter().map(|(a, b)| Some(naive(a, b).to_bits())).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
