//! [`GetCosineSimilarity`]: how alike two features are, by their scores.

use std::sync::Arc;

use super::matching::{Side, each_row, matched};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `get_cosine_similarity(a, b)`: Σ a_i·b_i / |a| / |b|, a_i the sum of an id's scores in a. id_score_list,
/// id_score_list → dense `[rows]`.
///
/// - Zero norm on either side, an empty one included: 0 (ours; TorchArrow fails). Sums run over ascending ids, an
///   id's scores in list order; ±inf and NaN in a score give the one canonical NaN where the formula does.
/// - Source: TorchArrow `get_cosine_similarity` (compute_score.h).
/// - Computed in f64, rounded once. No parameters, no errors.
#[derive(Debug)]
pub struct GetCosineSimilarity;

pub(crate) const ENTRY: Entry = Entry {
    name: "get_cosine_similarity",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(GetCosineSimilarity))
}

impl Op for GetCosineSimilarity {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, &[Kind::IdScoreList], &[Kind::IdScoreList]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(ENTRY.name, inputs, |a, b| {
            let dot: f64 = matched(a, b).map(|(a, b)| a.sum * b.sum).sum();
            match (square(a), square(b)) {
                (0.0, _) | (_, 0.0) => 0.0,
                (of_a, of_b) => (dot / of_a.sqrt() / of_b.sqrt() + 0.0) as f32,
            }
        })
    }
}

fn square(side: &Side<'_>) -> f64 {
    side.groups.iter().map(|it| it.sum * it.sum).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use crate::ops::testing::*;

    #[test]
    fn vectors_of_torcharrow_hold() {
        let (a, b) = torcharrow();
        let found = apply_to("get_cosine_similarity", &[], &[&a, &b]).unwrap();
        let expected: [f32; 4] = [1.0, 0.0, 0.166_024_45, 0.769_134_64];
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
        let found = apply_to("get_cosine_similarity", &[], &[&a, &b]).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(0.0); 3])));
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_two_scored_lists()) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = apply_to("get_cosine_similarity", &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let sums = |row: &[(i64, f32)]| {
                    let mut sums = BTreeMap::new();
                    row.iter().for_each(|(id, score)| *sums.entry(*id).or_insert(0.0) += f64::from(*score));
                    sums
                };
                let (a, b): (BTreeMap<i64, f64>, _) = (sums(a), sums(b));
                let norm = |it: &BTreeMap<i64, f64>| it.values().map(|x| x * x).sum::<f64>().sqrt();
                let dot: f64 = a.iter().filter_map(|(id, x)| b.get(id).map(|y| x * y)).sum();
                if norm(&a) == 0.0 || norm(&b) == 0.0 { 0.0 } else { (dot / norm(&a) / norm(&b) + 0.0) as f32 }
            };
            let expected: Vec<_> = rows.iter().map(|(a, b)| Some(naive(a, b).to_bits())).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
