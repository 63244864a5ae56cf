//! [`GetScoreMin`]: the lowest score of what two features share.

use super::{
    matching::{Side, lower, matched},
    measure::{OfTwo, of_two},
};
use crate::{Error, Kind, op::SharedOp, parameters::Reader, registry::Entry};

/// `get_score_min(a, b)`: the lowest of b's scores over the ids that a has too. id_list, id_score_list →
/// dense `[rows]`. An int becomes an id_list first.
///
/// - No match gives 0. NaN is passed over, and is the result only where every match is NaN; of 0 and −0 the one with
///   the lower id stays. a's scores do not count.
/// - Source: TorchArrow `get_score_min` (compute_score.h).
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct GetScoreMin;

pub(crate) const ENTRY: Entry = Entry {
    name: "get_score_min",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(of_two(GetScoreMin))
}

impl OfTwo for GetScoreMin {
    const NAME: &str = ENTRY.name;
    const SECOND: &[Kind] = &[Kind::IdScoreList];

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        let scores = matched(a, b).map(|(_, b)| b.min);
        scores.reduce(lower).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors("get_score_min", [1.0, 0.0, 7.0, 10.0]);
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("get_score_min");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("get_score_min", any_two_scored_lists(), |rows| {
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let shared = b.iter().filter(|(id, _)| ids_of(a).contains(id));
                let scores = shared.map(|(_, score)| *score);
                scores
                    .reduce(|a, b| if b < a { b } else { a })
                    .unwrap_or(0.0)
            };
            check_measure("get_score_min", &rows, naive);
        });
    }
}
