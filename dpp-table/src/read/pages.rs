//! The pages of a column chunk as their headers describe them, walked before anything is decompressed: a page that
//! claims more memory than any writer uses is refused, and so is one that does not fit its checksum.
//!
//! ```text
//! chunk: header page header page …      header: thrift compact, field 2 = bytes uncompressed, 3 = bytes compressed, 4 = crc
//! ```
//!
//! Encrypted headers can't be walked, and a header may understate: both are the Parquet crate's to judge. Checksums
//! are checked here because the crate takes them of encrypted pages after decryption, where other writers do not.

use std::ops::Range;

use parquet::file::reader::ChunkReader;

use crate::read::sparse::SparseFile;

/// What is wrong with a page.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageFault {
    #[error(
        "the page at byte {position} claims {claimed} bytes uncompressed; at most {at_most} are read"
    )]
    Size {
        position: u64,
        claimed: u64,
        at_most: u64,
    },
    #[error("the page at byte {position} does not fit its checksum")]
    Checksum { position: u64 },
}

/// Refuses a page in `range` that is larger than `at_most` bytes, or not as it was written, if its header can tell.
///
/// `range` begins with a page. The walk ends with it, or at the first header that makes no sense.
pub(crate) fn check(file: &SparseFile, range: Range<u64>, at_most: u64) -> Result<(), PageFault> {
    let mut position = range.start;
    while position < range.end {
        let header = |bytes| read_header(&file.peek(position, bytes));
        let Some(header) = header(HEADER_BYTES).or_else(|| header(MAX_HEADER_BYTES)) else {
            break;
        };
        let claimed = header.uncompressed_bytes;
        if claimed > at_most {
            return Err(PageFault::Size {
                position,
                claimed,
                at_most,
            });
        }
        let body = position + header.bytes;
        if !header.fits(file, body) {
            return Err(PageFault::Checksum { position });
        }
        position = body + header.compressed_bytes;
    }
    Ok(())
}

struct Header {
    /// Of the header itself.
    bytes: u64,
    compressed_bytes: u64,
    uncompressed_bytes: u64,
    crc: Option<u32>,
}

impl Header {
    /// Whether the stored page has the checksum that its header gives, if it gives one and the page was fetched.
    fn fits(&self, file: &SparseFile, body: u64) -> bool {
        let Some(crc) = self.crc else { return true };
        let length = usize::try_from(self.compressed_bytes).unwrap_or(usize::MAX);
        match file.get_bytes(body, length) {
            Ok(page) => crc32fast::hash(&page) == crc,
            Err(_) => true,
        }
    }
}

fn read_header(stored: &[u8]) -> Option<Header> {
    let mut header = Thrift(stored);
    let (mut uncompressed, mut compressed, mut crc) = (None, None, None);
    let mut field = 0;
    loop {
        let (id, kind) = header.field(field)?;
        match (id, kind) {
            (_, STOP) => break,
            (2, I32) => uncompressed = Some(header.zigzag()?),
            (3, I32) => compressed = Some(header.zigzag()?),
            (4, I32) => crc = Some(i32::try_from(header.zigzag()?).ok()?.cast_unsigned()),
            _ => header.skip(kind, MAX_DEPTH)?,
        }
        field = id;
    }
    Some(Header {
        bytes: (stored.len() - header.0.len()) as u64,
        compressed_bytes: u32::try_from(compressed?).ok()?.into(),
        uncompressed_bytes: u32::try_from(uncompressed?).ok()?.into(),
        crc,
    })
}

