//! A batch on the wire.
//!
//! ```text
//!  0  "DPPF"                       16  first position  u64      40  size of every buffer  u64 × n
//!  4  version u16, zero u16        24  end position    u64       …  zeros to a multiple of 64
//!  8  xxh3-64 of bytes 16 …        32  rows u32, n u32           …  the buffers, each followed by zeros to a multiple of 64
//! ```
//!
//! Buffers come in the order dense, labels, lengths, values, [weights], vectors, and per extra its validity
//! (empty when no row is null), then values, or lengths and bytes. The layout is the job's and travels once.

use std::{ops::Range, sync::Arc};

use arrow_buffer::Buffer;
use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Batch, Error, Extra, ExtraData, ExtraKind, Jagged, Layout, little_endian::Cursor};

/// Packed rows and the positions of their read that they cover.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Positions covered, counted over the read's ordered selection from 0. Without a row filter, one a row.
    pub positions: Range<u64>,
    /// The rows' tensors.
    pub batch: Batch,
}

impl Frame {
    /// The frame as bytes. Equal frames give equal bytes.
    pub fn encode(&self) -> Bytes {
        let buffers: Vec<&Buffer> = self.wire_buffers().collect();
        let header_size = padded(FIXED_HEADER + buffers.len() * 8);
        let size = header_size
            + buffers
                .iter()
                .map(|buffer| padded(buffer.len()))
                .sum::<usize>();
        let mut out = BytesMut::with_capacity(size);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FRAME_VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 10]); // reserved, then the checksum once it is known
        out.extend_from_slice(&self.positions.start.to_le_bytes());
        out.extend_from_slice(&self.positions.end.to_le_bytes());
        out.extend_from_slice(
            &u32::try_from(self.batch.rows)
                .expect("a frame is far below 2^32 rows")
                .to_le_bytes(),
        );
        out.extend_from_slice(
            &u32::try_from(buffers.len())
                .expect("buffers are counted by the layout")
                .to_le_bytes(),
        );
        for buffer in &buffers {
            out.extend_from_slice(&(buffer.len() as u64).to_le_bytes());
        }
        out.resize(header_size, 0);
        for buffer in buffers {
            out.extend_from_slice(buffer);
            out.resize(padded(out.len()), 0);
        }
        let checksum = xxh3_64(&out[CHECKED_FROM..]);
        out[8..16].copy_from_slice(&checksum.to_le_bytes());
        out.freeze()
    }

    /// Reads a frame; its buffers are views of `bytes`.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes: too few, another version, changed on the way, or not of `layout`.
    pub fn decode(bytes: Bytes, layout: &Arc<Layout>) -> Result<Frame, Error> {
        let header = Header::read(&bytes)?;
        let mut buffers = Buffers::new(bytes, &header)?;
        let rows = header.rows as usize;
        let batch = Batch {
            rows,
            dense: buffers.next()?,
            labels: buffers.next()?,
            sparse: Jagged {
                lengths: buffers.next()?,
                values: buffers.next()?,
                weights: if layout.is_weighted() {
                    Some(buffers.next()?)
                } else {
                    None
                },
            },
            vectors: layout
                .vectors
                .iter()
                .map(|_| buffers.next())
                .collect::<Result<_, _>>()?,
            extras: layout
                .extras
                .iter()
                .map(|extra| buffers.next_extra(extra.kind))
                .collect::<Result<_, _>>()?,
            layout: layout.clone(),
        };
        buffers.finish()?;
        batch.check()?;
        Ok(Frame {
            positions: header.positions,
            batch,
        })
    }

    /// The batch's buffers with an empty one in place of every absent validity, so that their number is the layout's.
    fn wire_buffers(&self) -> impl Iterator<Item = &Buffer> {
        let batch = &self.batch;
        let tensors = batch
            .buffers()
            .take(4 + usize::from(batch.sparse.weights.is_some()) + batch.vectors.len());
        tensors.chain(batch.extras.iter().flat_map(|extra| {
            let (first, second) = match &extra.data {
                ExtraData::Fixed(values) => (values, None),
                ExtraData::Variable { lengths, bytes } => (lengths, Some(bytes)),
            };
            [extra.validity.as_ref().unwrap_or(&NO_BUFFER), first]
                .into_iter()
                .chain(second)
        }))
    }
}

