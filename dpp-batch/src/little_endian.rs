//! Reading numbers from buffers that may lie anywhere in a received message, so at any alignment.

/// Sum of the i32 in `bytes`, or `None` when one is negative. A trailing partial number is ignored.
pub(crate) fn sum_of_lengths(bytes: &[u8]) -> Option<usize> {
    let (sum, signs) = i32s(bytes).fold((0u64, 0i32), |(sum, signs), length| {
        (sum + u64::from(length.cast_unsigned()), signs | length)
    });
    if signs < 0 {
        None
    } else {
        usize::try_from(sum).ok()
    }
}

fn i32s(bytes: &[u8]) -> impl Iterator<Item = i32> + '_ {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|number| i32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
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
}