/// Reads thrift's compact protocol from the front of a slice; `None` where it is not that.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    /// Id and type of the next field of a struct.
    fn field(&mut self, previous: i64) -> Option<(i64, u8)> {
        let byte = self.byte()?;
        let kind = byte & 0x0F;
        match byte >> 4 {
            _ if kind == STOP => Some((previous, STOP)),
            0 => Some((self.zigzag()?, kind)),
            delta => Some((previous.checked_add(i64::from(delta))?, kind)),
        }
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.take(1),
            I16 | I32 | I64 => self.varint().map(|_| ()),
            DOUBLE => self.take(8),
            BINARY => {
                let length = self.varint()?;
                self.take(length)
            }
            LIST | SET => self.skip_list(depth),
            STRUCT => {
                let mut field = 0;
                loop {
                    let (id, kind) = self.field(field)?;
                    if kind == STOP {
                        return Some(());
                    }
                    self.skip(kind, depth)?;
                    field = id;
                }
            }
            _ => None,
        }
    }

    fn skip_list(&mut self, depth: u8) -> Option<()> {
        let byte = self.byte()?;
        let items = match byte >> 4 {
            15 => self.varint()?,
            items => u64::from(items),
        };
        for _ in 0..items {
            match byte & 0x0F {
                // in a list, unlike in a field, a boolean takes a byte
                TRUE | FALSE => self.take(1)?,
                kind => self.skip(kind, depth)?,
            }
        }
        Some(())
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }
}

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;
/// Nearly every header is far shorter.
const HEADER_BYTES: usize = 4 << 10;
/// One with long statistics.
const MAX_HEADER_BYTES: usize = 1 << 20;
/// Page headers nest three deep.
const MAX_DEPTH: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Field 1 = 0, 2 = 300, 3 = 2, 5 = struct { 1 = 7, 5 = struct { 1 = binary "ab" } }, then two bytes of page.
    const PAGE: &[u8] = b"\x15\x00\x15\xd8\x04\x15\x04\x2c\x15\x0e\x4c\x18\x02ab\x00\x00\x00..";

    /// What is said of the chunk when pages may have 299 bytes.
    fn walk(stored: &[u8], cut: usize) -> Result<(), PageFault> {
        let (first, second) = stored.split_at(cut);
        let (middle, end) = (first.len() as u64, stored.len() as u64);
        let parts = [first, second].map(|part| part.to_vec().into());
        let file = SparseFile::new(&[0..middle, middle..end], parts.into(), end);
        check(&file, 0..end, 299)
    }

    fn large(position: u64) -> Result<(), PageFault> {
        Err(PageFault::Size {
            position,
            claimed: 300,
            at_most: 299,
        })
    }

    #[test]
    fn pages_are_walked_to_the_end() {
        let small = b"\x15\x00\x15\x08\x15\x00\x00";
        let chunk = [&small[..], PAGE, small].concat();
        for cut in 0..chunk.len() {
            assert_eq!(walk(&chunk, cut), large(7));
        }
        assert_eq!(walk(small, 0), Ok(()));
    }

    #[test]
    fn partial_and_senseless_bytes_end_the_walk() {
        assert_eq!(walk(&PAGE[..PAGE.len() - 1], 0), large(0));
        assert_eq!(walk(&PAGE[..10], 3), Ok(()));
        assert_eq!(walk(b"", 0), Ok(()));
        for byte in 0..=255 {
            assert_eq!(walk(&[byte; 40], 0), Ok(()), "{byte}");
        }
    }

    #[test]
    fn checksums_are_checked() {
        let zigzag = |value: i32| ((value << 1) ^ (value >> 31)).cast_unsigned();
        let page = |crc: u32| {
            let mut page = b"\x15\x00\x15\x04\x15\x04\x15".to_vec();
            let mut rest = zigzag(crc.cast_signed());
            while rest >= 0x80 {
                page.push((rest & 0x7F) as u8 | 0x80);
                rest >>= 7;
            }
            page.extend([rest as u8, 0, b'h', b'i']);
            page
        };
        let right = crc32fast::hash(b"hi");
        assert_eq!(walk(&page(right), 3), Ok(()));
        assert_eq!(
            walk(&page(right ^ 1), 3),
            Err(PageFault::Checksum { position: 0 })
        );
    }
}
