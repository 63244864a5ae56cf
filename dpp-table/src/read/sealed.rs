//! Encrypted column chunks, seen as if they had been stored plain: every page stands where it is stored, and is as long.
//!
//! ```text
//! stored   header, a module │ page, a module
//! seen     header ░░░░░░░░░░░░░░░░░░░░ │ page         ░ a field that nobody knows, as long as what the modules have more
//! ```
//!
//! So whoever reads pages, be it us or the Parquet crate, by whatever list of them, need not know of keys. A page is opened when it
//! is asked for, and a page's place among the chunk's, which is authenticated with it, is known from those before it or from a list.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::encryption::cipher::Cipher;
use crate::encryption::module::{ChunkPlace, LENGTH_BYTES, Module, Part, SEALING_BYTES, open};
use crate::read::pages::header::{COMPRESSED_BYTES, CRC, Header, MAX_HEADER_BYTES};
use crate::thrift::{BINARY, I32, STOP, Thrift, Written};

/// The encrypted column chunks of a piece.
#[derive(Debug)]
pub(crate) struct Sealed {
    file_aad: Arc<[u8]>,
    /// By where they lie.
    chunks: Vec<Chunk>,
    altered: AtomicBool,
}

/// An encrypted column chunk, and what opens it.
#[derive(Debug)]
pub(crate) struct SealedChunk {
    pub(crate) range: Range<u64>,
    pub(crate) place: ChunkPlace,
    pub(crate) cipher: Arc<Cipher>,
    /// Where its data pages begin, if that was told.
    pub(crate) listed: Option<Vec<u64>>,
}

#[derive(Debug)]
struct Chunk {
    sealed: SealedChunk,
    /// Pages whose headers were opened, ascending.
    seen: Mutex<Vec<Page>>,
}

/// Where parts of a page lie.
#[derive(Clone, Debug)]
struct Page {
    is: Place,
    start: u64,
    /// Where its body is seen, from here to the end, and where it is stored.
    body: u64,
    stored_body: u64,
    end: u64,
}

/// A page's place in its chunk.
#[derive(Clone, Copy, Debug)]
enum Place {
    Dictionary,
    Data(usize),
}

/// What gives stored bytes: all that were asked for, or none.
pub(crate) trait Stored {
    fn stored(&self, start: u64, length: usize) -> Option<Bytes>;
}

impl Sealed {
    pub(crate) fn new(file_aad: Arc<[u8]>, chunks: Vec<SealedChunk>) -> Sealed {
        let seen = |sealed| Chunk {
            sealed,
            seen: Mutex::default(),
        };
        let mut chunks: Vec<Chunk> = chunks.into_iter().map(seen).collect();
        chunks.sort_unstable_by_key(|chunk| chunk.sealed.range.start);
        Sealed {
            file_aad,
            chunks,
            altered: AtomicBool::new(false),
        }
    }

    /// Whether a byte lies in an encrypted chunk.
    pub(crate) fn covers(&self, position: u64) -> bool {
        self.chunk(position).is_some()
    }

    /// Whether some page did not open.
    pub(crate) fn is_altered(&self) -> bool {
        self.altered.load(Ordering::Relaxed)
    }

    /// Where the body of a page is seen that begins at `position`, and the header before it; `None` if no page begins there.
    pub(crate) fn header(&self, file: &impl Stored, position: u64) -> Option<(u64, Bytes)> {
        let chunk = self.chunk(position)?;
        let mut may_be = chunk.begins_at(position)?.into_iter().flatten();
        let opened = may_be.find_map(|is| self.open_header(&chunk.sealed, file, position, is));
        let (header, page) = self.noted(opened)?;
        let body = page.body;
        chunk.keep(page);
        Some((body, header))
    }

    /// The body of a page whose header was opened, by where it is seen.
    pub(crate) fn body(&self, file: &impl Stored, position: u64) -> Option<Bytes> {
        let chunk = self.chunk(position)?;
        let page = chunk.page(|page| page.body, position)?;
        self.noted(self.open_body(&chunk.sealed, file, &page))
    }

    fn open_body(&self, chunk: &SealedChunk, file: &impl Stored, page: &Page) -> Option<Bytes> {
        let stored = file.stored(
            page.stored_body,
            usize::try_from(page.end - page.stored_body).ok()?,
        )?;
        let mut body = dpp_pool::take(stored.len());
        let module = module(chunk.place, page.is, Part::Body);
        open(&chunk.cipher, &stored, module, &self.file_aad, &mut body)?;
        (body.len() as u64 == page.end - page.body).then(|| body.into_bytes())
    }

