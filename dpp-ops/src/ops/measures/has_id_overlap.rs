//! [`HasIdOverlap`]: whether two features meet.

use super::{
    matching::{Side, matched},
    measure::{OfTwo, of_two},
};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `has_id_overlap(a, b)`: 1 if a and b share an id, else 0. id_list, id_list → dense `[rows]`. An int becomes an
/// id_list first.
///
/// - An empty side gives 0. Scores do not count.
/// - Source: TorchArrow `has_id_overlap` (compute_score.h).
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct HasIdOverlap;

pub(crate) const ENTRY: Entry = Entry {
    name: "has_id_overlap",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(of_two(HasIdOverlap))
}

impl OfTwo for HasIdOverlap {
    const NAME: &str = ENTRY.name;

    fn of(a: &Side<'_>, b: &Side<'_>) -> f32 {
        f32::from(u8::from(matched(a, b).next().is_some()))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{measures::testing::*, testing::*};

    #[test]
    fn vectors_of_torcharrow_hold() {
        check_vectors("has_id_overlap", [1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn empty_rows_give_zero() {
        check_empty_rows("has_id_overlap");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("has_id_overlap", any_two_scored_lists(), |rows| {
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let b = ids_of(b);
                if ids_of(a).iter().any(|id| b.contains(id)) {
                    1.0
                } else {
                    0.0
                }
            };
            check_measure("has_id_overlap", &rows, naive);
        });
    }
}
