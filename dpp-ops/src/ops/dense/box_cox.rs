//! [`BoxCox`]: a power transform that straightens skew.

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

/// `box_cox(lambda1, lambda2=0)`: with t = max(x + lambda2, 1e-6): ln t if lambda1 = 0, else (t^lambda1 − 1) /
/// lambda1. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - In f32, each step rounded; ln by a kernel of our own, the power by pure-Rust `libm`, both rounded from f64: the same
///   bits on every machine.
/// - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN; −inf counts as the floor 1e-6.
/// - Errors: lambda1 or lambda2 not finite in f32. lambda1 is 0 as soon as its f32 is.
/// - Source: Caffe2 BatchBoxCox.
#[derive(Debug)]
pub struct BoxCox {
    lambda1: f32,
    lambda2: f32,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "box_cox",
    parameters: &["lambda1", "lambda2"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let lambda1 = reader.finite_float("lambda1")?;
    let lambda2 = reader.finite_float_or("lambda2", 0.0)?;
    Ok(each_value(BoxCox { lambda1, lambda2 }))
}

impl EachValue for BoxCox {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        const FLOOR: f32 = 1e-6;
        let shifted = x + self.lambda2;
        let t = if shifted < FLOOR { FLOOR } else { shifted };
        if self.lambda1 == 0.0 {
            ln(t)
        } else if t.is_nan() {
            t
        } else {
            (power(t, self.lambda1) - 1.0) / self.lambda1
        }
    }
}

/// Rounded from f64: an f32 kernel's last bit would be lost twice over in the difference to 1.
fn power(base: f32, exponent: f32) -> f32 {
    libm::pow(base.into(), exponent.into()) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    use crate::parameters::Value;

    fn parameters(lambda1: f64, lambda2: f64) -> [(&'static str, Value); 2] {
        [("lambda1", lambda1.into()), ("lambda2", lambda2.into())]
    }

    #[test]
    fn powers_and_the_logarithm_between_them() {
        let check = |lambda1, lambda2, x, y| {
            let rows = [Some(x), None];
            check_dense("box_cox", &parameters(lambda1, lambda2), &rows, |_| y);
        };
        check(0.0, 0.0, 2.0, f32::from_bits(0x3f31_7218));
        check(1.0, 0.0, 5.0, 4.0);
        check(2.0, 1.0, 2.0, 4.0);
        check(0.5, 0.0, 9.0, 4.0);
        check(-1.0, 0.0, 4.0, 0.75);
        check(0.0, 0.0, -7.0, f32::from_bits(0xc15d_0c55));
        check(0.0, 0.0, f32::NAN, f32::NAN);
        check(2.0, 0.0, f32::NAN, f32::NAN);
        check(2.0, 0.0, f32::INFINITY, f32::INFINITY);
    }

    #[test]
    fn bad_powers_are_refused() {
        assert!(refusal("box_cox", &parameters(f64::NAN, 0.0)).contains("`lambda1`"));
        assert!(refusal("box_cox", &parameters(0.0, 1e300)).contains("`lambda2`"));
        assert_eq!(
            refusal("box_cox", &[]),
            "op box_cox needs the parameter `lambda1`"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            dense_rows(),
            prop_oneof![Just(0f32), -3f32..3.0],
            -2f32..2.0,
        );
        check_rows("box_cox", cases, |(rows, lambda1, lambda2)| {
            let naive = |x: f32| {
                if x.is_nan() {
                    return x;
                }
                let t = (x + lambda2).max(1e-6);
                match lambda1 == 0.0 {
                    true => f64::from(t).ln() as f32,
                    false => (f64::from(t).powf(lambda1.into()) as f32 - 1.0) / lambda1,
                }
            };
            check_dense(
                "box_cox",
                &parameters(lambda1.into(), lambda2.into()),
                &rows,
                naive,
            );
        });
    }
}
