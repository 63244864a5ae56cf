//! The hashes that ids go through: `twang_mix64` and `hash128to64` of folly, all in u64, wrapping.

/// Mixes 64 bits; no two keys give the same.
#[inline(always)]
pub(crate) fn twang(mut key: u64) -> u64 {
    key = (!key).wrapping_add(key << 21);
    key ^= key >> 24;
    key = key.wrapping_add(key << 3).wrapping_add(key << 8);
    key ^= key >> 14;
    key = key.wrapping_add(key << 2).wrapping_add(key << 4);
    key ^= key >> 28;
    key.wrapping_add(key << 31)
}

/// Folds 128 bits to 64.
#[inline(always)]
pub(crate) fn h128(upper: u64, lower: u64) -> u64 {
    const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;
    let mut a = (lower ^ upper).wrapping_mul(MULTIPLIER);
    a ^= a >> 47;
    let mut b = (upper ^ a).wrapping_mul(MULTIPLIER);
    b ^= b >> 47;
    b.wrapping_mul(MULTIPLIER)
}

/// One id for two: h128(upper = first, lower = second). Order counts.
pub(crate) fn pair(first: i64, second: i64) -> i64 {
    h128(first.cast_unsigned(), second.cast_unsigned()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_an_order_and_equals_do_not_vanish() {
        assert_ne!(pair(1, 2), pair(2, 1));
        assert_ne!(pair(1, 1), pair(2, 2));
        assert_eq!(pair(0, 0), 0);
        assert_eq!(pair(1, 2), -3_338_781_991_138_663_662);
    }
}
