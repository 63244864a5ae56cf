//! [`Logit`]: probabilities as log-odds.

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

/// `logit(eps=1e-6)`: with x clamped to [eps, 1 − eps], ln(x / (1 − x)). dense `[rows] → [rows]`; an int becomes
/// dense first.
///
/// - In f32, each step rounded; ln by a kernel of our own, rounded from f64: the same bits on every machine.
/// - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN; ±inf are clamped as any value.
/// - Errors: eps not in (0, 0.5), or so small that 1 − eps is 1 in f32.
/// - Source: Caffe2 Logit (ReAgent has eps = 1e-5).
#[derive(Debug)]
pub struct Logit {
    low: f32,
    high: f32,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "logit",
    parameters: &["eps"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let low = reader.finite_float_or("eps", 1e-6)?;
    let high = 1.0 - low;
    if low <= 0.0 || low >= 0.5 || high == 1.0 {
        let message = format!("{low} is not between 6e-8 and 0.5");
        return Err(reader.bad("eps", message));
    }
    Ok(each_value(Logit { low, high }))
}

impl EachValue for Logit {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        let raised = if x < self.low { self.low } else { x };
        let p = if raised > self.high {
            self.high
        } else {
            raised
        };
        ln(p / (1.0 - p))
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    fn naive(x: f32, eps: f32) -> f32 {
        let p = if x.is_nan() {
            x
        } else {
            x.clamp(eps, 1.0 - eps)
        };
        f64::from(p / (1.0 - p)).ln() as f32
    }

    #[test]
    fn halves_are_even_odds_and_ends_are_clamped() {
        let rows = [Some(0.5), None, Some(f32::NAN)];
        check_dense("logit", &[], &rows, |x| if x == 0.5 { 0.0 } else { x });
        for x in [0.0, -3.0, f32::NEG_INFINITY, 1e-6] {
            check_dense("logit", &[], &[Some(x)], |_| f32::from_bits(0xc15d_0c54));
        }
        let column = apply("logit", &[], &dense(&[Some(1.0), Some(f32::INFINITY)])).unwrap();
        for value in column.dense().unwrap().iter().flatten() {
            assert!((value - 13.8).abs() < 0.1);
        }
    }

    #[test]
    fn bad_eps_is_refused() {
        for eps in [0.0, -0.1, 0.5, 1e-9, f64::NAN] {
            assert!(refusal("logit", &[("eps", eps.into())]).contains("`eps`"));
        }
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), 1e-6f32..0.49);
        check_rows("logit", cases, |(rows, eps)| {
            check_dense("logit", &[("eps", f64::from(eps).into())], &rows, |x| {
                naive(x, eps)
            });
        });
    }
}
