//! A batch on the wire.
//!
//! ```text
//!  0  "DPPF"                       16  first position  u64      40  size of every buffer  u64 × n
//!  4  version u16, zero u16        24  end position    u64       …  zeros to a multiple of 64
//!  8  CRC-64/NVME of bytes 16 …    32  rows u32, n u32           …  the buffers, each followed by zeros to a multiple of 64
//! ```
//!
//! Buffers come in the order dense, labels, lengths, values, [weights], vectors, and per extra its validity
//! (empty when no row is null), then values, or lengths and bytes. The layout is the job's and travels once.
//!
//! Source of the checksum: "CRC-64/NVME" of the NVM Express base specification, which processors' carry-less multiplication
//! computes faster than memory is read.

mod arrive;
mod send;

use std::{ops::Range, sync::Arc};

use arrow_buffer::Buffer;
use bytes::{Buf, Bytes};
use crc_fast::{CrcAlgorithm, Digest};

pub use self::arrive::Arriving;
use crate::{Batch, Error, ExtraData, Layout};

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
        send::pieces(self)
    }

    /// Reads a frame of which all bytes are there; they are copied into buffers of its own.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes: too few, another version, changed on the way, or not of `layout`.
    pub fn decode(mut bytes: impl Buf, layout: &Arc<Layout>) -> Result<Frame, Error> {
        let mut frame = Arriving::new(layout, bytes.remaining());
        while bytes.has_remaining() {
            let part = bytes.chunk();
            let taken = part.len();
            frame.push(part)?;
            bytes.advance(taken);
        }
        frame.finish()
    }

    /// Reads a frame of `length` bytes, each copied once, to where it stays. `append` copies the next bytes, so many, behind what the
    /// vector has.
    ///
    /// # Errors
    /// As [`Frame::decode`].
    pub fn read(
        mut append: impl FnMut(&mut Vec<u8>, usize),
        length: usize,
        layout: &Arc<Layout>,
    ) -> Result<Frame, Error> {
        let mut frame = Arriving::new(layout, length);
        while frame.missing() > 0 {
            frame.pull(&mut append)?;
        }
        frame.finish()
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
pub const FRAME_VERSION: u16 = 2;

const MAGIC: [u8; 4] = *b"DPPF";
const CHECKED_FROM: usize = 16;
const FIXED_HEADER: usize = 40;
const ALIGNMENT: usize = 64;
const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
static NO_BUFFER: std::sync::LazyLock<Buffer> =
    std::sync::LazyLock::new(|| Buffer::from(Bytes::new()));

/// Zeros that follow so many bytes.
fn padding(size: usize) -> usize {
    size.wrapping_neg() % ALIGNMENT
}

fn checksum() -> Digest {
    Digest::new(CrcAlgorithm::Crc64Nvme)
}

#[cfg(test)]
mod tests;
