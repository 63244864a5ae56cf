//! Whole numbers as bytes: seven bits a byte, the lowest first, the eighth bit of all but the last one set.

/// Appends a number.
pub(super) fn push(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// As [`push`], of a number that may be below 0.
pub(super) fn push_signed(bytes: &mut Vec<u8>, number: i128) {
    push(bytes, ((number << 1) ^ (number >> 127)).cast_unsigned());
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    /// The next number; `None` where there is none, or it is too large.
    pub(super) fn next<T: TryFrom<u128>>(&mut self) -> Option<T> {
        let mut number = 0u128;
        for (place, byte) in self.0.iter().enumerate().take(MOST_BYTES) {
            let seven = u128::from(byte & 0x7f);
            number |= seven << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return T::try_from(number).ok();
            }
        }
        None
    }

    /// As [`next`](Bytes::next), of what [`push_signed`] wrote.
    pub(super) fn next_signed(&mut self) -> Option<i128> {
        let number: u128 = self.next()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

/// Of 128 bits.
const MOST_BYTES: usize = 19;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(number: u128, shift in 0u32..128, signed: i128) {
            let mut bytes = Vec::new();
            push(&mut bytes, number >> shift);
            push_signed(&mut bytes, signed >> shift);
            let mut read = Bytes(&bytes);
            prop_assert_eq!(read.next(), Some(number >> shift));
            prop_assert_eq!(read.next_signed(), Some(signed >> shift));
            prop_assert!(read.0.is_empty() && read.next::<u8>().is_none());
        }
    }
}
