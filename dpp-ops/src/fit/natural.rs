//! Natural numbers of any size: what exact sums are finished with.

use std::cmp::Ordering;

/// Digits of 64 bits, the lowest first, the last not 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Natural(Vec<u64>);

impl Natural {
    /// Adds `value` · 2^`shift`.
    pub(super) fn add(&mut self, value: u128, shift: usize) {
        let (first, bits) = (shift / 64, shift % 64);
        let low = value << bits;
        let high = value.checked_shr(128 - bits as u32).unwrap_or(0);
        let mut digits = [low as u64, (low >> 64) as u64, high as u64].into_iter();
        let (mut place, mut carry) = (first, 0);
        loop {
            let digit = digits.next();
            if digit.is_none() && carry == 0 {
                return self.trim();
            }
            if self.0.len() <= place {
                self.0.resize(place + 1, 0);
            }
            let sum = u128::from(self.0[place]) + u128::from(digit.unwrap_or(0)) + carry;
            self.0[place] = sum as u64;
            carry = sum >> 64;
            place += 1;
        }
    }

    /// How far the two are apart, and whether `other` is the larger one.
    pub(super) fn apart(&self, other: &Natural) -> (Natural, bool) {
        match self.order(other) {
            Ordering::Less => (other.minus(self), true),
            _ => (self.minus(other), false),
        }
    }

    pub(super) fn times(&self, other: &Natural) -> Natural {
        let mut product = Natural::default();
        for (place, &digit) in self.0.iter().enumerate() {
            for (beside, &by) in other.0.iter().enumerate() {
                product.add(u128::from(digit) * u128::from(by), 64 * (place + beside));
            }
        }
        product
    }

    /// The number · 2^`exponent`, rounded to the nearest.
    pub(super) fn to_f64(&self, exponent: i32) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else {
            return 0.0;
        };
        let digit = |place: usize| u128::from(self.0.get(place).copied().unwrap_or(0));
        let below = last.saturating_sub(1);
        let two = digit(below + 1) << 64 | digit(below);
        let dropped = 64 - two.leading_zeros().min(64);
        let cut = two & ((1 << dropped) - 1);
        let is_exact = cut == 0 && self.0[..below].iter().all(|digit| *digit == 0);
        // Of more than 53 bits the last says whether any was cut off: rounding needs no more.
        let top = (two >> dropped) as u64 | u64::from(!is_exact);
        let shift = 64 * below + dropped as usize;
        let shift = i32::try_from(shift).unwrap_or(i32::MAX);
        libm::ldexp(top as f64, shift.saturating_add(exponent))
    }

    fn order(&self, other: &Natural) -> Ordering {
        let lengths = self.0.len().cmp(&other.0.len());
        lengths.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// `other` is not larger.
    fn minus(&self, other: &Natural) -> Natural {
        let mut digits = self.0.clone();
        let mut borrowed = false;
        for (place, digit) in digits.iter_mut().enumerate() {
            let by = other.0.get(place).copied().unwrap_or(0);
            let (less, first) = digit.overflowing_sub(by);
            let (less, second) = less.overflowing_sub(u64::from(borrowed));
            *digit = less;
            borrowed = first || second;
        }
        let mut difference = Natural(digits);
        difference.trim();
        difference
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn natural(value: u128) -> Natural {
        let mut natural = Natural::default();
        natural.add(value, 0);
        natural
    }

    /// Of any number of bits, evenly.
    fn any_number() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0u32..128).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn equals_numbers_of_128_bits(a in any_number(), b in any_number(), shift in 0usize..200) {
            let (a, b) = (a >> 1, b >> 1);
            let mut sum = natural(a);
            sum.add(b, 0);
            prop_assert_eq!(&sum, &natural(a + b));
            prop_assert_eq!(natural(a).apart(&natural(b)), (natural(a.abs_diff(b)), a < b));
            let (low, high) = (a & u128::from(u64::MAX), b & u128::from(u64::MAX));
            prop_assert_eq!(natural(low).times(&natural(high)), natural(low * high));
            prop_assert_eq!(natural(a).to_f64(0), a as f64);
            // a·2^shift + b − b is a again, beyond 128 bits
            let mut shifted = Natural::default();
            shifted.add(a, shift);
            prop_assert_eq!(shifted.to_f64(-i32::try_from(shift).unwrap()), a as f64);
            let alone = shifted.clone();
            shifted.add(b, 0);
            prop_assert_eq!(shifted.apart(&natural(b)), (alone, false));
        }

        #[test]
        fn products_distribute(a in any_number(), b in any_number(), c in any_number(), shift in 0usize..300) {
            let mut wide = natural(a);
            wide.add(b, shift);
            let mut parts = natural(a).times(&natural(c));
            let shifted = natural(b).times(&natural(c));
            for (place, digit) in shifted.0.iter().enumerate() {
                parts.add(u128::from(*digit), 64 * place + shift);
            }
            prop_assert_eq!(wide.times(&natural(c)), parts);
        }
    }
}
