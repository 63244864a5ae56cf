//! Parquet's hybrid of run-length and bit-packed encoding: levels and dictionary indices, taken in counts of one's own.
//!
//! ```text
//! run: varint n     n even: n / 2 times one value, in as many bytes as the width needs
//!                   n odd:  n / 2 groups of 8 values of `width` bits each, lowest bits first
//! ```
//!
//! Source: "Run Length Encoding / Bit-Packing Hybrid" in Encodings.md of the format's definition.

use arrow::array::BooleanBufferBuilder;
use bytes::Bytes;

use crate::read::columns::bits::{Packed, unpack};
use crate::read::pages::PageFault;

/// Where the reading of runs stands.
#[derive(Debug)]
pub(crate) struct Runs {
    data: Bytes,
    at: usize,
    width: usize,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Repeated { value: u32, left: usize },
    Packed { bit: usize, left: usize },
}

impl Runs {
    /// Runs of values of `width` bits, at most 32. Of width 0 all values are 0.
    pub(crate) fn new(data: Bytes, width: u8) -> Runs {
        let left = if width == 0 { usize::MAX } else { 0 };
        Runs {
            data,
            at: 0,
            width: width.min(32).into(),
            run: Run::Repeated { value: 0, left },
        }
    }

    /// The next `out.len()` values.
    pub(crate) fn read<T: Packed>(&mut self, out: &mut [T]) -> Result<(), PageFault> {
        let mut filled = 0;
        while filled < out.len() {
            let taken = self.take(out.len() - filled)?;
            let rest = &mut out[filled..];
            match taken {
                Taken::Repeated { value, count } => repeat(T::of(value), count, rest),
                Taken::Packed { bit, count } => {
                    unpack(&self.data, bit, self.width, &mut rest[..count]);
                }
            }
            filled += taken.count();
        }
        Ok(())
    }

    /// Appends the next `count` values, of one bit each; returns how many are 1.
    pub(crate) fn read_bits(
        &mut self,
        count: usize,
        bits: &mut BooleanBufferBuilder,
    ) -> Result<usize, PageFault> {
        let (mut missing, mut ones) = (count, 0);
        while missing > 0 {
            let taken = self.take(missing)?;
            ones += self.ones(&taken);
            match taken {
                Taken::Repeated { value, count } => bits.append_n(count, value == 1),
                Taken::Packed { bit, count } => {
                    bits.append_packed_range(bit..bit + count, &self.data)
                }
            }
            missing -= taken.count();
        }
        Ok(ones)
    }

    /// Leaves out the next `count` values, of one bit each; returns how many were 1.
    pub(crate) fn skip_bits(&mut self, count: usize) -> Result<usize, PageFault> {
        let (mut missing, mut ones) = (count, 0);
        while missing > 0 {
            let taken = self.take(missing)?;
            ones += self.ones(&taken);
            missing -= taken.count();
        }
        Ok(ones)
    }

    /// Leaves out the next `count` values.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), PageFault> {
        let mut missing = count;
        while missing > 0 {
            missing -= self.take(missing)?.count();
        }
        Ok(())
    }

    fn ones(&self, taken: &Taken) -> usize {
        match *taken {
            Taken::Repeated { value, count } => count * usize::from(value == 1),
            Taken::Packed { bit, count } => ones(&self.data, bit, count),
        }
    }

    /// At most `count` values of one run, at least one.
    fn take(&mut self, count: usize) -> Result<Taken, PageFault> {
        loop {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Repeated { value, left } => {
                    let count = count.min(*left);
                    *left -= count;
                    let value = *value;
                    return Ok(Taken::Repeated { value, count });
                }
                Run::Packed { bit, left } => {
                    let count = count.min(*left);
                    let first = *bit;
                    *left -= count;
                    *bit += count * self.width;
                    return Ok(Taken::Packed { bit: first, count });
                }
            }
        }
    }

    fn next_run(&mut self) -> Result<(), PageFault> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let (header, read) = varint(rest).ok_or(SHORT)?;
        self.at += read;
        let length = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        if header & 1 == 0 {
            let bytes = self.width.div_ceil(8);
            let value = self.data.get(self.at..self.at + bytes).ok_or(SHORT)?;
            let value = value.iter().rev();
            let value = value.fold(0, |value, byte| value << 8 | u32::from(*byte));
            self.at += bytes;
            if value.checked_shr(self.width as u32).unwrap_or(0) != 0 {
                let width = self.width;
                return Err(PageFault::Wide { value, width });
            }
            self.run = Run::Repeated {
                value,
                left: length,
            };
            return Ok(());
        }
        // the last group may be cut short
        let there = self.data.len() - self.at;
        let bytes = length.saturating_mul(self.width).min(there);
        let left = length.saturating_mul(8).min(bytes * 8 / self.width);
        if left == 0 {
            return Err(SHORT);
        }
        self.run = Run::Packed {
            bit: self.at * 8,
            left,
        };
        self.at += bytes;
        Ok(())
    }
}

/// Writes `count` times `value`, and maybe more where something else is written later.
fn repeat<T: Packed>(value: T, count: usize, out: &mut [T]) {
    match out.first_chunk_mut::<16>() {
        // most runs of levels are short: a few stores, where a fill of so many is a call
        Some(first) if count <= first.len() => *first = [value; 16],
        _ => out[..count].fill(value),
    }
}

