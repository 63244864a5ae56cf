//! Values of equally many bits, packed one after another, lowest bits first.
//!
//! Eight values begin and end at a byte, and of one width they all lie alike there: with the width known to the compiler, so is
//! every shift. That takes a quarter of the time of one value after another, which is left for what is no whole eight.

/// What values are unpacked into: as many low bits of them as it has.
pub(crate) trait Packed: Copy {
    fn of(value: u32) -> Self;
}

impl Packed for u32 {
    fn of(value: u32) -> u32 {
        value
    }
}

impl Packed for u8 {
    fn of(value: u32) -> u8 {
        value as u8
    }
}

/// Values of `width` bits each, 1 to 32, of which the first begins at `bit`. All of them lie within `data`.
pub(crate) fn unpack<T: Packed>(data: &[u8], bit: usize, width: usize, out: &mut [T]) {
    let at_byte = (0..8).find(|values| (bit + values * width).is_multiple_of(8));
    // one that never begins at a byte is unpacked one by one to the end
    let head = at_byte.unwrap_or(out.len()).min(out.len());
    let (head, rest) = out.split_at_mut(head);
    if !head.is_empty() {
        one_by_one(data, bit, width, head);
    }
    let bit = bit + head.len() * width;
    let done = by_eight(data.get(bit / 8..).unwrap_or_default(), width, rest);
    if done < rest.len() {
        one_by_one(data, bit + done * width, width, &mut rest[done..]);
    }
}

/// As many eights as there are bytes to spare behind them; returns how many values that were.
fn by_eight<T: Packed>(data: &[u8], width: usize, out: &mut [T]) -> usize {
    macro_rules! of_width {
        ($($known:literal)*) => {
            match width {
                $($known => eights::<$known, T>(data, out),)*
                _ => 0,
            }
        };
    }
    // dictionaries of more values are rare
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24)
}

fn eights<const WIDTH: usize, T: Packed>(data: &[u8], out: &mut [T]) -> usize {
    let mask = u32::MAX >> (32 - WIDTH);
    let mut done = 0;
    for (eight, start) in out.chunks_exact_mut(8).zip((0..).step_by(WIDTH)) {
        // the last of them is read with the seven bytes that follow its first
        let Some(bytes) = data.get(start..start + WIDTH + 7) else {
            break;
        };
        for (index, out) in eight.iter_mut().enumerate() {
            let bit = index * WIDTH;
            // up to a byte each, all eight are in the first word
            let byte = if WIDTH <= 8 { 0 } else { bit / 8 };
            let word = bytes[byte..].first_chunk().expect("seven more");
            *out = T::of((u64::from_le_bytes(*word) >> (bit - 8 * byte)) as u32 & mask);
        }
        done += 8;
    }
    done
}

fn one_by_one<T: Packed>(data: &[u8], bit: usize, width: usize, out: &mut [T]) {
    let mask = u32::MAX >> (32 - width);
    let mut at = bit;
    for out in out {
        let bytes = &data[at / 8..];
        let mut word = [0; 8];
        let there = bytes.len().min(8);
        word[..there].copy_from_slice(&bytes[..there]);
        *out = T::of((u64::from_le_bytes(word) >> (at % 8)) as u32 & mask);
        at += width;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eights_are_what_one_by_one_gives(
            data in prop::collection::vec(any::<u8>(), 1..200), width in 1_usize..=32, bit in 0_usize..90, count in 0_usize..90,
        ) {
            let there = (data.len() * 8).saturating_sub(bit) / width;
            let mut wide = vec![7_u32; count.min(there)];
            let mut narrow = vec![7_u8; wide.len()];
            let mut expected = wide.clone();
            unpack(&data, bit, width, &mut wide);
            unpack(&data, bit, width, &mut narrow);
            one_by_one(&data, bit, width, &mut expected);
            prop_assert_eq!(&wide, &expected);
            let low: Vec<u8> = expected.iter().map(|value| *value as u8).collect();
            prop_assert_eq!(narrow, low);
        }
    }
}
