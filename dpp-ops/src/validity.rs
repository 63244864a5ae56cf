//! Reads values through their validity bitmap, 64 rows at a time.

use arrow::buffer::NullBuffer;

/// `values`, with `fill` wherever `nulls` says null.
pub(crate) fn filled<T: Copy>(values: &[T], nulls: Option<&NullBuffer>, fill: T) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    extend_filled(&mut out, values, nulls, fill);
    out
}

/// Appends `values`, with `fill` wherever `nulls` says null.
pub(crate) fn extend_filled<T: Copy>(
    out: &mut Vec<T>,
    values: &[T],
    nulls: Option<&NullBuffer>,
    fill: T,
) {
    let first = out.len();
    out.extend_from_slice(values);
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return;
    };
    for (chunk, word) in out[first..].chunks_mut(WORD).zip(words(nulls)) {
        if word != u64::MAX {
            let bits = (0..WORD).map(|bit| word >> bit & 1 == 1);
            for (value, valid) in chunk.iter_mut().zip(bits) {
                *value = if valid { *value } else { fill };
            }
        }
    }
}

/// Validity as words of 64 rows, first row in the lowest bit. Bits past the last row are 0.
pub(crate) fn words(nulls: &NullBuffer) -> impl Iterator<Item = u64> + '_ {
    let chunks = nulls.inner().bit_chunks();
    let rest = (chunks.remainder_len() > 0).then(|| chunks.remainder_bits());
    chunks.iter().chain(rest)
}

/// Rows of one word of validity.
pub(crate) const WORD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_replaced_at_any_length_and_offset() {
        for length in [0, 1, 63, 64, 65, 200] {
            let valid: Vec<bool> = (0..length + 9).map(|row| row % 3 != 0).collect();
            let nulls = NullBuffer::from(valid.clone()).slice(9, length);
            let values: Vec<usize> = (0..length).collect();
            let expected: Vec<usize> = (0..length)
                .map(|row| if valid[row + 9] { row } else { 777 })
                .collect();
            assert_eq!(filled(&values, Some(&nulls), 777), expected);
        }
    }
}
