//! Mean and standard deviation, from sums that are exact.
//!
//! An f32 is a whole number of at most 24 bits times a power of two. Those of one exponent are added up as whole numbers, and
//! so are their squares: nothing is rounded before the end, and the sums are the same in whatever order, and in however many
//! parts, values come.

use super::natural::Natural;

/// Of the finite values so far.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    values: u64,
    /// By the place of the last bit, 2^(place − 149).
    sums: Box<[Sum; PLACES]>,
}

/// Of values whose last bit stands in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) values: i128,
    pub(super) squares: u128,
}

impl Default for Moments {
    fn default() -> Moments {
        Moments {
            values: 0,
            sums: Box::new([Sum::default(); PLACES]),
        }
    }
}

impl Moments {
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        let bits = value.to_bits();
        let exponent = bits >> 23 & 0xff;
        let hidden = u32::from(exponent > 0) << 23;
        let digits = i64::from(bits & 0x007f_ffff | hidden);
        let sum = &mut self.sums[exponent.saturating_sub(1) as usize];
        sum.values += i128::from(if bits >> 31 == 0 { digits } else { -digits });
        sum.squares += u128::from((digits * digits).cast_unsigned());
        self.values += 1;
    }

    /// Adds what other values amount to, by place.
    pub(super) fn merge(&mut self, values: u64, sums: &[(u8, Sum)]) {
        self.values = self.values.saturating_add(values);
        for (place, other) in sums {
            let sum = &mut self.sums[usize::from(*place)];
            sum.values = sum.values.wrapping_add(other.values);
            sum.squares = sum.squares.wrapping_add(other.squares);
        }
    }

    /// The places that have values, each with their sum.
    pub(super) fn sums(&self) -> impl Iterator<Item = (u8, Sum)> {
        let sums = (0..=u8::MAX).zip(*self.sums);
        sums.filter(|(_, sum)| *sum != Sum::default())
    }

    pub(super) fn values(&self) -> u64 {
        self.values
    }

    /// None of no values.
    pub(super) fn mean(&self) -> Option<f64> {
        let (sum, is_negative) = self.sum();
        let mean = sum.to_f64(LAST_BIT) / self.values as f64;
        (self.values > 0).then_some(if is_negative { -mean } else { mean })
    }

    /// √(n Σ x² − (Σ x)²) / n, the standard deviation of the population; none of no values.
    pub(super) fn std(&self) -> Option<f64> {
        let (sum, _) = self.sum();
        let mut squares = Natural::default();
        for (place, of_place) in self.sums() {
            squares.add(of_place.squares, 2 * usize::from(place));
        }
        let mut count = Natural::default();
        count.add(self.values.into(), 0);
        let (spread, _) = squares.times(&count).apart(&sum.times(&sum));
        let std = spread.to_f64(2 * LAST_BIT).sqrt() / self.values as f64;
        (self.values > 0).then_some(std)
    }

    /// Of all values, in the last place's unit; and whether it is below 0.
    fn sum(&self) -> (Natural, bool) {
        let (mut above, mut below) = (Natural::default(), Natural::default());
        for (place, sum) in self.sums() {
            let side = if sum.values < 0 {
                &mut below
            } else {
                &mut above
            };
            side.add(sum.values.unsigned_abs(), place.into());
        }
        above.apart(&below)
    }
}

/// Of the last bit of the smallest f32.
const LAST_BIT: i32 = -149;
/// Where last bits of finite f32 stand, and two more.
const PLACES: usize = 1 << 8;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn of(values: &[f32]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    fn finite() -> impl Strategy<Value = f32> {
        let finite = any::<f32>().prop_filter("finite", |value| value.is_finite());
        prop_oneof![
            -9f32..9.0,
            finite,
            Just(-0.0),
            Just(f32::MAX),
            Just(f32::MIN)
        ]
    }

    proptest! {
        #[test]
        fn parts_amount_to_the_whole_in_any_order(values in vec(finite(), 0..60), cut in 0usize..60) {
            let whole = of(&values);
            let mut merged = Moments::default();
            for part in values.rchunks(cut.max(1)) {
                let part = of(part);
                merged.merge(part.values(), &part.sums().collect::<Vec<_>>());
            }
            let bits = |it: &Moments| (it.values(), it.mean().map(f64::to_bits), it.std().map(f64::to_bits));
            prop_assert_eq!(bits(&merged), bits(&whole));
        }

        /// Whole numbers of few bits: f64 has exactly what they amount to.
        #[test]
        fn small_numbers_are_as_in_f64(values in vec(-1000i16..1000, 1..60)) {
            let numbers: Vec<f64> = values.iter().map(|it| f64::from(*it)).collect();
            let (count, sum) = (numbers.len() as f64, numbers.iter().sum::<f64>());
            let squares: f64 = numbers.iter().map(|it| it * it).sum();
            let moments = of(&values.iter().map(|it| f32::from(*it)).collect::<Vec<_>>());
            prop_assert_eq!(moments.mean(), Some(sum / count));
            prop_assert_eq!(moments.std(), Some((count * squares - sum * sum).sqrt() / count));
        }
    }

    #[test]
    fn large_values_do_not_hide_small_ones() {
        let moments = of(&[f32::MAX, 1.0, f32::MIN, 2.0, f32::MIN_POSITIVE / 8.0]);
        assert_eq!(moments.mean(), Some(0.6));
        assert_eq!(of(&[0.1; 1000]).std(), Some(0.0));
        assert_eq!(of(&[16_777_217.0, 16_777_216.0]).mean(), Some(16_777_216.0));
        assert_eq!(of(&[]).mean().or(of(&[]).std()), None);
    }
}
