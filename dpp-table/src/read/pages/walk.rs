//! The data pages of one column chunk, one after another, unpacked when they are wanted.
//!
//! Pages follow each other in the chunk, or lie where the page index says; with an index, pages without wanted rows were
//! not even fetched and are only ever skipped.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;

use crate::read::pages::header::{
    BIT_PACKED, DataHeader, Header, PLAIN, PLAIN_DICTIONARY, PageKind, RLE, V2,
};
use crate::read::pages::unpack::Codec;
use crate::read::pages::{MAX_PAGE_BYTES, PageFault, checked};
use crate::read::sparse::SparseFile;

/// Where a chunk's pages are.
pub(crate) struct PageWalk {
    file: SparseFile,
    codec: Codec,
    next: Next,
    levels: Levels,
}

enum Next {
    /// Somewhere in this range: the next page's header, already read if it is there.
    InChunk(Range<u64>, Option<Header>),
    /// At these places.
    Listed {
        pages: VecDeque<PageLocation>,
        group_rows: u64,
        within_rows: bool,
    },
}

/// A data page, unpacked.
pub(crate) struct DataPage {
    pub(crate) header: DataHeader,
    /// Bytes of repetition and definition levels, each `None` if the column has none of them.
    pub(crate) repetition: Option<Bytes>,
    pub(crate) definition: Option<Bytes>,
    pub(crate) values: Bytes,
}

/// A dictionary's values as they are stored (PLAIN).
#[derive(Default)]
pub(crate) struct DictionaryPage {
    pub(crate) count: usize,
    pub(crate) values: Bytes,
}

/// What a page index says of a chunk.
pub(crate) struct Listed {
    pub(crate) pages: Vec<PageLocation>,
    /// Of the row group.
    pub(crate) group_rows: u64,
    /// Whether pages may begin within a row.
    pub(crate) within_rows: bool,
}

impl PageWalk {
    /// `chunk` is where the column chunk lies; `listed` what the page index says of it.
    pub(crate) fn new(
        file: SparseFile,
        codec: Codec,
        chunk: Range<u64>,
        listed: Option<Listed>,
        levels: Levels,
    ) -> Result<(PageWalk, DictionaryPage), PageFault> {
        let first = match &listed {
            Some(listed) => listed
                .pages
                .first()
                .map_or(chunk.end, |page| page.offset.unsigned_abs()),
            None => chunk.end,
        };
        let mut walk = PageWalk {
            file,
            codec,
            next: Next::InChunk(chunk.start..first, None),
            levels,
        };
        let dictionary = walk.dictionary()?;
        if let Some(listed) = listed {
            walk.next = Next::Listed {
                pages: listed.pages.into(),
                group_rows: listed.group_rows,
                within_rows: listed.within_rows,
            };
        }
        Ok((walk, dictionary))
    }

    /// How many rows the next page has, if that can be told without unpacking it; 0 when there is none.
    pub(crate) fn next_rows(&mut self) -> Result<Option<u64>, PageFault> {
        if let Next::Listed {
            pages, group_rows, ..
        } = &self.next
        {
            let first = |page: &PageLocation| page.first_row_index.unsigned_abs();
            let Some(page) = pages.front() else {
                return Ok(Some(0));
            };
            let end = pages.get(1).map_or(*group_rows, first);
            return Ok(Some(end.saturating_sub(first(page))));
        }
        let is_flat = !self.levels.repetition;
        Ok(match self.peek()? {
            None => Some(0),
            Some((_, header)) => match header.kind {
                PageKind::Data(DataHeader { v2: Some(v2), .. }) => Some(v2.rows.into()),
                PageKind::Data(data) if is_flat => Some(data.levels.into()),
                _ => None,
            },
        })
    }

    /// Whether no row goes on from the page before.
    pub(crate) fn next_begins_a_row(&mut self) -> Result<bool, PageFault> {
        if let Next::Listed {
            pages, within_rows, ..
        } = &self.next
        {
            return Ok(!within_rows || pages.is_empty());
        }
        Ok(match self.peek()? {
            Some((_, header)) => matches!(header.kind, PageKind::Data(data) if data.v2.is_some()),
            None => true,
        })
    }

