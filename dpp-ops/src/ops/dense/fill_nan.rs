//! [`FillNan`]: a value in place of NaN.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `fill_nan(value)`: value if x is NaN, else x. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Infinities stay. Nulls stay null: `fill_null` is for those. Empty in, empty out.
/// - Errors: `value` is no finite number of f32.
/// - Source: Polars `fill_nan`.
#[derive(Debug)]
pub struct FillNan {
    value: f32,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "fill_nan",
    parameters: &["value"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let value = reader.finite_float("value")?;
    Ok(each_value(FillNan { value }))
}

impl EachValue for FillNan {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        if x.is_nan() { self.value } else { x }
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn only_nan_is_replaced() {
        let rows = [Some(f32::NAN), Some(f32::INFINITY), Some(-0.0), None];
        let naive = |x: f32| if x.is_nan() { 0.25 } else { x };
        check_dense("fill_nan", &[("value", 0.25.into())], &rows, naive);
        let message = refusal("fill_nan", &[("value", f64::NAN.into())]);
        assert_eq!(message, "op fill_nan, parameter `value`: NaN is not finite");
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), -5f32..5.0);
        check_rows("fill_nan", cases, |(rows, value)| {
            let parameters = [("value", f64::from(value).into())];
            check_dense("fill_nan", &parameters, &rows, |x| {
                if x == x { x } else { value }
            });
        });
    }
}
