//! A frame as it arrives: in cuts that are the transport's.

use std::{ops::Range, sync::Arc};

use arrow_buffer::Buffer;
use bytes::Buf as _;
use crc_fast::Digest;
use dpp_pool::Pooled;

use super::{
    CHECKED_FROM, FIXED_HEADER, FRAME_VERSION, Frame, MAGIC, NO_BUFFER, checksum, padding,
};
use crate::{Batch, Error, Extra, ExtraData, ExtraKind, Jagged, Layout};

/// A frame some of whose bytes have come. Each is copied once, to where it stays, as soon as it is there.
#[derive(Debug)]
pub struct Arriving {
    layout: Arc<Layout>,
    /// Bytes of the whole frame.
    length: usize,
    arrived: usize,
    /// Of all that is checked and has arrived.
    checksum: Digest,
    head: Vec<u8>,
    /// Bytes of the head, as far as what has come of it says.
    head_bytes: usize,
    header: Header,
    /// Sizes of the buffers that have not begun.
    sizes: std::vec::IntoIter<usize>,
    buffers: Vec<Buffer>,
    /// The buffer under way, and its size.
    filling: Option<(Pooled<u8>, usize)>,
    /// Zeros to come before the next buffer.
    zeros: usize,
}

#[derive(Debug, Default)]
struct Header {
    checksum: u64,
    positions: Range<u64>,
    rows: usize,
    buffers: usize,
}

impl Arriving {
    /// A frame of `length` bytes, of which none has come.
    pub fn new(layout: &Arc<Layout>, length: usize) -> Arriving {
        Arriving {
            layout: layout.clone(),
            length,
            arrived: 0,
            checksum: checksum(),
            head: Vec::new(),
            head_bytes: MAGIC.len(),
            header: Header::default(),
            sizes: Vec::new().into_iter(),
            buffers: Vec::new(),
            filling: None,
            zeros: 0,
        }
    }

