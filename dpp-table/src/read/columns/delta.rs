//! DELTA_BINARY_PACKED: integers as differences, packed in blocks.
//!
//! ```text
//! varint values a block · varint miniblocks a block · varint values · zigzag first value
//! block: zigzag least difference · a width for each miniblock · miniblocks of packed differences above the least
//! ```
//!
//! Source: "Delta Encoding" in Encodings.md of the format's definition. Sums wrap around.

use crate::read::columns::runs::varint;
use crate::read::pages::PageFault;

/// All integers of a page, which has at most `most`. Those of 32 bits are right in their lower half.
pub(crate) fn decode(stored: &[u8], most: usize) -> Result<Vec<i64>, PageFault> {
    let mut rest = stored;
    let block_values = length(&mut rest)?;
    let miniblocks = length(&mut rest)?;
    let count = length(&mut rest)?;
    let mut value = zigzag(&mut rest)?;
    let per_miniblock = block_values.checked_div(miniblocks).ok_or(SHORT)?;
    if count > most.min(MOST_VALUES) || per_miniblock == 0 || !per_miniblock.is_multiple_of(8) {
        return Err(SHORT);
    }
    let mut values = Vec::with_capacity(count.min(stored.len()));
    if count > 0 {
        values.push(value);
    }
    while values.len() < count {
        let least = zigzag(&mut rest)?;
        let widths = split(&mut rest, miniblocks)?;
        for width in widths {
            if values.len() == count {
                break;
            }
            let width = usize::from(*width);
            let bytes = (width <= 64).then(|| width.checked_mul(per_miniblock / 8));
            // the last miniblock may be cut short
            let bytes = bytes.flatten().ok_or(SHORT)?.min(rest.len());
            let packed = split(&mut rest, bytes)?;
            let wanted = per_miniblock.min(count - values.len());
            if wanted * width > packed.len() * 8 {
                return Err(SHORT);
            }
            for index in 0..wanted {
                let difference = bits(packed, index * width, width).cast_signed();
                value = value.wrapping_add(least).wrapping_add(difference);
                values.push(value);
            }
        }
    }
    Ok(values)
}

/// `width` bits, at most 64, from bit `start`.
fn bits(packed: &[u8], start: usize, width: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let from = &packed[start / 8..];
    let mut word = [0; 16];
    let there = from.len().min(16);
    word[..there].copy_from_slice(&from[..there]);
    let word = u128::from_le_bytes(word) >> (start % 8);
    word as u64 & u64::MAX >> (64 - width)
}

fn length(rest: &mut &[u8]) -> Result<usize, PageFault> {
    usize::try_from(number(rest)?).map_err(|_| SHORT)
}

fn zigzag(rest: &mut &[u8]) -> Result<i64, PageFault> {
    let value = number(rest)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

fn number(rest: &mut &[u8]) -> Result<u64, PageFault> {
    let (value, read) = varint(rest).ok_or(SHORT)?;
    *rest = &rest[read..];
    Ok(value)
}

fn split<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], PageFault> {
    let (first, more) = rest.split_at_checked(bytes).ok_or(SHORT)?;
    *rest = more;
    Ok(first)
}

/// Far more than writers put into a page; equal differences take no bytes, so a few could claim any number.
const MOST_VALUES: usize = 1 << 25;
const SHORT: PageFault = PageFault::Short {
    what: "differences",
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_definition() {
        // 7 5 3 1 2 3 4 5 in one block of 128 in 4 miniblocks: first 7, differences -2 -2 -2 1 1 1 1, least -2
        let stored = [
            128,
            1,
            4,
            8,
            14,
            3,
            2,
            0,
            0,
            0,
            0b1100_0000,
            0b0011_1111,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        assert_eq!(decode(&stored, 8), Ok(vec![7, 5, 3, 1, 2, 3, 4, 5]));
        assert_eq!(decode(&stored, 7), Err(SHORT), "more than the page has");
        assert_eq!(decode(&stored[..11], 8), Err(SHORT));
    }

    proptest! {
        #[test]
        fn senseless_bytes_are_an_error_and_no_panic(stored in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(values) = decode(&stored, 1000) {
                prop_assert!(values.len() <= 1000);
            }
        }
    }
}
