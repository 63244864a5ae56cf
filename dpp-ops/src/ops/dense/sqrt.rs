//! [`Sqrt`]: the square root.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `sqrt()`: √x. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Correctly rounded, as IEEE 754 asks: the same bits on every machine.
/// - √−0 = −0; x < 0 and NaN give the one canonical NaN; +inf stays.
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: IEEE 754.
#[derive(Debug)]
pub struct Sqrt;

pub(crate) const ENTRY: Entry = Entry {
    name: "sqrt",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(each_value(Sqrt))
}

impl EachValue for Sqrt {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        x.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn the_ends_of_the_line() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let cases = [
            (4.0, 2.0),
            (2.0, f32::from_bits(0x3fb5_04f3)),
            (0.0, 0.0),
            (-0.0, -0.0),
            (-1.0, nan),
            (-inf, nan),
            (inf, inf),
            (nan, nan),
        ];
        for (x, y) in cases {
            check_dense("sqrt", &[], &[Some(x), None], |_| y);
        }
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("sqrt", dense_rows(), |rows| {
            check_dense("sqrt", &[], &rows, |x| f64::from(x).sqrt() as f32);
        });
    }
}
