//! [`Subtract`]: the difference of two features, or of a feature and a number.

use super::arithmetic::{Arithmetic, Other, arithmetic};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `subtract(value, reversed=False)` or `subtract(a, b)`: x − value, reversed value − x, a − b. dense, dense `[rows]
/// → [rows]`; with ints, or an int and a whole `value`, int `[rows]`; an int beside a dense becomes dense first.
///
/// - Without `value` there are two inputs, else one. A row is null if either side is.
/// - dense: IEEE 754 in f32, rounded once; NaN gives the one canonical NaN. int: exact, wrapping at 64 bits, so that
///   timestamps in seconds keep their resolution.
/// - Errors: `value` is no number, or too large for f32; `reversed` without `value`.
/// - Source: IEEE 754; wrapping as numpy.
#[derive(Debug)]
pub struct Subtract;

pub(crate) const ENTRY: Entry = Entry {
    name: "subtract",
    parameters: &["value", "reversed"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let other = Other::read(reader, true)?;
    Ok(arithmetic::<Subtract>(other))
}

impl Arithmetic for Subtract {
    const NAME: &str = ENTRY.name;
    const WHOLE: Option<fn(i64, i64) -> i64> = Some(i64::wrapping_sub);

    fn dense(x: f32, y: f32) -> f32 {
        x - y
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
        check_kinds("subtract", (1_700_000_001, 1_700_000_000), 2.5);
    }

    #[test]
    fn reversed_goes_with_a_value() {
        let parameters = [("value", 1.into()), ("reversed", true.into())];
        let found = apply("subtract", &parameters, &int(&[Some(5)])).unwrap();
        assert_eq!(found.int().unwrap().value(0), -4);
        let message = refusal("subtract", &[("reversed", true.into())]);
        assert_eq!(
            message,
            "op subtract, parameter `reversed`: it goes with `value`; swap the inputs"
        );
    }

    #[test]
    fn equals_row_by_row() {
        check_rows(
            "subtract",
            two_sides(),
            as_naive("subtract", |x, y| x - y, Some(i64::wrapping_sub), true),
        );
    }
}
