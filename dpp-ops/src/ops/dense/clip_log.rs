//! [`ClipLog`]: a logarithm that never falls below ln(1e-6).

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

/// `clip_log()`: ln(max(x, 1e-6)). dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Computed in f64 by a kernel of our own and rounded once: the same bits on every machine.
/// - x ≤ 1e-6, negative values and −inf included, give ln(1e-6) = −13.8155; +inf stays; NaN gives the one canonical
///   NaN.
/// - Nulls stay null. Empty in, empty out. No parameters, no errors.
/// - Source: ReAgent preprocessing.
#[derive(Debug)]
pub struct ClipLog;

pub(crate) const ENTRY: Entry = Entry {
    name: "clip_log",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(each_value(ClipLog))
}

const FLOOR: f32 = 1e-6;

impl EachValue for ClipLog {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        ln(if x < FLOOR { FLOOR } else { x })
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn small_values_stop_at_the_floor() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let cases = [
            (1.0, 0.0),
            (0.0, f32::from_bits(0xc15d_0c55)),
            (-5.0, f32::from_bits(0xc15d_0c55)),
            (-inf, f32::from_bits(0xc15d_0c55)),
            (inf, inf),
            (nan, nan),
        ];
        for (x, y) in cases {
            check_dense("clip_log", &[], &[Some(x), None], |_| y);
        }
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("clip_log", dense_rows(), |rows| {
            check_dense("clip_log", &[], &rows, |x| {
                if x.is_nan() {
                    x
                } else {
                    f64::from(x.max(1e-6)).ln() as f32
                }
            });
        });
    }
}