    fn open_header(
        &self,
        chunk: &SealedChunk,
        file: &impl Stored,
        start: u64,
        is: Place,
    ) -> Option<(Bytes, Page)> {
        let length = file.stored(start, LENGTH_BYTES)?;
        let length = u32::from_le_bytes(*length.first_chunk()?) as usize;
        let bytes = (length <= MAX_HEADER_BYTES).then_some(LENGTH_BYTES + length)?;
        let mut plain = Vec::new();
        let module = module(chunk.place, is, Part::Header);
        open(
            &chunk.cipher,
            &file.stored(start, bytes)?,
            module,
            &self.file_aad,
            &mut plain,
        )?;
        let header = Header::parse(&plain)?;
        let stored_body = start + bytes as u64;
        let end = stored_body + header.compressed_bytes;
        let body_bytes = header.compressed_bytes.checked_sub(SEALING_BYTES as u64)?;
        let header = as_if_plain(&plain, body_bytes, bytes + SEALING_BYTES)?;
        let page = Page {
            is,
            start,
            body: start + header.len() as u64,
            stored_body,
            end,
        };
        (end <= chunk.range.end).then_some((header.into(), page))
    }

    /// Takes note if something did not open.
    fn noted<T>(&self, opened: Option<T>) -> Option<T> {
        if opened.is_none() {
            self.altered.store(true, Ordering::Relaxed);
        }
        opened
    }

    fn chunk(&self, position: u64) -> Option<&Chunk> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.sealed.range.start <= position);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        chunk.sealed.range.contains(&position).then_some(chunk)
    }
}

impl Chunk {
    /// What the page that begins at `position` may be; `None` if none begins there. Not all writers say whether a chunk begins with
    /// a dictionary, but what its first page is is authenticated with it.
    fn begins_at(&self, position: u64) -> Option<[Option<Place>; 2]> {
        let only = |place| Some([Some(place), None]);
        if let Some(known) = self.page(|page| page.start, position) {
            return only(known.is);
        }
        let listed = self.sealed.listed.as_ref();
        match listed.map(|listed| listed.binary_search(&position)) {
            Some(Ok(ordinal)) => return only(Place::Data(ordinal)),
            Some(Err(_)) if position != self.sealed.range.start => return None,
            _ => {}
        }
        if position == self.sealed.range.start {
            return Some([Some(Place::Data(0)), Some(Place::Dictionary)]);
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.last().filter(|last| last.end == position)?;
        only(match last.is {
            Place::Dictionary => Place::Data(0),
            Place::Data(ordinal) => Place::Data(ordinal + 1),
        })
    }

    /// A page whose header was opened, by a place of its.
    fn page(&self, at: impl Fn(&Page) -> u64, position: u64) -> Option<Page> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = seen.binary_search_by_key(&position, at).ok()?;
        Some(seen[found].clone())
    }

    fn keep(&self, page: Page) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let place = seen.partition_point(|known| known.start < page.start);
        if seen
            .get(place)
            .is_none_or(|known| known.start != page.start)
        {
            seen.insert(place, page);
        }
    }
}

fn module(chunk: ChunkPlace, page: Place, part: Part) -> Module {
    match page {
        Place::Dictionary => Module::DictionaryPage(chunk, part),
        Place::Data(ordinal) => Module::DataPage(chunk, part, ordinal),
    }
}

/// A header of a page with so long a body, made `bytes` long. It has no checksum any more: that was taken of the sealed page.
fn as_if_plain(header: &[u8], body_bytes: u64, bytes: usize) -> Option<Vec<u8>> {
    let mut seen = Written(Vec::with_capacity(bytes));
    let (mut thrift, mut field) = (Thrift(header), 0);
    loop {
        let (id, kind) = thrift.field(field)?;
        match (id, kind) {
            (_, STOP) => break,
            (COMPRESSED_BYTES | CRC, I32) => thrift.value(kind).map(drop)?,
            _ => {
                seen.field_of_id(id, kind);
                seen.0.extend_from_slice(thrift.value(kind)?);
            }
        }
        field = id;
    }
    seen.field_of_id(COMPRESSED_BYTES, I32);
    seen.zigzag(i64::try_from(body_bytes).ok()?);
    // after the field that nobody knows and its length comes what ends the header
    let filling = bytes.checked_sub(seen.0.len() + 2 + LENGTH_AS_LONG + 1)?;
    seen.field_of_id(UNKNOWN, BINARY);
    seen.0.extend_from_slice(&[
        filling as u8 | 0x80,
        (filling >> 7) as u8 | 0x80,
        (filling >> 14) as u8,
    ]);
    seen.0.resize(bytes - 1, 0);
    seen.0.push(STOP);
    (filling < 1 << (7 * LENGTH_AS_LONG)).then_some(seen.0)
}

/// Bytes of the field's length, whatever that is.
const LENGTH_AS_LONG: usize = 3;
/// No field of a header, now or soon; its id takes one byte.
const UNKNOWN: i64 = 60;
