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
use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use xxhash_rust::xxh3::Xxh3;

use crate::{Batch, Error, Extra, ExtraData, ExtraKind, Jagged, Layout};

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
        self.pieces().concat().into()
    }

    /// The frame as bytes in pieces to be sent one after another: large buffers are not copied.
    pub fn pieces(&self) -> Vec<Bytes> {
        let buffers: Vec<&Buffer> = self.wire_buffers().collect();
        let mut pieces = Pieces::default();
        pieces.header(self, &buffers);
        for buffer in buffers {
            pieces.push(buffer);
        }
        pieces.finish()
    }

    /// Reads a frame, however its bytes came; they are copied into buffers of its own.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes: too few, another version, changed on the way, or not of `layout`.
    pub fn decode(bytes: impl Buf, layout: &Arc<Layout>) -> Result<Frame, Error> {
        let (header, buffers) = Received::new(bytes).frame()?;
        let mut buffers = Buffers(buffers.into_iter());
        let batch = Batch {
            rows: header.rows as usize,
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
const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
/// What is smaller is cheaper to copy than to send alone.
const ALONE_BYTES: usize = 4 << 10;
const COPIED_AT_ONCE: usize = 16 << 10;
static NO_BUFFER: std::sync::LazyLock<Buffer> =
    std::sync::LazyLock::new(|| Buffer::from(Bytes::new()));

/// Zeros that follow so many bytes.
fn padding(size: usize) -> usize {
    size.wrapping_neg() % ALIGNMENT
}

/// A frame's bytes as they are to be sent.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    /// What is too small to go alone.
    small: BytesMut,
}

impl Pieces {
    fn header(&mut self, frame: &Frame, buffers: &[&Buffer]) {
        let Range { start, end } = frame.positions;
        let rows = u32::try_from(frame.batch.rows).expect("a frame is far below 2^32 rows");
        let count = u32::try_from(buffers.len()).expect("buffers are counted by the layout");
        self.small.put_slice(&MAGIC);
        self.small.put_u16_le(FRAME_VERSION);
        self.small.put_bytes(0, 10); // reserved, then the checksum once it is known
        self.small.put_u64_le(start);
        self.small.put_u64_le(end);
        self.small.put_u32_le(rows);
        self.small.put_u32_le(count);
        for buffer in buffers {
            self.small.put_u64_le(buffer.len() as u64);
        }
        self.small
            .put_bytes(0, padding(FIXED_HEADER + buffers.len() * 8));
        let checksum = checksum(&self.small[CHECKED_FROM..], buffers);
        self.small[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    }

    fn push(&mut self, buffer: &Buffer) {
        if buffer.len() < ALONE_BYTES {
            self.small.put_slice(buffer);
        } else {
            self.done.push(self.small.split().freeze());
            self.done.push(Bytes::from_owner(buffer.clone()));
        }
        self.small.put_bytes(0, padding(buffer.len()));
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.done.push(self.small.freeze());
        self.done.retain(|piece| !piece.is_empty());
        self.done
    }
}

fn checksum(header: &[u8], buffers: &[&Buffer]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(header);
    for buffer in buffers {
        hash.update(buffer);
        hash.update(&ZEROS[..padding(buffer.len())]);
    }
    hash.digest()
}

struct Header {
    positions: Range<u64>,
    rows: u32,
}

/// A frame's bytes as they are taken, and the checksum of those.
struct Received<B> {
    bytes: B,
    length: usize,
    hash: Xxh3,
}

impl<B: Buf> Received<B> {
    fn new(bytes: B) -> Self {
        Received {
            length: bytes.remaining(),
            bytes,
            hash: Xxh3::new(),
        }
    }

    /// Header and buffers, which are what the sender's were.
    fn frame(mut self) -> Result<(Header, Vec<Buffer>), Error> {
        let stated = self.stated_checksum()?;
        let mut fixed = self.take(FIXED_HEADER - CHECKED_FROM)?;
        let positions = fixed.get_u64_le()..fixed.get_u64_le();
        let (rows, count) = (fixed.get_u32_le(), fixed.get_u32_le() as usize);
        let mut sizes = self.take(count.saturating_mul(8))?;
        self.take(padding(FIXED_HEADER + sizes.len()))?;
        let mut buffers = Vec::with_capacity(count);
        for _ in 0..count {
            let size = usize::try_from(sizes.get_u64_le()).unwrap_or(usize::MAX);
            buffers.push(self.buffer(size)?);
            self.take(padding(size))?;
        }
        let computed = self.hash.digest();
        if computed != stated {
            return Err(Error::Checksum { computed, stated });
        }
        if self.bytes.has_remaining() {
            return Err(self.is_not_of(self.length - self.bytes.remaining()));
        }
        Ok((Header { positions, rows }, buffers))
    }

    /// What comes before the bytes that are checked: this is a frame, of this version, and what their checksum must be.
    fn stated_checksum(&mut self) -> Result<u64, Error> {
        let mut found = [0; MAGIC.len()];
        self.needs(found.len())?;
        self.bytes.copy_to_slice(&mut found);
        if found != MAGIC {
            return Err(Error::NotAFrame { found });
        }
        self.needs(CHECKED_FROM - MAGIC.len())?;
        let found = self.bytes.get_u16_le();
        if found != FRAME_VERSION {
            return Err(Error::Version {
                found,
                supported: FRAME_VERSION,
            });
        }
        self.bytes.advance(2);
        Ok(self.bytes.get_u64_le())
    }

    fn take(&mut self, size: usize) -> Result<Bytes, Error> {
        self.needs(size)?;
        let taken = self.bytes.copy_to_bytes(size);
        self.hash.update(&taken);
        Ok(taken)
    }

    /// What is copied is hashed while it is in the core's cache.
    fn buffer(&mut self, size: usize) -> Result<Buffer, Error> {
        self.needs(size)?;
        let mut copied = Vec::with_capacity(size);
        while copied.len() < size {
            let part = self.bytes.chunk();
            let part = &part[..part.len().min(size - copied.len()).min(COPIED_AT_ONCE)];
            self.hash.update(part);
            copied.extend_from_slice(part);
            let taken = part.len();
            self.bytes.advance(taken);
        }
        Ok(Buffer::from_vec(copied))
    }

    fn needs(&self, size: usize) -> Result<(), Error> {
        match size <= self.bytes.remaining() {
            true => Ok(()),
            false => {
                let taken = self.length - self.bytes.remaining();
                Err(self.is_not_of(taken.saturating_add(size)))
            }
        }
    }

    fn is_not_of(&self, expected: usize) -> Error {
        Error::Truncated {
            expected,
            actual: self.length,
        }
    }
}

/// Hands out the buffers of a frame one after another.
struct Buffers(std::vec::IntoIter<Buffer>);

impl Buffers {
    fn next(&mut self) -> Result<Buffer, Error> {
        self.0.next().ok_or_else(|| Error::Layout {
            what: "too few buffers".into(),
        })
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
        match self.0.next() {
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
