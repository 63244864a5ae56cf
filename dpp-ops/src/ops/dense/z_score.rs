//! [`ZScore`]: values in standard deviations from their mean.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `z_score(mean, std)`: (x − mean) / std; x − mean when std is 0. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - In f32: one subtraction, then one division, each rounded. std is 0 as soon as its f32 is.
/// - Nulls stay null. NaN gives the one canonical NaN. Empty in, empty out.
/// - Errors: mean or std not finite in f32; std < 0.
/// - Source: NVTabular Normalize.
#[derive(Debug)]
pub struct ZScore {
    mean: f32,
    divisor: f32,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "z_score",
    parameters: &["mean", "std"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let mean = reader.finite_float("mean")?;
    let std = reader.finite_float("std")?;
    if std < 0.0 {
        return Err(reader.bad("std", format!("{std} is negative")));
    }
    let divisor = if std == 0.0 { 1.0 } else { std };
    Ok(each_value(ZScore { mean, divisor }))
}

impl EachValue for ZScore {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        (x - self.mean) / self.divisor
    }
}

#[cfg(test)]
mod tests {
    use crate::{ops::testing::*, parameters::Value};

    fn parameters(mean: f64, std: f64) -> [(&'static str, Value); 2] {
        [("mean", Value::Real(mean)), ("std", Value::Real(std))]
    }

    #[test]
    fn std_of_zero_only_centres() {
        let column = dense(&[Some(3.0), Some(7.0), None]);
        let scored = apply("z_score", &parameters(3.0, 2.0), &column).unwrap();
        assert_eq!(
            dense_bits(&scored),
            dense_bits(&dense(&[Some(0.0), Some(2.0), None]))
        );
        for zero in [0.0, -0.0, 1e-60] {
            let centred = apply("z_score", &parameters(3.0, zero), &column).unwrap();
            assert_eq!(
                dense_bits(&centred),
                dense_bits(&dense(&[Some(0.0), Some(4.0), None]))
            );
        }
    }

    #[test]
    fn bad_statistics_are_refused() {
        for (mean, std) in [
            (0.0, -1.0),
            (f64::NAN, 1.0),
            (0.0, f64::INFINITY),
            (1e300, 1.0),
        ] {
            assert!(apply("z_score", &parameters(mean, std), &dense(&[])).is_err());
        }
        assert!(apply("z_score", &[("mean", Value::Integer(0))], &dense(&[])).is_err());
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), -5f32..5.0, 0f32..3.0);
        check_rows("z_score", cases, |(rows, mean, std)| {
            let found = apply(
                "z_score",
                &parameters(mean.into(), std.into()),
                &sliced_dense(&rows),
            )
            .unwrap();
            let naive = |x: f32| {
                if x.is_nan() {
                    f32::NAN
                } else if std == 0.0 {
                    x - mean
                } else {
                    (x - mean) / std
                }
            };
            let expected: Vec<_> = rows
                .iter()
                .map(|row| row.map(|x| naive(x).to_bits()))
                .collect();
            assert_eq!(dense_bits(&found), expected);
        });
    }
}
