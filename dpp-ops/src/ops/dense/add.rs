//! [`Add`]: the sum of two features, or of a feature and a number.

use super::arithmetic::{Arithmetic, Other, arithmetic};
use crate::{Error, op::SharedOp, parameters::Reader, registry::Entry};

/// `add(value)` or `add(a, b)`: x + value, a + b. dense, dense `[rows] → [rows]`; with ints, or an int and a whole
/// `value`, int `[rows]`; an int beside a dense becomes dense first.
///
/// - Without `value` there are two inputs, else one. A row is null if either side is.
/// - dense: IEEE 754 in f32, rounded once; NaN gives the one canonical NaN. int: exact, wrapping at 64 bits, so that
///   timestamps in seconds keep their resolution.
/// - Errors: `value` is no number, or too large for f32.
/// - Source: IEEE 754; wrapping as numpy.
#[derive(Debug)]
pub struct Add;

pub(crate) const ENTRY: Entry = Entry {
    name: "add",
    parameters: &["value"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let other = Other::read(reader, false)?;
    Ok(arithmetic::<Add>(other))
}

impl Arithmetic for Add {
    const NAME: &str = ENTRY.name;
    const WHOLE: Option<fn(i64, i64) -> i64> = Some(i64::wrapping_add);

    fn dense(x: f32, y: f32) -> f32 {
        x + y
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;

    use crate::ops::testing::*;

    #[test]
    fn ints_stay_exact_beside_whole_numbers() {
        let column = int(&[Some(i64::MAX), None]);
        let found = apply("add", &[("value", 1.into())], &column).unwrap();
        assert_eq!(
            found.int().unwrap().iter().collect::<Vec<_>>(),
            [Some(i64::MIN), None]
        );
        let whole = dense(&[Some(3.0)]);
        let found = apply("add", &[("value", 0.5.into())], &whole).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(3.5)])));
    }

    #[test]
    fn a_value_is_a_number() {
        assert_eq!(
            refusal("add", &[("value", "x".into())]),
            "op add, parameter `value`: a number is needed, text is given"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            rows((
                option::weighted(0.8, any_f32()),
                option::weighted(0.8, any_f32()),
            )),
            rows((
                option::weighted(0.8, any_i64()),
                option::weighted(0.8, any_i64()),
            )),
            -5f32..5.0,
        );
        check_rows("add", cases, |(rows, ints, number)| {
            let (first, second): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let found = apply_to("add", &[], &[&dense(&first), &sliced_dense(&second)]).unwrap();
            let expected: Vec<_> = rows
                .iter()
                .map(|(x, y)| x.zip(*y).map(|(x, y)| x + y))
                .map(|row| {
                    row.map(|it| {
                        if it.is_nan() {
                            f32::NAN.to_bits()
                        } else {
                            it.to_bits()
                        }
                    })
                })
                .collect();
            assert_eq!(dense_bits(&found), expected);
            let value = ("value", f64::from(number).into());
            check_dense("add", &[value], &first, |x| x + number);
            let (first, second): (Vec<_>, Vec<_>) = ints.iter().copied().unzip();
            let found = apply_to("add", &[], &[&int(&first), &int(&second)]).unwrap();
            let expected: Vec<_> = ints
                .iter()
                .map(|(x, y)| x.zip(*y).map(|(x, y)| x.wrapping_add(y)))
                .collect();
            assert_eq!(found.int().unwrap().iter().collect::<Vec<_>>(), expected);
        });
    }
}
