//! Distributions as tables of quantiles, so that a draw costs one random word and a lookup.
//!
//! Uniform words go in, values come out. Built from pure-Rust functions: the same bits on every machine.

/// A distribution by its quantiles at evenly spaced levels, straight lines between them.
#[derive(Debug)]
pub(crate) struct Quantiles {
    at: Vec<f64>,
}

impl Quantiles {
    /// Tabulates a quantile function. The outermost levels lie a little inside (0, 1), where all of ours are finite.
    fn new(quantile: impl Fn(f64) -> f64) -> Quantiles {
        let inside = 0.25 / f64::from(CELLS);
        let level = |i| (f64::from(i) / f64::from(CELLS)).clamp(inside, 1.0 - inside);
        Quantiles {
            at: (0..=CELLS).map(|i| quantile(level(i))).collect(),
        }
    }

    /// Normal with mean 0 and deviation 1.
    pub(crate) fn normal() -> Quantiles {
        Quantiles::new(normal)
    }

    /// exp of a normal with this mean and deviation.
    pub(crate) fn lognormal(mean: f64, deviation: f64) -> Quantiles {
        Quantiles::new(|level| libm::exp(mean + deviation * normal(level)))
    }

    /// Ranks from 1 to `most`, the density of rank r proportional to r^-exponent (not 1).
    pub(crate) fn zipf(exponent: f64, most: f64) -> Quantiles {
        let e = 1.0 - exponent;
        let span = libm::pow(most, e) - 1.0;
        Quantiles::new(|level| libm::pow(span * level + 1.0, 1.0 / e))
    }

    /// Lengths of at least 1 with this mean (> 1), geometric. To be rounded down.
    pub(crate) fn length(mean: f64) -> Quantiles {
        let stay = libm::log(1.0 - 1.0 / mean);
        Quantiles::new(|level| 1.0 + libm::log(1.0 - level) / stay)
    }

    /// The value at the level given by the upper 36 bits of a random word.
    pub(crate) fn draw(&self, word: u64) -> f64 {
        let cell = usize::try_from(word >> (64 - CELL_BITS)).expect("12 bits");
        let within = ((word >> 28) & 0x00FF_FFFF) as f64 / f64::from(1u32 << 24);
        let (low, high) = (self.at[cell], self.at[cell + 1]);
        low + (high - low) * within
    }
}

/// The level, in [0, 1), that [`Quantiles::draw`] takes from a word.
pub(crate) fn level(word: u64) -> f64 {
    (word >> 28) as f64 / (1u64 << 36) as f64
}

/// True with probability `share`, from the lower 28 bits of a random word, which no draw uses.
pub(crate) fn happens(word: u64, share: f64) -> bool {
    ((word & 0x0FFF_FFFF) as f64) < share * f64::from(1u32 << 28)
}

/// Inverse of the normal distribution function, to nine digits.
///
/// Source: Acklam, "An algorithm for computing the inverse normal cumulative distribution function", 2003.
fn normal(level: f64) -> f64 {
    let tail = |level: f64| {
        let q = libm::sqrt(-2.0 * libm::log(level));
        polynomial(&C, q) / (polynomial(&D, q) * q + 1.0)
    };
    if level < TAIL {
        tail(level)
    } else if level > 1.0 - TAIL {
        -tail(1.0 - level)
    } else {
        let q = level - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    }
}

/// Highest power first.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

const CELL_BITS: u32 = 12;
const CELLS: u32 = 1 << CELL_BITS;

const TAIL: f64 = 0.02425;
const A: [f64; 6] = [
    -3.969683028665376e+01,
    2.209460984245205e+02,
    -2.759285104469687e+02,
    1.38357751867269e+02,
    -3.066479806614716e+01,
    2.506628277459239e+00,
];
const B: [f64; 5] = [
    -5.447609879822406e+01,
    1.615858368580409e+02,
    -1.556989798598866e+02,
    6.680131188771972e+01,
    -1.328068155288572e+01,
];
const C: [f64; 6] = [
    -7.784894002430293e-03,
    -3.223964580411365e-01,
    -2.400758277161838e+00,
    -2.549732539343734e+00,
    4.374664141464968e+00,
    2.938163982698783e+00,
];
const D: [f64; 4] = [
    7.784695709041462e-03,
    3.224671290700398e-01,
    2.445134137142996e+00,
    3.754408661907416e+00,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_is_the_textbooks() {
        for (level, expected) in [
            (0.5, 0.0),
            (0.975, 1.959963985),
            (0.025, -1.959963985),
            (0.001, -3.090232306),
            (0.99, 2.326347874),
        ] {
            assert!((normal(level) - expected).abs() < 1e-8, "{level}");
        }
    }

    #[test]
    fn draws_have_the_mean_they_promise() {
        assert!((mean(&Quantiles::normal(), |x| x)).abs() < 0.01);
        assert!((mean(&Quantiles::normal(), |x| x * x) - 1.0).abs() < 0.02);
        assert!((mean(&Quantiles::length(15.0), f64::floor) - 15.0).abs() < 0.3);
        assert!((mean(&Quantiles::length(2.5), f64::floor) - 2.5).abs() < 0.1);
    }

    #[test]
    fn zipf_ranks_are_skewed_and_bounded() {
        let zipf = Quantiles::zipf(1.1, 1000.0);
        let first = mean(&zipf, |rank| if rank < 2.0 { 1.0 } else { 0.0 });
        // (2^-0.1 - 1) / (1000^-0.1 - 1)
        assert!((first - 0.1344).abs() < 0.005, "{first}");
        assert!(zipf.draw(0) >= 1.0 && zipf.draw(u64::MAX) <= 1000.0);
    }

    #[test]
    fn shares_and_levels_use_different_bits() {
        assert!(happens(!0x0FFF_FFFF, 1e-9));
        assert!(!happens(u64::MAX, 0.999_999));
        assert_eq!(level(0x0FFF_FFFF), 0.0);
        assert!(happens(u64::MAX, 1.0) && !happens(0, 0.0));
    }

    fn mean(quantiles: &Quantiles, of: impl Fn(f64) -> f64) -> f64 {
        let words = 100_000u64;
        let step = u64::MAX / words;
        let sum: f64 = (0..words).map(|i| of(quantiles.draw(i * step))).sum();
        sum / words as f64
    }
}
