//! Levels of nested columns, up to 64 at a time as the bits of a number.
//!
//! Sixteen bytes are compared in one instruction of every x86-64, eight in one 64-bit number on any other processor. Source:
//! "Determine if a word has a zero byte" and "Reverse the bits in a byte with … 64-bit multiply" of Anderson, "Bit Twiddling Hacks".

/// As many levels as a number has bits.
pub(crate) const AT_ONCE: usize = 64;

/// Bit `i` says whether level `i`, of its bits that `mask` has, is `level`. Both are below 128.
///
/// # Panics
/// There are more than [`AT_ONCE`].
pub(crate) fn matching(levels: &[u8], mask: u8, level: u8) -> u64 {
    assert!(levels.len() <= AT_ONCE, "{} levels", levels.len());
    let (sixteens, rest) = levels.as_chunks::<16>();
    let mut bits = 0;
    for (index, sixteen) in sixteens.iter().enumerate() {
        bits |= u64::from(matching_of_16(*sixteen, mask, level)) << (16 * index);
    }
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        let found = matching_of_16(last, mask, level) & ((1 << rest.len()) - 1);
        bits |= u64::from(found) << (16 * sixteens.len());
    }
    bits
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the processor's own instructions")]
fn matching_of_16(levels: [u8; 16], mask: u8, level: u8) -> u16 {
    use std::arch::x86_64::{
        _mm_and_si128, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    fn by_sse2(levels: u128, mask: u8, level: u8) -> u16 {
        let levels = _mm_set_epi64x((levels >> 64) as i64, levels as i64);
        let masked = _mm_and_si128(levels, _mm_set1_epi8(mask.cast_signed()));
        let equal = _mm_cmpeq_epi8(masked, _mm_set1_epi8(level.cast_signed()));
        _mm_movemask_epi8(equal) as u16
    }

    // SAFETY: every x86-64 has SSE2.
    unsafe { by_sse2(u128::from_le_bytes(levels), mask, level) }
}

#[cfg(not(target_arch = "x86_64"))]
use matching_of_16_by_eight as matching_of_16;

#[cfg(any(test, not(target_arch = "x86_64")))]
fn matching_of_16_by_eight(levels: [u8; 16], mask: u8, level: u8) -> u16 {
    let (eights, _) = levels.as_chunks::<8>();
    let [low, high] = [eights[0], eights[1]].map(|eight| matching_of_8(eight, mask, level));
    u16::from_le_bytes([low, high])
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn matching_of_8(levels: [u8; 8], mask: u8, level: u8) -> u8 {
    // zero where a level is the one, below 128 elsewhere: no byte borrows from the next
    let (mask, level) = (u64::from(mask) * ONES, u64::from(level) * ONES);
    let others = (u64::from_le_bytes(levels) & mask) ^ level;
    pack(((128 * ONES - others) >> 7) & ONES)
}

/// Bytes that are 0 or 1 as bits, the first the lowest.
fn pack(bytes: u64) -> u8 {
    (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// As many bits of a bitmap, packed from bytes.
pub(crate) fn packed(bools: &[bool]) -> Vec<u8> {
    let (eights, rest) = bools.as_chunks::<8>();
    let of_8 = |eight: &[bool; 8]| {
        let mut bytes = [0; 8];
        for (byte, bool) in bytes.iter_mut().zip(eight) {
            *byte = u8::from(*bool);
        }
        pack(u64::from_le_bytes(bytes))
    };
    let mut bytes = Vec::with_capacity(bools.len().div_ceil(8));
    bytes.extend(eights.iter().map(of_8));
    if !rest.is_empty() {
        let mut last = [false; 8];
        last[..rest.len()].copy_from_slice(rest);
        bytes.push(of_8(&last));
    }
    bytes
}

/// Bits below `at`.
pub(crate) fn below(at: u32) -> u64 {
    (1 << at) - 1
}

/// A one in each byte.
#[cfg(any(test, not(target_arch = "x86_64")))]
const ONES: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_those_of_a_plain_loop(levels in prop::collection::vec(0..128_u8, 0..=AT_ONCE), mask in 0..128_u8, level in 0..128_u8) {
            let plain = levels.iter().enumerate();
            let plain = plain.fold(0, |bits, (at, it)| bits | u64::from(it & mask == level) << at);
            prop_assert_eq!(matching(&levels, mask, level), plain);
            let (sixteens, _) = levels.as_chunks::<16>();
            for sixteen in sixteens {
                let by_eight = matching_of_16_by_eight(*sixteen, mask, level);
                prop_assert_eq!(matching_of_16(*sixteen, mask, level), by_eight);
            }
            let few = levels.iter().map(|level| level % 3).collect::<Vec<_>>();
            let plain = few.iter().enumerate();
            let plain = plain.fold(0, |bits, (at, it)| bits | u64::from(*it <= 1) << at);
            prop_assert_eq!(matching(&few, !1 & 127, 0), plain);
        }

        #[test]
        fn bitmaps_are_those_of_arrow(bools in prop::collection::vec(any::<bool>(), 0..200)) {
            let bitmap = arrow::buffer::BooleanBuffer::from(bools.as_slice());
            prop_assert_eq!(packed(&bools), bitmap.inner().as_slice()[..bools.len().div_ceil(8)].to_vec());
        }
    }
}
