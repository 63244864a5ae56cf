//! [`GetMaxCount`]: how often shared ids stand, on the side where they stand more often.

use super::{
    matching::{Side, matched},
    measure::{OfTwo, of_two},
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

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
    Ok(of_two(GetMaxCount))
}

impl OfTwo for GetMaxCount {
    const NAME: &str = ENTRY.name;

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        let counts = matched(a, b).map(|(a, b)| a.count.max(b.count));
        counts.sum::<usize>() as f32
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors("get_max_count", [3.0, 0.0, 1.0, 3.0]);
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("get_max_count");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("get_max_count", any_two_scored_lists(), |rows| {
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let (a, b) = (ids_of(a), ids_of(b));
                let times = |ids: &[i64], id: i64| ids.iter().filter(|other| **other == id).count();
                let shared: std::collections::BTreeSet<_> =
                    a.iter().filter(|id| b.contains(id)).collect();
                shared
                    .iter()
                    .map(|id| times(&a, **id).max(times(&b, **id)))
                    .sum::<usize>() as f32
            };
            check_measure("get_max_count", &rows, naive);
        });
    }
}
