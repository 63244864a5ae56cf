//! [`GetScoreSum`]: the scores of what two features share.

use super::{
    matching::{Side, matched},
    measure::{OfTwo, of_two},
};
use crate::{Error, Kind, op::SharedOp, parameters::Reader, registry::Entry};

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
    Ok(of_two(GetScoreSum))
}

impl OfTwo for GetScoreSum {
    const NAME: &str = ENTRY.name;
    const SECOND: &[Kind] = &[Kind::IdScoreList];

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        matched(a, b).map(|(_, b)| b.sum).sum::<f64>() as f32 + 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors("get_score_sum", [6.0, 0.0, 7.0, 31.0]);
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("get_score_sum");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("get_score_sum", any_two_scored_lists(), |rows| {
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let mut sums = BTreeMap::new();
                let shared = b.iter().filter(|(id, _)| ids_of(a).contains(id));
                shared.for_each(|(id, score)| *sums.entry(*id).or_insert(0.0) += f64::from(*score));
                sums.values().sum::<f64>() as f32 + 0.0
            };
            check_measure("get_score_sum", &rows, naive);
        });
    }
}
