//! [`Log`]: the natural logarithm.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::{
        elementwise::{EachValue, each_value},
        logarithm::ln,
    },
    parameters::Reader,
    registry::Entry,
};

/// `log()`: ln(x). dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
/// - log(0) = log(−0) = −inf; x < 0 and NaN give the one canonical NaN; +inf stays.
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: TorchArrow `log`; the kernel is ours.
#[derive(Debug)]
pub struct Log;

pub(crate) const ENTRY: Entry = Entry {
    name: "log",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(each_value(Log))
}

impl EachValue for Log {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        ln(x)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn the_ends_of_the_line() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let cases = [
            (1.0, 0.0),
            (4.0, f32::from_bits(0x3fb1_7218)),
            (0.0, -inf),
            (-0.0, -inf),
            (-1.0, nan),
            (inf, inf),
            (nan, nan),
            (-nan, nan),
            (f32::MAX, f32::from_bits(0x42b1_7218)),
        ];
        for (x, y) in cases {
            check_dense("log", &[], &[Some(x), None], |_| y);
        }
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("log", dense_rows(), |rows| {
            check_dense("log", &[], &rows, |x| f64::from(x).ln() as f32);
        });
    }
}
