//! [`Clamp`]: values kept between two bounds.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `clamp(min, max)`: min if x < min, max if x > max, else x. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Either bound may be left out, not both. A bound may be infinite.
/// - Nulls stay null. NaN passes, as the one canonical NaN. Empty in, empty out. −0 is not below 0, so it passes `min=0`.
/// - Errors: min > max; a bound that is NaN, no number or too large for f32; no bound at all.
/// - Source: TorchArrow `clamp` (Velox `clamp`).
#[derive(Debug)]
pub struct Clamp {
    bounds: Bounds,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "clamp",
    parameters: &["min", "max"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let bounds = Bounds::read(reader)?;
    Ok(each_value(Clamp { bounds }))
}

/// What values are kept between; the least is no more than the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    min: f32,
    max: f32,
}

impl Bounds {
    /// Reads `min` and `max`, of which one may be missing.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Bounds, Error> {
        let min = bound(reader, "min")?;
        let max = bound(reader, "max")?;
        if min.is_none() && max.is_none() {
            return Err(reader.bad("min", "give min, max or both"));
        }
        let min = min.unwrap_or(f32::NEG_INFINITY);
        let max = max.unwrap_or(f32::INFINITY);
        if min > max {
            return Err(reader.bad("min", format!("{min} is more than max {max}")));
        }
        Ok(Bounds { min, max })
    }

    /// The bound that x is beyond, else x. NaN passes.
    #[inline(always)]
    pub(crate) fn clamp(self, x: f32) -> f32 {
        let raised = if x < self.min { self.min } else { x };
        if raised > self.max { self.max } else { raised }
    }
}

fn bound(reader: &mut Reader<'_>, name: &str) -> Result<Option<f32>, Error> {
    match reader.optional_float(name)? {
        Some(bound) if bound.is_nan() => Err(reader.bad(name, "NaN is no bound")),
        bound => Ok(bound),
    }
}

impl EachValue for Clamp {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        self.bounds.clamp(x)
    }
}

#[cfg(test)]
mod tests {
    use crate::{ops::testing::*, parameters::Value};

    #[test]
    fn bounds_hold_and_nan_passes() {
        let column = dense(&[
            Some(-5.0),
            Some(0.5),
            Some(7.0),
            None,
            Some(f32::NAN),
            Some(f32::INFINITY),
        ]);
        let bounds = [("min", Value::Integer(0)), ("max", Value::Real(1.0))];
        let expected = dense(&[
            Some(0.0),
            Some(0.5),
            Some(1.0),
            None,
            Some(f32::NAN),
            Some(1.0),
        ]);
        assert_eq!(
            dense_bits(&apply("clamp", &bounds, &column).unwrap()),
            dense_bits(&expected)
        );
    }

    #[test]
    fn bad_bounds_are_refused() {
        let column = dense(&[]);
        let min = |value| ("min", Value::Real(value));
        let max = |value| ("max", Value::Real(value));
        assert!(apply("clamp", &[min(2.0), max(1.0)], &column).is_err());
        assert!(apply("clamp", &[min(f64::NAN)], &column).is_err());
        assert!(apply("clamp", &[max(1e300)], &column).is_err());
        assert!(apply("clamp", &[], &column).is_err());
        assert!(apply("clamp", &[min(1.0), max(1.0)], &column).is_ok());
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), -5f32..5.0, 0f32..5.0);
        check_rows("clamp", cases, |(rows, min, width)| {
            let max = min + width;
            let parameters = [
                ("min", Value::Real(min.into())),
                ("max", Value::Real(max.into())),
            ];
            let naive = |x: f32| match x.partial_cmp(&min) {
                Some(std::cmp::Ordering::Less) => min,
                _ if x > max => max,
                _ => x,
            };
            check_dense("clamp", &parameters, &rows, naive);
        });
    }
}
