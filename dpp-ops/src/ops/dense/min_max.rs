//! [`MinMax`]: values as their place between two bounds.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `min_max(lo, hi)`: (x − lo) / (hi − lo); 0.5 when lo = hi. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - In f32: two subtractions, one division, each rounded. Values outside the bounds fall outside [0, 1]: `clamp` is
///   for those.
/// - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN, also when lo = hi.
/// - Errors: lo > hi; a bound not finite in f32; bounds so far apart that hi − lo is not.
/// - Source: NVTabular NormalizeMinMax (whose x / 2x is 0.5, and NaN for 0; ours is 0.5).
#[derive(Debug)]
pub struct MinMax {
    lo: f32,
    width: f32,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "min_max",
    parameters: &["lo", "hi"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let lo = reader.finite_float("lo")?;
    let hi = reader.finite_float("hi")?;
    if lo > hi {
        return Err(reader.bad("lo", format!("{lo} is more than hi {hi}")));
    }
    let width = hi - lo;
    if width.is_infinite() {
        return Err(reader.bad("hi", format!("{hi} is too far from lo {lo} for f32")));
    }
    Ok(each_value(MinMax { lo, width }))
}

impl EachValue for MinMax {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        if self.width == 0.0 {
            if x.is_nan() { x } else { 0.5 }
        } else {
            (x - self.lo) / self.width
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    use crate::parameters::Value;

    fn parameters(lo: f64, hi: f64) -> [(&'static str, Value); 2] {
        [("lo", lo.into()), ("hi", hi.into())]
    }

    #[test]
    fn bounds_become_zero_and_one() {
        let rows = [Some(2.0), Some(4.0), Some(6.0), Some(8.0), None];
        check_dense("min_max", &parameters(2.0, 6.0), &rows, |x| x / 4.0 - 0.5);
        check_dense("min_max", &parameters(2.0, 2.0), &rows, |_| 0.5);
        check_dense("min_max", &parameters(2.0, 2.0), &[Some(f32::NAN)], |x| x);
    }

    #[test]
    fn bad_bounds_are_refused() {
        assert_eq!(
            refusal("min_max", &parameters(2.0, 1.0)),
            "op min_max, parameter `lo`: 2 is more than hi 1"
        );
        assert!(refusal("min_max", &parameters(-3e38, 3e38)).contains("`hi`"));
        assert!(refusal("min_max", &parameters(f64::NAN, 1.0)).contains("`lo`"));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), -5f32..5.0, 0f32..5.0);
        check_rows("min_max", cases, |(rows, lo, width)| {
            let hi = lo + width;
            let naive = |x: f32| match (x - x, hi > lo) {
                (_, true) => (x - lo) / (hi - lo),
                _ if x.is_nan() => x,
                _ => 0.5,
            };
            check_dense("min_max", &parameters(lo.into(), hi.into()), &rows, naive);
        });
    }
}
