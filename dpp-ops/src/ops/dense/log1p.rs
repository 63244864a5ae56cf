//! [`Log1p`]: the logarithm that tames counts.

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

/// `log1p()`: ln(1 + x), natural. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
/// - log1p(−1) = −inf; x < −1 and NaN give the one canonical NaN; +inf stays; −0 stays.
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: NVTabular LogOp; the kernel is ours.
#[derive(Debug)]
pub struct Log1p;

pub(crate) const ENTRY: Entry = Entry {
    name: "log1p",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(each_value(Log1p))
}

impl EachValue for Log1p {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        ln_1p(x)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn bits_are_golden() {
        let golden = [
            (0.0, 0x0000_0000),
            (-0.0, 0x8000_0000),
            (1.0, 0x3f31_7218),
            (99.0, 0x4093_5d8e),
            (1e-10, 0x2edb_e6ff),
            (-0.5, 0xbf31_7218),
            (-1.0, 0xff80_0000),
            (-2.0, 0x7fc0_0000),
            (f32::NAN, 0x7fc0_0000),
            (-f32::NAN, 0x7fc0_0000),
            (f32::INFINITY, 0x7f80_0000),
            (f32::MAX, 0x42b1_7218),
        ];
        for (x, bits) in golden {
            let found = dense_bits(&apply("log1p", &[], &dense(&[Some(x), None])).unwrap());
            assert_eq!(found, [Some(bits), None], "log1p({x})");
        }
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("log1p", dense_rows(), |rows| {
            check_dense("log1p", &[], &rows, |x| libm::log1p(x.into()) as f32);
        });
    }
}
