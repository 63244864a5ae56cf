//! The kernels of the natural logarithm: ours, because `libm`'s branch, and a branch does not vectorise.
//!
//! y = 2^e · m with m in [√½, √2); ln y = e · ln 2 + 2 · atanh((m − 1) / (m + 1)), a series of ten terms. All in f64, with
//! nothing but IEEE 754's own operations, in one order: the same bits on every machine.

/// ln x, rounded once to f32: the nearest one but for a case in 10^9. 0 gives −inf, x < 0 NaN.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // Every f32 but 0 is normal in f64.
    let (exponent, mantissa) = split(f64::from(x));
    let logarithm = exponent * std::f64::consts::LN_2 + ln_near_one(mantissa - 1.0);
    if x > 0.0 && x < f32::INFINITY {
        logarithm as f32
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else if x > 0.0 {
        x
    } else {
        f32::NAN
    }
}

/// ln(1 + x), rounded once to f32: the nearest one but for a case in 10^9. ±0 stays, −1 gives −inf, x < −1 NaN.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let x64 = f64::from(x);
    let (exponent, mantissa) = split(1.0 + x64);
    // Where 1 + x is near 1, x holds what the sum has lost.
    let above_one = if exponent == 0.0 { x64 } else { mantissa - 1.0 };
    let logarithm = exponent * std::f64::consts::LN_2 + ln_near_one(above_one);
    if x == 0.0 {
        x
    } else if x > -1.0 && x < f32::INFINITY {
        logarithm as f32
    } else if x == -1.0 {
        f32::NEG_INFINITY
    } else if x > 0.0 {
        x
    } else {
        f32::NAN
    }
}

/// e and m of a normal y > 0; anything else gives something, and no panic.
#[inline(always)]
fn split(y: f64) -> (f64, f64) {
    let shifted = y.to_bits().wrapping_add(ONE - SQRT_HALF);
    // 32 bits, because every width of vector can convert those.
    let exponent = f64::from(((shifted >> 52) as u32).cast_signed() - 1023);
    let mantissa = f64::from_bits((shifted & FRACTION) + SQRT_HALF);
    (exponent, mantissa)
}

/// ln(1 + f) for 1 + f in [√½, √2).
#[inline(always)]
fn ln_near_one(f: f64) -> f64 {
    let s = f / (f + 2.0);
    let square = s * s;
    let mut tail = SERIES[9];
    for factor in SERIES[..9].iter().rev() {
        tail = tail * square + factor;
    }
    2.0 * (s + s * square * tail)
}

const ONE: u64 = 0x3ff0_0000_0000_0000;
const FRACTION: u64 = 0x000f_ffff_ffff_ffff;
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;

/// Of atanh(s) / s − 1, by powers of s².
const SERIES: [f64; 10] = [
    1.0 / 3.0,
    1.0 / 5.0,
    1.0 / 7.0,
    1.0 / 9.0,
    1.0 / 11.0,
    1.0 / 13.0,
    1.0 / 15.0,
    1.0 / 17.0,
    1.0 / 19.0,
    1.0 / 21.0,
];

#[cfg(test)]
mod tests {
    use super::{ln, ln_1p};

    #[test]
    fn is_the_rounded_logarithm_of_f64_all_over() {
        for bits in (0..f32::INFINITY.to_bits()).step_by(9973) {
            let x = f32::from_bits(bits);
            let expected = libm::log(x.into()) as f32;
            assert_eq!(ln(x), expected, "ln({x})");
        }
        for near_one in (0x3f7f_0000..0x3f81_0000).step_by(7) {
            let x = f32::from_bits(near_one);
            assert_eq!(ln(x), libm::log(x.into()) as f32, "ln({x})");
        }
    }

    #[test]
    fn one_more_is_the_rounded_logarithm_of_f64_all_over() {
        let positive = (0..f32::INFINITY.to_bits()).step_by(9973);
        let negative = ((-0.0f32).to_bits()..(-1.0f32).to_bits()).step_by(9973);
        for x in positive.chain(negative).map(f32::from_bits) {
            let expected = libm::log1p(x.into()) as f32;
            assert_eq!(ln_1p(x).to_bits(), expected.to_bits(), "ln_1p({x:e})");
        }
    }

    #[test]
    fn the_ends_are_as_ieee_754_has_them() {
        let infinity = f32::INFINITY;
        assert_eq!([ln(0.0), ln(-0.0)], [-infinity, -infinity]);
        assert_eq!([ln(1.0), ln(infinity)], [0.0, infinity]);
        assert!(
            [-1.0, -1e-45, -infinity, f32::NAN]
                .iter()
                .all(|x| ln(*x).is_nan())
        );
        assert_eq!([ln_1p(-1.0), ln_1p(infinity)], [-infinity, infinity]);
        assert_eq!(ln_1p(-0.0).to_bits(), (-0.0f32).to_bits());
        assert!(
            [-1.5, -f32::MAX, -infinity, f32::NAN]
                .iter()
                .all(|x| ln_1p(*x).is_nan())
        );
    }
}