/// Version of the bytes described above.
pub const FRAME_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"DPPF";
const CHECKED_FROM: usize = 16;
const FIXED_HEADER: usize = 40;
const ALIGNMENT: usize = 64;
static NO_BUFFER: std::sync::LazyLock<Buffer> =
    std::sync::LazyLock::new(|| Buffer::from(Bytes::new()));

fn padded(size: usize) -> usize {
    size.next_multiple_of(ALIGNMENT)
}

struct Header {
    positions: Range<u64>,
    rows: u32,
    sizes: Vec<usize>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Error> {
        let truncated = |expected| Error::Truncated {
            expected,
            actual: bytes.len(),
        };
        let mut at = Cursor(bytes);
        let found = at.next().ok_or(truncated(FIXED_HEADER))?;
        if found != MAGIC {
            return Err(Error::NotAFrame { found });
        }
        let version = at
            .next()
            .map(u16::from_le_bytes)
            .ok_or(truncated(FIXED_HEADER))?;
        if version != FRAME_VERSION {
            return Err(Error::Version {
                found: version,
                supported: FRAME_VERSION,
            });
        }
        at.next::<2>().ok_or(truncated(FIXED_HEADER))?;
        let mut next_u64 = || {
            at.next()
                .map(u64::from_le_bytes)
                .ok_or(truncated(FIXED_HEADER))
        };
        let (stated, start, end, counts) = (next_u64()?, next_u64()?, next_u64()?, next_u64()?);
        let computed = xxh3_64(&bytes[CHECKED_FROM..]);
        if computed != stated {
            return Err(Error::Checksum { computed, stated });
        }
        let (rows, buffers) = ((counts & 0xFFFF_FFFF) as u32, (counts >> 32) as usize);
        if bytes.len() < FIXED_HEADER + buffers * 8 {
            return Err(truncated(FIXED_HEADER + buffers * 8));
        }
        let sizes = (0..buffers)
            .map(|_| Ok(usize::try_from(next_u64()?).unwrap_or(usize::MAX)))
            .collect::<Result<_, Error>>()?;
        Ok(Header {
            positions: start..end,
            rows,
            sizes,
        })
    }
}

/// Hands out the buffers of a frame one after another.
struct Buffers<'a> {
    bytes: Bytes,
    at: usize,
    sizes: std::slice::Iter<'a, usize>,
}

impl<'a> Buffers<'a> {
    fn new(bytes: Bytes, header: &'a Header) -> Result<Self, Error> {
        let mut expected = padded(FIXED_HEADER + header.sizes.len() * 8);
        let at = expected;
        for size in &header.sizes {
            expected = size
                .checked_next_multiple_of(ALIGNMENT)
                .and_then(|size| expected.checked_add(size))
                .unwrap_or(usize::MAX);
        }
        if expected != bytes.len() {
            return Err(Error::Truncated {
                expected,
                actual: bytes.len(),
            });
        }
        Ok(Buffers {
            bytes,
            at,
            sizes: header.sizes.iter(),
        })
    }

    fn next(&mut self) -> Result<Buffer, Error> {
        let size = *self.sizes.next().ok_or_else(|| Error::Layout {
            what: "too few buffers".into(),
        })?;
        let buffer = Buffer::from(self.bytes.slice(self.at..self.at + size));
        self.at += padded(size);
        Ok(buffer)
    }

    fn next_extra(&mut self, kind: ExtraKind) -> Result<Extra, Error> {
        let validity = self.next()?;
        let data = match kind.fixed_width() {
            Some(_) => ExtraData::Fixed(self.next()?),
            None => ExtraData::Variable {
                lengths: self.next()?,
                bytes: self.next()?,
            },
        };
        Ok(Extra {
            validity: (!validity.is_empty()).then_some(validity),
            data,
        })
    }

    fn finish(mut self) -> Result<(), Error> {
        match self.sizes.next() {
            None => Ok(()),
            Some(_) => Err(Error::Layout {
                what: "too many buffers".into(),
            }),
        }
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
