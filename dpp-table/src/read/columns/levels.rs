//! Levels of nested columns, up to 64 at a time as the bits of a number.
//!
//! Eight bytes are compared in one 64-bit number, on any processor. Source: "Determine if a word has a zero byte" and "Reverse the
//! bits in a byte with … 64-bit multiply" of Anderson, "Bit Twiddling Hacks".

/// As many levels as a number has bits.
pub(crate) const AT_ONCE: usize = 64;

/// Bit `i` says whether level `i`, of its bits that `mask` has, is `level`. Both are below 128.
///
/// # Panics
/// There are more than [`AT_ONCE`].
pub(crate) fn matching(levels: &[u8], mask: u8, level: u8) -> u64 {
    assert!(levels.len() <= AT_ONCE, "{} levels", levels.len());
    let (eights, rest) = levels.as_chunks::<8>();
    let mut bits = 0;
    for (index, eight) in eights.iter().enumerate() {
        bits |= u64::from(matching_of_8(*eight, mask, level)) << (8 * index);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let found = matching_of_8(last, mask, level) & ((1 << rest.len()) - 1);
        bits |= u64::from(found) << (8 * eights.len());
    }
    bits
}

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
    let mut last = [false; 8];
    last[..rest.len()].copy_from_slice(rest);
    let rest = (!rest.is_empty()).then_some(&last);
    let eights = eights.iter().chain(rest);
    let bytes = eights.map(|eight| pack(u64::from_le_bytes(eight.map(u8::from))));
    bytes.collect()
}

/// Bits below `at`.
pub(crate) fn below(at: u32) -> u64 {
    (1 << at) - 1
}

/// A one in each byte.
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
