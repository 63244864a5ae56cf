//! Page checksums, which the Parquet crate reads and does not write: pages are kept here until their chunk is closed, and
//! each header is given the CRC-32 of its page. Pure.
//!
//! ```text
//! header as encoded:  15 type  15 uncompressed  15 compressed  Δ|struct …      (thrift compact, fields 1, 2, 3, 5|7|8)
//! as stored:          15 type  15 uncompressed  15 compressed  15 crc  Δ-1|struct …
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};

/// Hands every column chunk a shelf for its pages, and keeps hold of it.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    shelves: Mutex<Vec<Shelf>>,
}

/// The pages of one column chunk as the crate puts them: header and page in turn, a dictionary last.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Arc<Mutex<Vec<Bytes>>>);

impl Shelves {
    /// The shelves handed out since this was last called, by leaf column.
    pub(super) fn take(&self) -> Vec<Shelf> {
        std::mem::take(&mut self.shelves.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PageStoreFactory for Shelves {
    fn create(&self, _column: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        let shelf = Shelf::default();
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.push(shelf.clone());
        Ok(Box::new(shelf))
    }
}

impl Shelf {
    /// The chunk's bytes with a checksum in every header, and where its pages are then. `closed` says where they were.
    pub(super) fn checksummed(
        self,
        closed: ColumnCloseResult,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut blobs = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(first) = blobs
            .iter()
            .step_by(2)
            .position(|header| is_dictionary(header))
        {
            // it was put last and is stored first
            blobs.rotate_left(2 * first);
        }
        let mut chunk = Vec::with_capacity(blobs.iter().map(|blob| blob.len() + CRC_BYTES).sum());
        let stored_before = blobs.iter().map(Bytes::len).sum::<usize>();
        let (mut dictionary, mut data_pages) = (0, Vec::new());
        let mut blobs = blobs.into_iter();
        // each page is let go once it is copied
        while let (Some(header), Some(page)) = (blobs.next(), blobs.next()) {
            let start = chunk.len();
            with_crc(&header, crc32fast::hash(&page), &mut chunk)?;
            chunk.extend_from_slice(&page);
            match is_dictionary(&header) {
                true => dictionary = chunk.len(),
                false => data_pages.push(chunk.len() - start),
            }
        }
        let closed = moved(closed, dictionary, &data_pages, chunk.len() - stored_before)?;
        Ok((chunk.into(), closed))
    }
}

impl PageStore for Shelf {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.push(value);
        Ok(PageKey::new(blobs.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let blob = usize::try_from(key.get())
            .ok()
            .and_then(|key| blobs.get_mut(key));
        blob.map(std::mem::take)
            .ok_or_else(|| ParquetError::General(format!("no page {}", key.get())))
    }

    fn memory_size(&self) -> usize {
        let blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.iter().map(Bytes::len).sum()
    }
}

/// The chunk's metadata with pages as long as `data_pages` behind a dictionary of `dictionary` bytes.
fn moved(
    mut closed: ColumnCloseResult,
    dictionary: usize,
    data_pages: &[usize],
    grown: usize,
) -> Result<ColumnCloseResult> {
    let metadata = closed.metadata;
    let (compressed, uncompressed) = (metadata.compressed_size(), metadata.uncompressed_size());
    closed.metadata = metadata
        .into_builder()
        .set_total_compressed_size(compressed + signed(grown)?)
        .set_total_uncompressed_size(uncompressed + signed(grown)?)
        .set_dictionary_page_offset((dictionary > 0).then_some(0))
        .set_data_page_offset(signed(dictionary)?)
        .build()?;
    if let Some(index) = &mut closed.offset_index {
        let mut offset = signed(dictionary)?;
        for (location, bytes) in index.page_locations.iter_mut().zip(data_pages) {
            location.offset = offset;
            location.compressed_page_size = i32::try_from(*bytes)?;
            offset += signed(*bytes)?;
        }
    }
    Ok(closed)
}

/// Adds a page header with field 4 set.
fn with_crc(header: &[u8], crc: u32, stored: &mut Vec<u8>) -> Result<()> {
    let sizes_end = sizes_end(header)
        .filter(|end| header.get(*end).is_some_and(|next| next & 0xF0 >= 0x20))
        .ok_or_else(|| ParquetError::General("a page header is not as expected".to_owned()))?;
    stored.extend_from_slice(&header[..sizes_end]);
    stored.push(FIELD_I32);
    let crc = crc.cast_signed();
    let mut rest = ((crc << 1) ^ (crc >> 31)).cast_unsigned();
    while rest >= 0x80 {
        stored.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    stored.push(rest as u8);
    // the next field's id is given as the distance from the one before: that is field 4 now
    stored.push(header[sizes_end] - 0x10);
    stored.extend_from_slice(&header[sizes_end + 1..]);
    Ok(())
}

/// Where fields 1 to 3, the type and both sizes, end.
fn sizes_end(header: &[u8]) -> Option<usize> {
    let mut position = 0;
    for _ in 0..3 {
        if *header.get(position)? != FIELD_I32 {
            return None;
        }
        position += 1;
        while header.get(position)? & 0x80 != 0 {
            position += 1;
        }
        position += 1;
    }
    Some(position)
}

fn is_dictionary(header: &[u8]) -> bool {
    header.get(1) == Some(&DICTIONARY_TYPE)
}

fn signed(bytes: usize) -> Result<i64> {
    Ok(i64::try_from(bytes)?)
}

/// What field 4 takes at most.
const CRC_BYTES: usize = 6;
/// A field of type i32 whose id is one more than the one before.
const FIELD_I32: u8 = 0x15;
/// Page type 2, zigzag.
const DICTIONARY_TYPE: u8 = 4;
