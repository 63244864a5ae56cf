//! [`SignLog1p`]: a logarithm for values of either sign.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::{
        elementwise::{EachValue, each_value},
        logarithm::ln_1p,
    },
    parameters::Reader,
    registry::Entry,
};

/// `sign_log1p()`: sign(x)·ln(1 + |x|). dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
/// - Odd: sign_log1p(−x) = −sign_log1p(x), −0 stays; ±inf stay; NaN gives the one canonical NaN.
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: ours; `log1p` on the positive half.
#[derive(Debug)]
pub struct SignLog1p;

pub(crate) const ENTRY: Entry = Entry {
    name: "sign_log1p",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(each_value(SignLog1p))
}

impl EachValue for SignLog1p {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        ln_1p(x.abs()).copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn is_odd_and_keeps_the_ends() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let cases = [
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0, f32::from_bits(0x3f31_7218)),
            (-1.0, f32::from_bits(0xbf31_7218)),
            (inf, inf),
            (-inf, -inf),
            (nan, nan),
        ];
        for (x, y) in cases {
            check_dense("sign_log1p", &[], &[Some(x), None], |_| y);
        }
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("sign_log1p", dense_rows(), |rows| {
            check_dense("sign_log1p", &[], &rows, |x| {
                let magnitude = libm::log1p(f64::from(x).abs()) as f32;
                if x.is_sign_negative() {
                    -magnitude
                } else {
                    magnitude
                }
            });
        });
    }
}
