//! [`Divide`]: the ratio of two features, or of a feature and a number.

use super::arithmetic::{Arithmetic, Other, arithmetic};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `divide(value, reversed=False)` or `divide(a, b)`: x / value, reversed value / x, a / b. dense, dense `[rows] →
/// [rows]`; an int becomes dense first.
///
/// - Without `value` there are two inputs, else one. A row is null if either side is.
/// - IEEE 754 in f32, rounded once, ints too: x / 0 = ±inf, 0 / 0 and NaN give the one canonical NaN.
/// - Errors: `value` is no number, or too large for f32; `reversed` without `value`.
/// - Source: IEEE 754.
#[derive(Debug)]
pub struct Divide;

pub(crate) const ENTRY: Entry = Entry {
    name: "divide",
    parameters: &["value", "reversed"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let other = Other::read(reader, true)?;
    Ok(arithmetic::<Divide>(other))
}

impl Arithmetic for Divide {
    const NAME: &str = ENTRY.name;
    const WHOLE: Option<fn(i64, i64) -> i64> = None;

    fn dense(x: f32, y: f32) -> f32 {
        x / y
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::{
        dense::arithmetic::testing::{as_naive, two_sides},
        testing::*,
    };

    #[test]
    fn zero_divides_to_infinity_and_nan() {
        let rows = dense(&[Some(1.0), Some(-1.0), Some(0.0), None]);
        let found = apply("divide", &[("value", 0.into())], &rows).unwrap();
        let expected = [
            Some(f32::INFINITY),
            Some(f32::NEG_INFINITY),
            Some(f32::NAN),
            None,
        ];
        assert_eq!(dense_bits(&found), dense_bits(&dense(&expected)));
    }

    #[test]
    fn columns_of_other_rows_are_an_error() {
        let columns = [&dense(&[Some(1.0)]), &dense(&[])];
        let message = apply_to("divide", &[], &columns).unwrap_err().to_string();
        assert_eq!(message, "op divide is given columns of 1 and of 0 rows");
    }

    #[test]
    fn equals_row_by_row() {
        check_rows(
            "divide",
            two_sides(),
            as_naive("divide", |x, y| x / y, None, true),
        );
    }
}
