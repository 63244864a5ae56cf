//! [`GetJaccardSimilarity`]: how alike two features are, by their ids.

use super::{
    matching::{Side, overlap},
    measure::{OfTwo, of_two},
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

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
    Ok(of_two(GetJaccardSimilarity))
}

impl OfTwo for GetJaccardSimilarity {
    const NAME: &str = ENTRY.name;

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        let (count, all) = (overlap(a, b), (a.len + b.len) as f32);
        if all == 0.0 {
            0.0
        } else {
            count / (all - count)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors("get_jaccard_similarity", [1.0, 0.0, 0.2, 0.6]);
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("get_jaccard_similarity");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("get_jaccard_similarity", any_two_scored_lists(), |rows| {
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
                if all == 0.0 {
                    0.0
                } else {
                    matched as f32 / all
                }
            };
            check_measure("get_jaccard_similarity", &rows, naive);
        });
    }
}
