//! Decompression of pages, with contexts kept by each thread: a fresh zstd context costs as much as a small page.

use std::cell::RefCell;

use bytes::Bytes;
use dpp_pool::Pooled;
use parquet::basic::Compression;

use crate::read::pages::PageFault;

/// Codecs of pages that are unpacked here. The others are read through the Parquet crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Zstd,
    Lz4Raw,
    Snappy,
}

impl Codec {
    /// `None`: one of those that are not unpacked here.
    pub(crate) fn of(compression: Compression) -> Option<Codec> {
        match compression {
            Compression::UNCOMPRESSED => Some(Codec::None),
            Compression::ZSTD(_) => Some(Codec::Zstd),
            Compression::LZ4_RAW => Some(Codec::Lz4Raw),
            Compression::SNAPPY => Some(Codec::Snappy),
            _ => None,
        }
    }

    /// Unpacks to exactly `bytes` bytes, into a used buffer, or a new one of less than twice that.
    pub(crate) fn unpack(self, stored: Bytes, bytes: usize) -> Result<Bytes, PageFault> {
        let unpacked: Option<Bytes> = match self {
            Codec::None => Some(stored),
            // an empty body needs no frame
            _ if bytes == 0 && stored.is_empty() => Some(stored),
            Codec::Zstd => zstd(&stored, bytes).map(Pooled::into_bytes),
            Codec::Lz4Raw => lz4(&stored, bytes).map(Pooled::into_bytes),
            Codec::Snappy => snappy(&stored, bytes).map(Pooled::into_bytes),
        };
        unpacked
            .filter(|unpacked| unpacked.len() == bytes)
            .ok_or(PageFault::Compressed { codec: self })
    }
}

fn zstd(stored: &[u8], bytes: usize) -> Option<Pooled<u8>> {
    thread_local! {
        static CONTEXT: RefCell<zstd::bulk::Decompressor<'static>> =
            RefCell::new(zstd::bulk::Decompressor::new().expect("a context without dictionary can be made"));
    }
    let mut unpacked = dpp_pool::take(bytes);
    CONTEXT.with_borrow_mut(|context| {
        let written = context.decompress_to_buffer(stored, &mut *unpacked);
        written.ok().map(|_| unpacked)
    })
}

fn lz4(stored: &[u8], bytes: usize) -> Option<Pooled<u8>> {
    let mut unpacked = dpp_pool::take(bytes);
    unpacked.resize(bytes, 0);
    let written = lz4_flex::block::decompress_into(stored, &mut unpacked).ok()?;
    (written == bytes).then_some(unpacked)
}

fn snappy(stored: &[u8], bytes: usize) -> Option<Pooled<u8>> {
    if snap::raw::decompress_len(stored).ok()? != bytes {
        return None;
    }
    let mut unpacked = dpp_pool::take(bytes);
    unpacked.resize(bytes, 0);
    let written = snap::raw::Decoder::new().decompress(stored, &mut unpacked);
    (written.ok()? == bytes).then_some(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(codec: Codec, plain: &[u8]) -> Vec<u8> {
        match codec {
            Codec::None => plain.to_vec(),
            Codec::Zstd => zstd::bulk::compress(plain, 1).unwrap(),
            Codec::Lz4Raw => lz4_flex::block::compress(plain),
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        }
    }

    #[test]
    fn pages_unpack_to_what_was_packed_and_to_nothing_longer() {
        let plain: Vec<u8> = (0..10_000_u32).map(|i| (i % 37) as u8).collect();
        for codec in [Codec::None, Codec::Zstd, Codec::Lz4Raw, Codec::Snappy] {
            let stored = Bytes::from(packed(codec, &plain));
            let unpacked = codec.unpack(stored.clone(), plain.len());
            assert_eq!(unpacked.unwrap(), plain, "{codec:?}");
            for wrong in [0, plain.len() - 1, plain.len() + 1] {
                assert!(codec.unpack(stored.clone(), wrong).is_err(), "{codec:?}");
            }
            let cut = stored.slice(..stored.len() / 2);
            assert!(codec.unpack(cut, plain.len()).is_err(), "{codec:?}");
            assert_eq!(codec.unpack(Bytes::new(), 0).unwrap(), "", "{codec:?}");
        }
    }
}
