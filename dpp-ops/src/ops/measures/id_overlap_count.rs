//! [`IdOverlapCount`]: how many ids two features share.

use super::{
    matching::{Side, overlap},
    measure::{OfTwo, of_two},
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `id_overlap_count(a, b)`: Σ over ids of min(times in a, times in b): the size of the multiset intersection.
/// id_list, id_list → dense `[rows]`. An int becomes an id_list first.
///
/// - An empty side gives 0. Scores do not count. Exact up to 2^24.
/// - Source: TorchArrow `id_overlap_count` (compute_score.h): its code, not its docstring.
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct IdOverlapCount;

pub(crate) const ENTRY: Entry = Entry {
    name: "id_overlap_count",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(of_two(IdOverlapCount))
}

impl OfTwo for IdOverlapCount {
    const NAME: &str = ENTRY.name;

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        overlap(a, b)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors("id_overlap_count", [3.0, 0.0, 1.0, 3.0]);
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("id_overlap_count");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("id_overlap_count", any_two_scored_lists(), |rows| {
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let mut rest = ids_of(b);
                let mut matched = 0;
                for id in ids_of(a) {
                    if let Some(place) = rest.iter().position(|other| *other == id) {
                        rest.remove(place);
                        matched += 1;
                    }
                }
                matched as f32
            };
            check_measure("id_overlap_count", &rows, naive);
        });
    }
}
