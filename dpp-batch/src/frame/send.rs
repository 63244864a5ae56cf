//! A frame as the bytes that are sent.

use std::ops::Range;

use arrow_buffer::Buffer;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::{CHECKED_FROM, FIXED_HEADER, FRAME_VERSION, Frame, MAGIC, ZEROS, padding};

/// In pieces, of which the large ones are the batch's own buffers.
pub(super) fn pieces(frame: &Frame) -> Vec<Bytes> {
    let buffers: Vec<&Buffer> = frame.wire_buffers().collect();
    let mut pieces = Pieces::default();
    pieces.header(frame, &buffers);
    for buffer in buffers {
        pieces.push(buffer);
    }
    pieces.finish()
}

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
    let mut checksum = super::checksum();
    checksum.update(header);
    for buffer in buffers {
        checksum.update(buffer);
        checksum.update(&ZEROS[..padding(buffer.len())]);
    }
    checksum.finalize()
}

/// What is smaller is cheaper to copy than to send alone.
const ALONE_BYTES: usize = 4 << 10;
