//! Reading numbers from buffers that may lie anywhere in a received message, so at any alignment.

/// Sum of the i32 in `bytes`, or `None` when one is negative. A trailing partial number is ignored.
pub(crate) fn sum_of_lengths(bytes: &[u8]) -> Option<usize> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let mut total = 0_u64;
    for part in numbers.chunks(PART) {
        let lengths = part.iter().map(|number| u32::from_le_bytes(*number));
        let any = lengths.clone().fold(0, |any, length| any | length);
        total += match any {
            // in 32 bits, four side by side
            0..SMALL => u64::from(lengths.sum::<u32>()),
            SMALL..=I32_MAX => lengths.map(u64::from).sum::<u64>(),
            _ => return None,
        };
    }
    usize::try_from(total).ok()
}

/// Numbers that are looked at together, and below what their sum fits 32 bits for sure.
const PART: usize = 1024;
const SMALL: u32 = u32::MAX / PART as u32;
const I32_MAX: u32 = i32::MAX.cast_unsigned();

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*, sample::Index};

    use super::*;

    #[test]
    fn sums_at_any_alignment_and_refuses_negatives() {
        let mut bytes = vec![0u8];
        for length in [1i32, 2, 300, i32::MAX] {
            bytes.extend(length.to_le_bytes());
        }
        assert_eq!(sum_of_lengths(&bytes[1..]), Some(303 + i32::MAX as usize));
        bytes.extend((-1i32).to_le_bytes());
        assert_eq!(sum_of_lengths(&bytes[1..]), None);
    }

    proptest! {
        #[test]
        fn equals_one_after_another(
            lengths in vec(prop_oneof![20 => 0..50_i32, 1 => 0..=i32::MAX], 0..3 * PART),
            negative in option::weighted(0.2, (any::<Index>(), i32::MIN..0)),
        ) {
            let mut lengths = lengths;
            if let Some((at, length)) = negative && !lengths.is_empty() {
                let at = at.index(lengths.len());
                lengths[at] = length;
            }
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
            let sum = lengths.iter().try_fold(0, |sum, length| Some(sum + usize::try_from(*length).ok()?));
            prop_assert_eq!(sum_of_lengths(&bytes), sum);
        }
    }
}