enum Taken {
    Repeated { value: u32, count: usize },
    Packed { bit: usize, count: usize },
}

impl Taken {
    fn count(&self) -> usize {
        match self {
            Taken::Repeated { count, .. } | Taken::Packed { count, .. } => *count,
        }
    }
}

/// A number of seven bits a byte, lowest first, and how many bytes it took.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * index).min(63);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// How many of `count` bits from `bit` are 1.
fn ones(data: &[u8], bit: usize, count: usize) -> usize {
    arrow::util::bit_chunk_iterator::UnalignedBitChunk::new(data, bit, count).count_ones()
}

const SHORT: PageFault = PageFault::Short {
    what: "levels or dictionary indices",
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs as a writer may have made them, and the values in them.
    fn encode(runs: &[(bool, Vec<u32>)], width: usize) -> (Vec<u8>, Vec<u32>) {
        let (mut data, mut values) = (Vec::new(), Vec::new());
        let mask = ((1_u64 << width) - 1) as u32;
        for (repeated, of) in runs {
            let of: Vec<u32> = of.iter().map(|value| value & mask).collect();
            if *repeated {
                data.push((of.len() as u8) << 1);
                data.extend(&of[0].to_le_bytes()[..width.div_ceil(8)]);
                values.extend(vec![of[0]; of.len()]);
                continue;
            }
            let groups = of.len().div_ceil(8);
            data.push((groups as u8) << 1 | 1);
            let mut bits = vec![0_u8; groups * width];
            for (index, value) in of.iter().enumerate() {
                for bit in 0..width {
                    let place = index * width + bit;
                    bits[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                }
            }
            data.extend(bits);
            values.extend(&of);
            values.extend(vec![0; groups * 8 - of.len()]);
        }
        (data, values)
    }

    fn runs() -> impl Strategy<Value = Vec<(bool, Vec<u32>)>> {
        let run = (any::<bool>(), prop::collection::vec(any::<u32>(), 1..60));
        prop::collection::vec(run, 1..6)
    }

    proptest! {
        #[test]
        fn values_come_back_in_any_portions(
            runs in runs(), width in 1_usize..=32, portions in prop::collection::vec((any::<bool>(), 1_usize..30), 1..40)
        ) {
            let (data, values) = encode(&runs, width);
            let mut low = vec![7_u8; values.len()];
            Runs::new(data.clone().into(), width as u8).read(&mut low).unwrap();
            prop_assert!(low.iter().zip(&values).all(|(low, value)| *low == *value as u8));
            let mut reader = Runs::new(data.into(), width as u8);
            let mut at = 0;
            for (skip, count) in portions {
                if at + count > values.len() {
                    break;
                }
                if skip {
                    reader.skip(count).unwrap();
                } else {
                    let mut out = vec![7_u32; count];
                    reader.read(&mut out).unwrap();
                    prop_assert_eq!(&out, &values[at..at + count]);
                }
                at += count;
            }
            let mut rest = vec![7_u32; values.len() - at];
            reader.read(&mut rest).unwrap();
            prop_assert_eq!(&rest, &values[at..]);
            prop_assert!(reader.read(&mut [0_u32]).is_err());
        }

        #[test]
        fn bits_are_appended_and_counted(runs in runs(), skipped in 0_usize..20, before in 0_usize..9) {
            let (data, values) = encode(&runs, 1);
            let skipped = skipped.min(values.len());
            let mut reader = Runs::new(data.into(), 1);
            let ones = |values: &[u32]| values.iter().filter(|value| **value == 1).count();
            prop_assert_eq!(reader.skip_bits(skipped).unwrap(), ones(&values[..skipped]));
            let mut bits = BooleanBufferBuilder::new(0);
            bits.append_n(before, true);
            let count = values.len() - skipped;
            prop_assert_eq!(reader.read_bits(count, &mut bits).unwrap(), ones(&values[skipped..]));
            let bits: Vec<bool> = bits.finish().iter().skip(before).collect();
            let expected: Vec<bool> = values[skipped..].iter().map(|value| *value == 1).collect();
            prop_assert_eq!(bits, expected);
        }

        /// As readers count on it that levels are small.
        #[test]
        fn no_value_is_wider_than_it_may_be(width in 1_u8..32, value in any::<u32>(), count in 1_u8..60) {
            let bytes = &value.to_le_bytes()[..width.div_ceil(8).into()];
            let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            let mut reader = Runs::new([&[count << 1], bytes].concat().into(), width);
            let mut out = vec![0_u32; count.into()];
            let read = reader.read(&mut out).is_ok();
            prop_assert_eq!(read, value >> width == 0);
            prop_assert!(!read || out.iter().all(|it| *it == value));
        }

        #[test]
        fn senseless_bytes_are_an_error_and_no_panic(data in prop::collection::vec(any::<u8>(), 0..40), width in 0_u8..=40) {
            let mut reader = Runs::new(data.into(), width);
            let mut out = [0_u32; 37];
            for _ in 0..20 {
                if reader.read(&mut out).is_err() || reader.skip(1000).is_err() {
                    break;
                }
            }
        }
    }
}
