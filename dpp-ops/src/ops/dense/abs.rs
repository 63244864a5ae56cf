//! [`Abs`]: the distance from zero.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `abs()`: |x|. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - −0 becomes 0; −inf becomes +inf; NaN gives the one canonical NaN.
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: IEEE 754.
#[derive(Debug)]
pub struct Abs;

pub(crate) const ENTRY: Entry = Entry {
    name: "abs",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(each_value(Abs))
}

impl EachValue for Abs {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        x.abs()
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn the_sign_goes() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let cases = [
            (-1.5, 1.5),
            (1.5, 1.5),
            (-0.0, 0.0),
            (-inf, inf),
            (-nan, nan),
        ];
        for (x, y) in cases {
            check_dense("abs", &[], &[Some(x), None], |_| y);
        }
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("abs", dense_rows(), |rows| {
            check_dense("abs", &[], &rows, |x| {
                f32::from_bits(x.to_bits() & 0x7fff_ffff)
            });
        });
    }
}