    /// Whether pages can be left out that are not there.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.next, Next::Listed { .. })
    }

    /// Leaves the next page out.
    pub(crate) fn skip(&mut self) -> Result<(), PageFault> {
        match &mut self.next {
            Next::Listed { pages, .. } => {
                pages.pop_front();
            }
            Next::InChunk(..) => {
                self.take()?;
            }
        }
        Ok(())
    }

    /// Whether the next page has levels as they were written in the format's first years.
    pub(crate) fn is_of_old(&mut self) -> Result<bool, PageFault> {
        let levels = self.levels;
        Ok(match self.peek()? {
            Some((_, header)) => !has_run_lengths(&header.kind, levels),
            None => false,
        })
    }

    /// The next data page; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<DataPage>, PageFault> {
        let Some((position, header)) = self.take()? else {
            return Ok(None);
        };
        let malformed = PageFault::Malformed { position };
        let PageKind::Data(data) = header.kind else {
            return Err(malformed);
        };
        if !has_run_lengths(&header.kind, self.levels) {
            let encoding = BIT_PACKED;
            return Err(PageFault::Encoding { position, encoding });
        }
        let stored = self.stored(position, &header)?;
        let page = match data.v2 {
            Some(v2) => self.second_version(&header, data, v2, stored)?,
            None => {
                let body = self
                    .codec
                    .unpack(stored, length(header.uncompressed_bytes))?;
                first_version(data, self.levels, body)
            }
        };
        page.ok_or(malformed).map(Some)
    }

    /// Levels stand before what is compressed.
    fn second_version(
        &self,
        header: &Header,
        data: DataHeader,
        v2: V2,
        stored: Bytes,
    ) -> Result<Option<DataPage>, PageFault> {
        let mut rest = stored;
        let (Some(repetition), Some(definition)) = (
            split(&mut rest, v2.repetition_bytes as usize),
            split(&mut rest, v2.definition_bytes as usize),
        ) else {
            return Ok(None);
        };
        let levels = u64::from(v2.repetition_bytes) + u64::from(v2.definition_bytes);
        let Some(bytes) = header.uncompressed_bytes.checked_sub(levels) else {
            return Ok(None);
        };
        let values = match v2.is_compressed {
            true => self.codec.unpack(rest, length(bytes))?,
            false => rest,
        };
        Ok(Some(DataPage {
            header: data,
            repetition: self.levels.repetition.then_some(repetition),
            definition: self.levels.definition.then_some(definition),
            values,
        }))
    }

    /// The chunk's dictionary, if it begins with one.
    fn dictionary(&mut self) -> Result<DictionaryPage, PageFault> {
        let Some((position, header)) = self.peek()? else {
            return Ok(DictionaryPage::default());
        };
        let PageKind::Dictionary { values, encoding } = header.kind else {
            return Ok(DictionaryPage::default());
        };
        if encoding != PLAIN && encoding != PLAIN_DICTIONARY {
            return Err(PageFault::Encoding { position, encoding });
        }
        let Some((position, header)) = self.take()? else {
            return Err(PageFault::Malformed { position });
        };
        let stored = self.stored(position, &header)?;
        Ok(DictionaryPage {
            count: values as usize,
            values: self
                .codec
                .unpack(stored, length(header.uncompressed_bytes))?,
        })
    }

    /// The next page that holds anything, and where its header is.
    pub(super) fn peek(&mut self) -> Result<Option<(u64, &Header)>, PageFault> {
        let Next::InChunk(range, known) = &mut self.next else {
            return Ok(None);
        };
        while known.is_none() && range.start < range.end {
            let header = header_within(&self.file, range.start, range.end)?;
            match header.kind {
                PageKind::Other => range.start += header.bytes + header.compressed_bytes,
                _ => *known = Some(header),
            }
        }
        Ok(known.as_ref().map(|header| (range.start, header)))
    }

    fn take(&mut self) -> Result<Option<(u64, Header)>, PageFault> {
        if let Next::Listed { pages, .. } = &mut self.next {
            let Some(page) = pages.pop_front() else {
                return Ok(None);
            };
            let start = page.offset.unsigned_abs();
            let end = start + u64::from(page.compressed_page_size.unsigned_abs());
            return Ok(Some((start, header_within(&self.file, start, end)?)));
        }
        self.peek()?;
        let Next::InChunk(range, known) = &mut self.next else {
            return Ok(None);
        };
        let position = range.start;
        Ok(known.take().map(|header| {
            range.start += header.bytes + header.compressed_bytes;
            (position, header)
        }))
    }

    /// A page's body, checked.
    fn stored(&self, position: u64, header: &Header) -> Result<Bytes, PageFault> {
        checked(&self.file, header, position, MAX_PAGE_BYTES)?;
        let body = position + header.bytes;
        self.file
            .get_bytes(body, length(header.compressed_bytes))
            .map_err(|_| PageFault::Malformed { position })
    }
}

/// Which levels a column's pages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) repetition: bool,
    pub(crate) definition: bool,
}

fn has_run_lengths(kind: &PageKind, levels: Levels) -> bool {
    let PageKind::Data(data) = kind else {
        return true;
    };
    let (definition, repetition) = data.level_encodings;
    (!levels.definition || definition == RLE) && (!levels.repetition || repetition == RLE)
}

/// The header at `position` of a page that ends before `end`.
fn header_within(file: &SparseFile, position: u64, end: u64) -> Result<Header, PageFault> {
    Header::at(file, position)
        .filter(|header| position + header.bytes + header.compressed_bytes <= end)
        .ok_or(PageFault::Malformed { position })
}

/// Levels stand before the values, each with its length, and are compressed with them.
fn first_version(header: DataHeader, levels: Levels, mut body: Bytes) -> Option<DataPage> {
    let mut part = |is_there: bool| match is_there {
        true => with_length(&mut body).map(Some),
        false => Some(None),
    };
    let repetition = part(levels.repetition)?;
    let definition = part(levels.definition)?;
    Some(DataPage {
        header,
        repetition,
        definition,
        values: body,
    })
}

/// Bytes from the front of `rest`, that many as the four before them say.
fn with_length(rest: &mut Bytes) -> Option<Bytes> {
    let bytes = split(rest, 4)?;
    let bytes = bytes
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes))?;
    split(rest, bytes as usize)
}

fn split(rest: &mut Bytes, bytes: usize) -> Option<Bytes> {
    (bytes <= rest.len()).then(|| rest.split_to(bytes))
}

/// Of a size that was read from a header of 32 bits.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
