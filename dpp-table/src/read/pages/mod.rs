//! The pages of a column chunk: their headers (`header`), and one after another as bytes (`walk`, `unpack`), or as places (`locate`).
//!
//! Before the Parquet crate reads a chunk its pages are walked here, with nothing decompressed: a page that
//! claims more memory than any writer uses is refused, and so is one that does not fit its checksum.
//!
//! ```text
//! chunk: header page header page …      header: thrift compact, field 2 = bytes uncompressed, 3 = bytes compressed, 4 = crc
//! ```
//!
//! A header may understate: that is for whoever unpacks its page to judge. Encrypted pages are seen without their checksums, which
//! are of what is stored: their tags say more.

pub(crate) mod checked;
pub(crate) mod header;
mod locate;
pub(crate) mod unpack;
pub(crate) mod walk;

use std::ops::Range;

use crate::read::pages::header::Header;
use crate::read::pages::unpack::Codec;
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
    #[error("the page at byte {position} is not one, or not within its column chunk")]
    Malformed { position: u64 },
    #[error(
        "the page at byte {position} has encoding {encoding}, which its column chunk does not announce"
    )]
    Encoding { position: u64, encoding: i32 },
    #[error("a page is not {codec:?} of as many bytes as its header says")]
    Compressed { codec: Codec },
    #[error("a page ends within its {what}")]
    Short { what: &'static str },
    #[error("a level or dictionary index is {value}, where {width} bits are for it")]
    Wide { value: u32, width: usize },
    #[error("a value names entry {index} of a dictionary of {count}")]
    Dictionary { index: u32, count: usize },
    #[error("the column ends before its row group")]
    Rows,
}

/// Refuses a page in `range` that is larger than `at_most` bytes, or not as it was written, if its header can tell.
///
/// `range` begins with a page. The walk ends with it, or at the first header that makes no sense.
pub(crate) fn check(file: &SparseFile, range: Range<u64>, at_most: u64) -> Result<(), PageFault> {
    headers(file, range)
        .try_for_each(|(position, header)| checked(file, &header, position, at_most))
}

/// The pages' headers and where they are, until the range ends or one makes no sense. `range` begins with a page.
pub(crate) fn headers(file: &SparseFile, range: Range<u64>) -> impl Iterator<Item = (u64, Header)> {
    let mut position = range.start;
    std::iter::from_fn(move || {
        let header = (position < range.end).then(|| Header::at(file, position))??;
        let next = position + header.bytes + header.compressed_bytes;
        Some((std::mem::replace(&mut position, next), header))
    })
}

/// Refuses one page, whose header is at `position`.
pub(crate) fn checked(
    file: &SparseFile,
    header: &Header,
    position: u64,
    at_most: u64,
) -> Result<(), PageFault> {
    let claimed = header.uncompressed_bytes;
    if claimed > at_most {
        return Err(PageFault::Size {
            position,
            claimed,
            at_most,
        });
    }
    match header.fits(file, position + header.bytes) {
        true => Ok(()),
        false => Err(PageFault::Checksum { position }),
    }
}

/// Writers cut pages at a megabyte or so; one huge value may make a longer one.
pub(crate) const MAX_PAGE_BYTES: u64 = 256 << 20;

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
