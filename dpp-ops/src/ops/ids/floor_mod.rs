//! Floor-mod by a number that is known early: a multiplication, where a division would not vectorise.

/// What reduces ids to `[0, divisor)`.
///
/// With x in [0, 2^63) and L = ⌈log2 divisor⌉, x ÷ divisor = ⌊x · ⌈2^(63+L) / divisor⌉ / 2^(63+L)⌋ exactly (Granlund and
/// Montgomery, "Division by invariant integers using multiplication", 1994, theorem 4.2 with N = 63). A negative id is
/// −1 − x, and leaves divisor − 1 − (x mod divisor).
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloorMod {
    divisor: u64,
    factor: u64,
    /// L, what is left to shift after the upper half of the product of 2x.
    shift: u32,
}

impl FloorMod {
    /// By `divisor`; `None` below 1.
    pub(crate) fn by(divisor: i64) -> Option<FloorMod> {
        let divisor = u64::try_from(divisor).ok().filter(|&it| it > 0)?;
        let log = u64::BITS - (divisor - 1).leading_zeros();
        let factor = (1u128 << (63 + log)).div_ceil(divisor.into());
        Some(FloorMod {
            divisor,
            factor: u64::try_from(factor).expect("2^(L - 1) < divisor, so that it is below 2^64"),
            shift: log,
        })
    }

    /// The id mod the divisor.
    #[inline(always)]
    pub(crate) fn of(self, id: i64) -> i64 {
        let sign = (id >> 63).cast_unsigned();
        let x = id.cast_unsigned() ^ sign;
        let quotient = upper_half(x << 1, self.factor) >> self.shift;
        let rest = x.wrapping_sub(quotient.wrapping_mul(self.divisor));
        (rest ^ sign)
            .wrapping_add(self.divisor & sign)
            .cast_signed()
    }
}

/// The upper 64 bits of x · y, of products that every vector has: 32 by 32 bits.
#[inline(always)]
fn upper_half(x: u64, y: u64) -> u64 {
    const LOW: u64 = 0xffff_ffff;
    let low = (x & LOW) * (y & LOW);
    let first = (x >> 32) * (y & LOW) + (low >> 32);
    let second = (x & LOW) * (y >> 32) + (first & LOW);
    (x >> 32) * (y >> 32) + (first >> 32) + (second >> 32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::FloorMod;

    fn check(id: i64, divisor: i64) {
        let found = FloorMod::by(divisor).unwrap().of(id);
        assert_eq!(found, id.rem_euclid(divisor), "{id} mod {divisor}");
    }

    #[test]
    fn the_edges_are_exact() {
        let powers = (0..63).flat_map(|power| [-1, 0, 1].map(|near| (1i64 << power) + near));
        let edges: Vec<i64> = powers.chain([i64::MAX, i64::MAX - 1]).collect();
        for &divisor in edges.iter().filter(|&&it| it > 0) {
            for &edge in &edges {
                [edge, -edge, !edge]
                    .iter()
                    .for_each(|&id| check(id, divisor));
                let product = divisor.wrapping_mul(edge);
                [-1, 0, 1]
                    .iter()
                    .for_each(|near| check(product.wrapping_add(*near), divisor));
            }
            check(i64::MIN, divisor);
        }
        assert!(FloorMod::by(0).is_none() && FloorMod::by(i64::MIN).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn equals_the_division(id: i64, divisor in 1..=i64::MAX, bits in 0u32..62) {
            check(id, divisor);
            check(id, (divisor >> bits).max(1));
        }
    }
}
