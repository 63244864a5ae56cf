//! What stands before a page: thrift's compact protocol.
//!
//! ```text
//! 1 type   2 bytes uncompressed   3 bytes compressed   4 crc   5 data page   7 dictionary   8 data page v2
//! ```
//!
//! The field numbers are those of parquet.thrift in the format's definition.

use parquet::file::reader::ChunkReader;

use crate::read::sparse::SparseFile;
use crate::thrift::{FALSE, I32, MAX_DEPTH, STOP, STRUCT, TRUE, Thrift};

/// A page, as its header describes it. Nothing here is to be believed without a check.
#[derive(Debug)]
pub(crate) struct Header {
    /// Of the header itself.
    pub(crate) bytes: u64,
    pub(crate) compressed_bytes: u64,
    pub(crate) uncompressed_bytes: u64,
    pub(crate) kind: PageKind,
    crc: Option<u32>,
}

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Data(DataHeader),
    Dictionary { values: u32, encoding: i32 },
    Other,
}

/// Both versions of data pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataHeader {
    /// Levels, nulls included.
    pub(crate) levels: u32,
    /// Of the values, as parquet.thrift numbers them.
    pub(crate) encoding: i32,
    /// In version 1, of definition and repetition levels.
    pub(crate) level_encodings: (i32, i32),
    /// What only version 2 says.
    pub(crate) v2: Option<V2>,
}

/// Data pages of version 2 have levels of known length outside of what is compressed, and begin with a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct V2 {
    pub(crate) rows: u32,
    pub(crate) definition_bytes: u32,
    pub(crate) repetition_bytes: u32,
    pub(crate) is_compressed: bool,
}

impl Header {
    /// The header at `position`; `None` where none is.
    pub(crate) fn at(file: &SparseFile, position: u64) -> Option<Header> {
        let read = |bytes| Header::parse(&file.peek(position, bytes));
        read(HEADER_BYTES).or_else(|| read(MAX_HEADER_BYTES))
    }

    /// Whether the stored page has the checksum that its header gives, if it gives one and the page was fetched.
    pub(crate) fn fits(&self, file: &SparseFile, body: u64) -> bool {
        let Some(crc) = self.crc else { return true };
        let length = usize::try_from(self.compressed_bytes).unwrap_or(usize::MAX);
        match file.get_bytes(body, length) {
            Ok(page) => crc32fast::hash(&page) == crc,
            Err(_) => true,
        }
    }

    pub(crate) fn parse(stored: &[u8]) -> Option<Header> {
        let mut thrift = Thrift(stored);
        let (mut page_type, mut uncompressed, mut compressed, mut crc) = (None, None, None, None);
        let (mut data, mut dictionary, mut data_v2) = (None, None, None);
        let mut field = 0;
        loop {
            let (id, kind) = thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (1, I32) => page_type = Some(thrift.zigzag()?),
                (2, I32) => uncompressed = Some(thrift.zigzag()?),
                (COMPRESSED_BYTES, I32) => compressed = Some(thrift.zigzag()?),
                (CRC, I32) => crc = Some(i32::try_from(thrift.zigzag()?).ok()?.cast_unsigned()),
                (5, STRUCT) => data = Some(Numbers::read(&mut thrift)?),
                (7, STRUCT) => dictionary = Some(Numbers::read(&mut thrift)?),
                (8, STRUCT) => data_v2 = Some(Numbers::read(&mut thrift)?),
                _ => thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        let kind = match page_type {
            Some(0) => data.and_then(|numbers| numbers.data()),
            Some(2) => dictionary.and_then(|numbers| numbers.dictionary()),
            Some(3) => data_v2.and_then(|numbers| numbers.data_v2()),
            _ => None,
        };
        Some(Header {
            bytes: (stored.len() - thrift.0.len()) as u64,
            compressed_bytes: u32::try_from(compressed?).ok()?.into(),
            uncompressed_bytes: u32::try_from(uncompressed?).ok()?.into(),
            kind: kind.unwrap_or(PageKind::Other),
            crc,
        })
    }
}

/// The numbers and switches of a page header's inner struct, by field.
#[derive(Default)]
struct Numbers {
    number: [Option<i64>; FIELDS],
    switch: Option<bool>,
}

impl Numbers {
    fn read(thrift: &mut Thrift<'_>) -> Option<Numbers> {
        let mut numbers = Numbers::default();
        let mut field = 0;
        loop {
            let (id, kind) = thrift.field(field)?;
            let slot = usize::try_from(id).ok().filter(|id| *id < FIELDS);
            match (slot, kind) {
                (_, STOP) => return Some(numbers),
                (Some(slot), I32) => numbers.number[slot] = Some(thrift.zigzag()?),
                (Some(7), TRUE) => numbers.switch = Some(true),
                (Some(7), FALSE) => numbers.switch = Some(false),
                _ => thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
    }

    fn data(&self) -> Option<PageKind> {
        Some(PageKind::Data(DataHeader {
            levels: self.u32(1)?,
            encoding: self.i32(2)?,
            level_encodings: (self.i32(3)?, self.i32(4)?),
            v2: None,
        }))
    }

    fn dictionary(&self) -> Option<PageKind> {
        Some(PageKind::Dictionary {
            values: self.u32(1)?,
            encoding: self.i32(2)?,
        })
    }

    fn data_v2(&self) -> Option<PageKind> {
        Some(PageKind::Data(DataHeader {
            levels: self.u32(1)?,
            encoding: self.i32(4)?,
            level_encodings: (RLE, RLE),
            v2: Some(V2 {
                rows: self.u32(3)?,
                definition_bytes: self.u32(5)?,
                repetition_bytes: self.u32(6)?,
                is_compressed: self.switch.unwrap_or(true),
            }),
        }))
    }

    fn u32(&self, field: usize) -> Option<u32> {
        u32::try_from(self.number[field]?).ok()
    }

    fn i32(&self, field: usize) -> Option<i32> {
        i32::try_from(self.number[field]?).ok()
    }
}

/// Fields of a header.
pub(crate) const COMPRESSED_BYTES: i64 = 3;
pub(crate) const CRC: i64 = 4;
pub(crate) const PLAIN: i32 = 0;
pub(crate) const PLAIN_DICTIONARY: i32 = 2;
pub(crate) const RLE: i32 = 3;
pub(crate) const BIT_PACKED: i32 = 4;
pub(crate) const DELTA_BINARY_PACKED: i32 = 5;
pub(crate) const RLE_DICTIONARY: i32 = 8;
pub(crate) const BYTE_STREAM_SPLIT: i32 = 9;
/// One more than the highest field looked at.
const FIELDS: usize = 8;
/// Nearly every header is far shorter.
const HEADER_BYTES: usize = 4 << 10;
/// One with long statistics.
pub(crate) const MAX_HEADER_BYTES: usize = 1 << 20;