    /// Bytes that have not come.
    pub fn missing(&self) -> usize {
        self.length - self.arrived
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// This is no frame of this version, or its length is another. Nothing is to be pushed after.
    pub fn push(&mut self, mut part: &[u8]) -> Result<(), Error> {
        if part.len() > self.missing() {
            return Err(is_not_of(self.length, self.arrived + part.len()));
        }
        self.arrived += part.len();
        while !part.is_empty() {
            let taken = if self.head.len() < self.head_bytes {
                self.push_head(part)?
            } else if self.zeros > 0 {
                self.push_zeros(part)
            } else {
                self.push_buffer(part)
            };
            part = &part[taken..];
        }
        Ok(())
    }

    /// Takes some of the next bytes, which `append` copies.
    pub(super) fn pull(
        &mut self,
        mut append: impl FnMut(&mut Vec<u8>, usize),
    ) -> Result<(), Error> {
        if let Some((filling, size)) = self.filling.as_mut().filter(|_| self.zeros == 0) {
            let before = filling.len();
            let count = (*size - before).min(COPIED_AT_ONCE);
            append(filling, count);
            self.arrived += count;
            self.checksum.update(&filling[before..]);
            self.end_buffer_if_full();
            return Ok(());
        }
        let few = match self.zeros {
            0 => self.head_bytes - self.head.len(),
            zeros => zeros,
        };
        let mut bytes = Vec::new();
        append(&mut bytes, few.min(self.missing()));
        self.push(&bytes)
    }

    /// The frame, all of whose bytes have come.
    ///
    /// # Errors
    /// Some are missing or were changed on the way, or the frame is not of the layout.
    pub fn finish(self) -> Result<Frame, Error> {
        if self.head.len() < self.head_bytes {
            return Err(is_not_of(self.head_bytes.max(FIXED_HEADER), self.arrived));
        }
        if self.missing() > 0 {
            return Err(is_not_of(self.length, self.arrived));
        }
        let (computed, stated) = (self.checksum.finalize(), self.header.checksum);
        if computed != stated {
            return Err(Error::Checksum { computed, stated });
        }
        let Header {
            positions, rows, ..
        } = self.header;
        let batch = Buffers(self.buffers.into_iter()).batch(self.layout, rows)?;
        Ok(Frame { positions, batch })
    }

    /// Takes bytes of the head; returns how many.
    fn push_head(&mut self, part: &[u8]) -> Result<usize, Error> {
        let taken = part.len().min(self.head_bytes - self.head.len());
        self.head.extend_from_slice(&part[..taken]);
        if self.head.len() < self.head_bytes {
            return Ok(taken);
        }
        if self.head_bytes == MAGIC.len() {
            if self.head != MAGIC {
                let found = self.head.as_slice().try_into();
                let found = found.expect("as many bytes as the magic has");
                return Err(Error::NotAFrame { found });
            }
            self.head_bytes = FIXED_HEADER;
        } else if self.head_bytes == FIXED_HEADER {
            self.read_fixed()?;
        } else {
            self.read_sizes()?;
        }
        Ok(taken)
    }

    /// Reads what has a fixed place.
    fn read_fixed(&mut self) -> Result<(), Error> {
        let mut fixed = &self.head[MAGIC.len()..];
        let found = fixed.get_u16_le();
        if found != FRAME_VERSION {
            return Err(Error::Version {
                found,
                supported: FRAME_VERSION,
            });
        }
        fixed.advance(2);
        self.header = Header {
            checksum: fixed.get_u64_le(),
            positions: fixed.get_u64_le()..fixed.get_u64_le(),
            rows: fixed.get_u32_le() as usize,
            buffers: fixed.get_u32_le() as usize,
        };
        let sizes_end = FIXED_HEADER + self.header.buffers * 8;
        self.head_bytes = sizes_end + padding(sizes_end);
        match self.head_bytes <= self.length {
            true => Ok(()),
            false => Err(is_not_of(self.head_bytes, self.length)),
        }
    }

    /// Reads the sizes of the buffers, which are nothing to rely on before they add up to the frame's length.
    fn read_sizes(&mut self) -> Result<(), Error> {
        self.checksum.update(&self.head[CHECKED_FROM..]);
        let mut stated = &self.head[FIXED_HEADER..];
        let sizes = (0..self.header.buffers).map(|_| stated.get_u64_le());
        let sizes: Vec<usize> = sizes
            .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
            .collect();
        let whole = sizes.iter().fold(self.head_bytes, |sum, &size| {
            sum.saturating_add(size).saturating_add(padding(size))
        });
        if whole != self.length {
            return Err(is_not_of(whole, self.length));
        }
        self.sizes = sizes.into_iter();
        self.begin_buffer();
        Ok(())
    }

    /// Makes room for the next buffer that is not empty.
    fn begin_buffer(&mut self) {
        for size in self.sizes.by_ref() {
            if size > 0 {
                self.filling = Some((dpp_pool::empty(size.min(RESERVED_BYTES)), size));
                return;
            }
            self.buffers.push(NO_BUFFER.clone());
        }
    }

    /// Takes bytes of a buffer, checked and copied while they are in the core's cache; returns how many.
    fn push_buffer(&mut self, part: &[u8]) -> usize {
        let (filling, size) = self.filling.as_mut().expect("sizes add up to the length");
        let part = &part[..part.len().min(*size - filling.len())];
        for part in part.chunks(COPIED_AT_ONCE) {
            self.checksum.update(part);
            filling.extend_from_slice(part);
        }
        let taken = part.len();
        self.end_buffer_if_full();
        taken
    }

    /// Goes on to the next buffer once all bytes of this one are there.
    fn end_buffer_if_full(&mut self) {
        if let Some((filled, size)) = self.filling.take_if(|(filled, size)| filled.len() == *size) {
            self.zeros = padding(size);
            self.buffers.push(filled.into_buffer());
            self.begin_buffer();
        }
    }

    /// Takes what follows a buffer; returns how many bytes.
    fn push_zeros(&mut self, part: &[u8]) -> usize {
        let part = &part[..part.len().min(self.zeros)];
        self.checksum.update(part);
        self.zeros -= part.len();
        part.len()
    }
}

fn is_not_of(expected: usize, actual: usize) -> Error {
    Error::Truncated { expected, actual }
}

/// Hands out the buffers of a frame one after another.
struct Buffers(std::vec::IntoIter<Buffer>);

impl Buffers {
    /// All of them as a batch, checked.
    fn batch(mut self, layout: Arc<Layout>, rows: usize) -> Result<Batch, Error> {
        let batch = Batch {
            rows,
            dense: self.next()?,
            labels: self.next()?,
            sparse: Jagged {
                lengths: self.next()?,
                values: self.next()?,
                weights: match layout.is_weighted() {
                    true => Some(self.next()?),
                    false => None,
                },
            },
            vectors: (layout.vectors.iter())
                .map(|_| self.next())
                .collect::<Result<_, _>>()?,
            extras: (layout.extras.iter())
                .map(|extra| self.next_extra(extra.kind))
                .collect::<Result<_, _>>()?,
            layout,
        };
        self.finish()?;
        batch.check()?;
        Ok(batch)
    }

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

/// More is not reserved on the word of a sender, before it has come.
const RESERVED_BYTES: usize = 16 << 20;
/// Fits the first-level cache.
const COPIED_AT_ONCE: usize = 16 << 10;
