//! [`GetCosineSimilarity`]: how alike two features are, by their scores.

use super::{
    matching::{Side, matched},
    measure::{OfTwo, of_two},
};
use crate::{Error, Kind, op::SharedOp, parameters::Reader, registry::Entry};

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
    Ok(of_two(GetCosineSimilarity))
}

impl OfTwo for GetCosineSimilarity {
    const NAME: &str = ENTRY.name;
    const FIRST: &[Kind] = &[Kind::IdScoreList];
    const SECOND: &[Kind] = &[Kind::IdScoreList];
    const LOOKS_AT_ALL: bool = true;

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        let dot: f64 = matched(a, b).map(|(a, b)| a.sum * b.sum).sum();
        match (square(a), square(b)) {
            (0.0, _) | (_, 0.0) => 0.0,
            (of_a, of_b) => (dot / of_a.sqrt() / of_b.sqrt() + 0.0) as f32,
        }
    }
}

fn square(side: &Side<'_>) -> f64 {
    side.groups.iter().map(|it| it.sum * it.sum).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors(
            "get_cosine_similarity",
            [1.0, 0.0, 0.166_024_45, 0.769_134_64],
        );
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("get_cosine_similarity");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("get_cosine_similarity", any_two_scored_lists(), |rows| {
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let sums = |row: &[(i64, f32)]| {
                    let mut sums = BTreeMap::new();
                    row.iter().for_each(|(id, score)| {
                        *sums.entry(*id).or_insert(0.0) += f64::from(*score)
                    });
                    sums
                };
                let (a, b): (BTreeMap<i64, f64>, _) = (sums(a), sums(b));
                let norm = |it: &BTreeMap<i64, f64>| it.values().map(|x| x * x).sum::<f64>().sqrt();
                let dot: f64 = a
                    .iter()
                    .filter_map(|(id, x)| b.get(id).map(|y| x * y))
                    .sum();
                if norm(&a) == 0.0 || norm(&b) == 0.0 {
                    0.0
                } else {
                    (dot / norm(&a) / norm(&b) + 0.0) as f32
                }
            };
            check_measure("get_cosine_similarity", &rows, naive);
        });
    }
}
