//! [`Quantile`]: values as their place among quantiles.

use crate::{
    Error,
    op::SharedOp,
    ops::dense::elementwise::{EachValue, each_value},
    parameters::Reader,
    registry::Entry,
};

/// `quantile(borders)`: the share of n borders b below x, between them linear: (i − 1 + (x − b[i−1]) / (b[i] −
/// b[i−1])) / (n − 1) with i = number of borders ≤ x. dense `[rows] → [rows]`; an int becomes dense first.
///
/// - x below the first border gives 0, from the last on 1. At a doubled border x counts as past it.
/// - In f64, rounded once at the end.
/// - Nulls stay null. Empty in, empty out. NaN gives the one canonical NaN.
/// - Errors: fewer than two borders; a border smaller than the one before, or not finite in f32.
/// - Source: ReAgent preprocessing (QUANTILE).
#[derive(Debug)]
pub struct Quantile {
    borders: Vec<f32>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "quantile",
    parameters: &["borders"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let borders = reader.floats("borders")?;
    if borders.len() < 2 {
        return Err(reader.bad("borders", "at least two borders are needed"));
    }
    if let Some(place) = borders.iter().position(|border| !border.is_finite()) {
        return Err(reader.bad("borders", format!("border {place} is not finite")));
    }
    if let Some(place) = borders.windows(2).position(|pair| pair[0] > pair[1]) {
        let message = format!(
            "border {} is smaller than the one before; sort them",
            place + 1
        );
        return Err(reader.bad("borders", message));
    }
    Ok(each_value(Quantile { borders }))
}

impl EachValue for Quantile {
    const NAME: &str = ENTRY.name;

    #[inline(always)]
    fn one(&self, x: f32) -> f32 {
        let borders = &self.borders;
        let place = borders.partition_point(|border| *border <= x);
        if x.is_nan() {
            x
        } else if place == 0 {
            0.0
        } else if place == borders.len() {
            1.0
        } else {
            let (below, above) = (f64::from(borders[place - 1]), f64::from(borders[place]));
            let between = (f64::from(x) - below) / (above - below);
            let last = (borders.len() - 1) as f64;
            (((place - 1) as f64 + between) / last) as f32
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    use proptest::collection::vec;

    use crate::parameters::Value;

    fn parameters(borders: &[f32]) -> [(&'static str, Value); 1] {
        let borders: Vec<f64> = borders.iter().copied().map(f64::from).collect();
        [("borders", borders.into())]
    }

    #[test]
    fn borders_are_steps_and_between_them_it_is_linear() {
        let cases = [
            (-9.0, 0.0),
            (0.0, 0.0),
            (5.0, 0.25),
            (10.0, 0.5),
            (15.0, 0.75),
            (20.0, 1.0),
            (f32::INFINITY, 1.0),
            (f32::NEG_INFINITY, 0.0),
            (f32::NAN, f32::NAN),
        ];
        for (x, y) in cases {
            let borders = parameters(&[0.0, 10.0, 20.0]);
            check_dense("quantile", &borders, &[Some(x), None], |_| y);
        }
        let doubled = parameters(&[0.0, 1.0, 1.0, 2.0, 4.0]);
        check_dense("quantile", &doubled, &[Some(1.0)], |_| 0.5);
    }

    #[test]
    fn bad_borders_are_refused() {
        for borders in [&[][..], &[1.0], &[2.0, 1.0], &[0.0, f32::INFINITY]] {
            assert!(refusal("quantile", &parameters(borders)).contains("`borders`"));
        }
    }

    fn naive(borders: &[f32], x: f32) -> f32 {
        if x.is_nan() || x < borders[0] {
            return if x.is_nan() { x } else { 0.0 };
        }
        for (place, pair) in borders.windows(2).enumerate() {
            if pair[0] <= x && x < pair[1] {
                let (from, to) = (f64::from(pair[0]), f64::from(pair[1]));
                let share = (f64::from(x) - from) / (to - from);
                return ((place as f64 + share) / (borders.len() - 1) as f64) as f32;
            }
        }
        1.0
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (dense_rows(), vec(-4i8..4, 2..9));
        check_rows("quantile", cases, |(rows, mut borders)| {
            borders.sort_unstable();
            let borders: Vec<f32> = borders.into_iter().map(f32::from).collect();
            check_dense("quantile", &parameters(&borders), &rows, |x| {
                naive(&borders, x)
            });
        });
    }
}
