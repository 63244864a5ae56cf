//! [`Add`]: the sum of two features, or of a feature and a number.

use super::arithmetic::{Arithmetic, Other, arithmetic};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `add(value)` or `add(a, b)`: x + value, a + b. dense, dense `[rows] → [rows]`; with ints, or an int and a whole
/// `value`, int `[rows]`; an int beside a dense becomes dense first.
///
/// - Without `value` there are two inputs, else one. A row is null if either side is.
/// - dense: IEEE 754 in f32, rounded once; NaN gives the one canonical NaN. int: exact, wrapping at 64 bits, so that
///   timestamps in seconds keep their resolution.
/// - Errors: `value` is no number, or too large for f32.
/// - Source: IEEE 754; wrapping as numpy.
#[derive(Debug)]
pub struct Add;

pub(crate) const ENTRY: Entry = Entry {
    name: "add",
    parameters: &["value"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let other = Other::read(reader, false)?;
    Ok(arithmetic::<Add>(other))
}

impl Arithmetic for Add {
    const NAME: &str = ENTRY.name;
    const WHOLE: Option<fn(i64, i64) -> i64> = Some(i64::wrapping_add);

    fn dense(x: f32, y: f32) -> f32 {
        x + y
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{
        dense::arithmetic::testing::{as_naive, check_kinds, two_sides},
        testing::*,
    };

    #[test]
    fn ints_stay_exact_beside_whole_numbers() {
        check_kinds("add", (i64::MAX, i64::MIN), 3.5);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows(
            "add",
            two_sides(),
            as_naive("add", |x, y| x + y, Some(i64::wrapping_add), false),
        );
    }
}
