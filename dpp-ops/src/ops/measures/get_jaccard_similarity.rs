//! [`GetJaccardSimilarity`]: how alike two features are, by their ids.

use std::sync::Arc;

use super::matching::{each_row, overlap};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `get_jaccard_similarity(a, b)`: c / (|a| + |b| − c), c the size of the multiset intersection. id_list, id_list →
/// dense `[rows]`. An int becomes an id_list first.
///
/// - Both empty: 0 (ours; TorchArrow divides by zero). Scores do not count.
/// - Source: TorchArrow `get_jaccard_similarity` (compute_score.h).
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct GetJaccardSimilarity;

pub(crate) const ENTRY: Entry = Entry {
    name: "get_jaccard_similarity",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(GetJaccardSimilarity))
}

impl Op for GetJaccardSimilarity {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(ENTRY.name, inputs, |a, b| {
            let (count, all) = (overlap(a, b), (a.len + b.len) as f32);
            if all == 0.0 {
                0.0
            } else {
                count / (all - count)
            }
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
        let found = apply_to("get_jaccard_similarity", &[], &[&a, &b]).unwrap();
        let expected: [f32; 4] = [1.0, 0.0, 0.2, 0.6];
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
        let found = apply_to("get_jaccard_similarity", &[], &[&a, &b]).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(0.0); 3])));
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_two_scored_lists()) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = apply_to("get_jaccard_similarity", &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let mut rest = ids_of(b);
                let mut matched = 0;
                for id in ids_of(a) {
                    if let Some(place) = rest.iter().position(|other| *other == id) {
                        rest.remove(place);
                        matched += 1;
                    }
                }
                let all = (a.len() + b.len() - matched) as f32;
                if all == 0.0 { 0.0 } else { matched as f32 / all }
            };
            let expected: Vec<_> = rows.iter().map(|(a, b)| Some(naive(a, b).to_bits())).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
