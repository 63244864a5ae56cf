//! Bytes in pieces.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Bytes in pieces, taken from the front. Taking what lies within one piece copies nothing.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    /// None is empty.
    pieces: VecDeque<Bytes>,
    length: usize,
}

impl Rope {
    /// Adds a piece behind the others.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// What it consists of.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }

    /// `piece`, then this.
    pub(super) fn after(mut self, piece: Bytes) -> Rope {
        self.length += piece.len();
        self.pieces.push_front(piece);
        self
    }

    /// Takes the first piece, or its first `most` bytes.
    pub(super) fn pop(&mut self, most: usize) -> Option<Bytes> {
        let piece = match self.pieces.front_mut()? {
            piece if piece.len() > most => piece.split_to(most),
            _ => self.pieces.pop_front()?,
        };
        self.length -= piece.len();
        Some(piece)
    }

    /// The first bytes, as many as `room` has room for, or all that are there.
    pub(super) fn front<'a>(&self, room: &'a mut [u8]) -> &'a [u8] {
        let mut filled = 0;
        for piece in &self.pieces {
            if filled == room.len() {
                break;
            }
            let part = &piece[..piece.len().min(room.len() - filled)];
            room[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        &room[..filled]
    }

    /// Takes the first `count` bytes.
    ///
    /// # Panics
    /// There are fewer.
    pub(super) fn split_to(&mut self, count: usize) -> Rope {
        assert!(count <= self.length, "{count} of {} bytes", self.length);
        let mut front = Rope::default();
        while front.length < count {
            front.push(self.pop(count - front.length).unwrap_or_default());
        }
        front
    }
}

impl FromIterator<Bytes> for Rope {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Rope {
        let mut rope = Rope::default();
        pieces.into_iter().for_each(|piece| rope.push(piece));
        rope
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.length, "{count} of {} bytes", self.length);
        self.length -= count;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > count {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        let mut taken = self.split_to(count);
        if taken.pieces.len() <= 1 {
            return taken.pop(count).unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(count);
        joined.extend(taken.pieces);
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_what_its_pieces_are_joined(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9), takes in prop::collection::vec(0_usize..12, 0..20)) {
            let whole = pieces.concat();
            let mut rope: Rope = pieces.into_iter().map(Bytes::from).collect();
            let mut at = 0;
            for (index, take) in takes.into_iter().enumerate() {
                prop_assert_eq!(rope.remaining(), whole.len() - at);
                prop_assert_eq!(rope.chunk().is_empty(), at == whole.len());
                prop_assert!(whole[at..].starts_with(rope.chunk()));
                let mut front = [0; 4];
                prop_assert_eq!(rope.front(&mut front), &whole[at..whole.len().min(at + 4)]);
                let take = take.min(rope.remaining());
                match index % 2 {
                    0 => prop_assert_eq!(&rope.copy_to_bytes(take), &whole[at..at + take]),
                    _ => rope.advance(take),
                }
                at += take;
            }
        }
    }

    #[test]
    fn what_lies_in_one_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; 100]);
        let mut rope: Rope = [Bytes::from_static(b"ab"), piece.clone()]
            .into_iter()
            .collect();
        assert_eq!(rope.copy_to_bytes(2), "ab");
        rope.advance(10);
        assert_eq!(rope.copy_to_bytes(50).as_ptr(), piece[10..].as_ptr());
    }
}
