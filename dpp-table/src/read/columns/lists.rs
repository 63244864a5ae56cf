//! A column of lists of integers: ids. Null ids are dropped, null lists stay null.
//!
//! Of each entry a page has a repetition level, 0 where a row begins, and a definition level: how much of list and id is
//! there. Source: "Nested Encoding" of the format's definition, after the Dremel paper (Melnik et al., 2010).

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};

use crate::read::columns::Column;
use crate::read::columns::runs::Runs;
use crate::read::columns::values::{Dictionary, Stored, Values};
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DataPage, DictionaryPage, PageWalk};
use crate::read::value_map::MapValues;

/// What the definition levels of a list column mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// From here on the list is not null.
    pub(crate) list: u8,
    /// The id is there.
    pub(crate) id: u8,
}

/// Where the reading of a column stands, and its rows taken since [`Column::finish`].
pub(crate) struct Lists<S: Stored<Read = i64>> {
    pages: PageWalk,
    meaning: Definition,
    dictionary: Dictionary<i64>,
    page: Page<S>,
    rows: Rows,
    ids: Vec<i64>,
}

/// A page's levels, a byte each, from the first entry not taken yet.
struct Page<S: Stored> {
    repetition: Vec<u8>,
    definition: Vec<u8>,
    at: usize,
    values: Values<S>,
}

/// Rows that were taken.
#[derive(Default)]
struct Rows {
    /// Ids before each row.
    starts: Vec<u32>,
    valid: Vec<bool>,
    ids: usize,
}

impl<S: Stored<Read = i64>> Lists<S> {
    pub(crate) fn new(
        pages: PageWalk,
        page: &DictionaryPage,
        meaning: Definition,
        map: Option<MapValues<i64>>,
    ) -> Result<Self, PageFault> {
        Ok(Lists {
            pages,
            meaning,
            dictionary: Dictionary::new::<S>(page, map)?,
            page: Page::empty(),
            rows: Rows::default(),
            ids: Vec::new(),
        })
    }

    /// Makes the next page the current one; `false` after the last.
    fn turn(&mut self) -> Result<bool, PageFault> {
        let (repetition, definition) = self.page.give_back();
        let Some(stored) = self.pages.next()? else {
            return Ok(false);
        };
        self.page = Page::new(stored, self.meaning, repetition, definition)?;
        Ok(true)
    }

    /// Goes over the next `rows` rows, page by page, and shows `each` their entries.
    fn walk(
        &mut self,
        rows: usize,
        mut each: impl FnMut(&mut Self, std::ops::Range<usize>) -> Result<(), PageFault>,
    ) -> Result<(), PageFault> {
        let mut begun = 0;
        loop {
            let entries = self.page.entries_until_row(rows - begun);
            let ended = entries.end < self.page.repetition.len();
            begun += begins(&self.page.repetition[entries.clone()]);
            self.page.at = entries.end;
            each(self, entries)?;
            // a row ends where the next one begins, which may be on another page
            if ended || begun == rows && self.pages.next_begins_a_row()? {
                return Ok(());
            }
            if !self.turn()? {
                return Err(PageFault::Rows);
            }
        }
    }

    /// Leaves out rows of this page; `false` if it has no more.
    fn skip_here(&mut self, rows: &mut usize) -> Result<bool, PageFault> {
        let rest = &self.page.repetition[self.page.at..];
        if rest.is_empty() {
            return Ok(false);
        }
        let begun = begins(rest);
        let here = begun.min(*rows);
        *rows -= here;
        if here == begun && self.pages.is_listed() {
            // where its last row ends may be on a page that is not there
            self.page.leave();
            return Ok(true);
        }
        self.skip_entries(here)?;
        Ok(true)
    }

    /// Leaves out what is on the next page of a row that was left out with pages before.
    fn end_row(&mut self) -> Result<(), PageFault> {
        let is_at_end = self.page.at == self.page.repetition.len();
        if is_at_end && self.pages.is_listed() && !self.pages.next_begins_a_row()? {
            self.turn()?;
            self.skip_entries(0)?;
        }
        Ok(())
    }

    fn skip_entries(&mut self, rows: usize) -> Result<(), PageFault> {
        self.walk(rows, |this, entries| {
            let definition = &this.page.definition[entries];
            let ids = definition.iter().filter(|level| **level == this.meaning.id);
            this.page.values.skip(ids.count())
        })
    }

    /// Leaves out the next page without unpacking it, if it has no other rows; `false` if it may have.
    fn skip_page(&mut self, rows: &mut usize) -> Result<bool, PageFault> {
        let whole = self.pages.next_rows()?;
        let Some(whole) = whole.filter(|whole| 0 < *whole && *whole <= *rows as u64) else {
            return Ok(false);
        };
        self.pages.skip()?;
        *rows -= whole as usize;
        Ok(true)
    }
}

impl<S: Stored<Read = i64>> Column for Lists<S> {
    fn read(&mut self, rows: usize) -> Result<(), PageFault> {
        self.walk(rows, |this, entries| {
            let (page, meaning) = (&mut this.page, this.meaning);
            let repetition = &page.repetition[entries.clone()];
            let count = this
                .rows
                .take(repetition, &page.definition[entries], meaning);
            page.values.read(count, &this.dictionary, &mut this.ids)
        })
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        let mut rows = rows;
        while rows > 0 {
            let skipped = self.skip_here(&mut rows)? || self.skip_page(&mut rows)?;
            if !skipped && !self.turn()? {
                return Err(PageFault::Rows);
            }
        }
        self.end_row()
    }

    fn finish(&mut self) -> ArrayRef {
        let ids = std::mem::take(&mut self.ids);
        self.ids.reserve(ids.len());
        let (offsets, nulls) = self.rows.finish();
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        Arc::new(ListArray::new(
            item,
            offsets,
            Arc::new(Int64Array::from(ids)),
            nulls,
        ))
    }
}

impl<S: Stored> Page<S> {
    fn empty() -> Page<S> {
        Page {
            repetition: Vec::new(),
            definition: Vec::new(),
            at: 0,
            values: Values::Plain(bytes::Bytes::new()),
        }
    }

    /// `repetition` and `definition` are buffers to use.
    fn new(
        page: DataPage,
        meaning: Definition,
        mut repetition: Vec<u8>,
        mut definition: Vec<u8>,
    ) -> Result<Page<S>, PageFault> {
        let count = page.header.levels as usize;
        if count > MOST_LEVELS {
            return Err(PageFault::Short { what: "levels" });
        }
        let width = (u8::BITS - meaning.id.leading_zeros()) as u8;
        read_levels(page.repetition, 1, count, &mut repetition)?;
        read_levels(page.definition, width, count, &mut definition)?;
        Ok(Page {
            repetition,
            definition,
            at: 0,
            values: Values::new(page.header.encoding, page.values, count)?,
        })
    }

    /// Leaves its entries out; it has none any more.
    fn leave(&mut self) {
        let (mut repetition, mut definition) = self.give_back();
        repetition.clear();
        definition.clear();
        (self.repetition, self.definition) = (repetition, definition);
    }

    /// Its level buffers; it has no entries any more.
    fn give_back(&mut self) -> (Vec<u8>, Vec<u8>) {
        let page = std::mem::replace(self, Page::empty());
        (page.repetition, page.definition)
    }

    /// The entries from here to where a row begins after `rows` more have begun, or to the page's end.
    fn entries_until_row(&self, rows: usize) -> std::ops::Range<usize> {
        let (mut end, mut left) = (self.at, rows);
        for part in self.repetition[self.at..].chunks(64) {
            let begun = begins(part);
            if begun <= left {
                left -= begun;
                end += part.len();
                continue;
            }
            let starts = part.iter().enumerate().filter(|(_, level)| **level == 0);
            let next = starts.map(|(index, _)| index).nth(left);
            return self.at..end + next.unwrap_or(part.len());
        }
        self.at..end
    }
}

impl Rows {
    /// Adds rows by their entries' levels; returns how many ids they have.
    fn take(&mut self, repetition: &[u8], definition: &[u8], meaning: Definition) -> usize {
        let before = self.ids;
        let first = self.starts.len();
        let begun = begins(repetition);
        // one more than needed: written to and overwritten between the beginnings of rows
        self.starts.resize(first + begun + 1, 0);
        self.valid.resize(first + begun + 1, false);
        let (starts, valid) = (&mut self.starts[first..], &mut self.valid[first..]);
        let (mut row, mut ids) = (0, before);
        for (repetition, definition) in repetition.iter().zip(definition) {
            starts[row] = ids as u32;
            valid[row] = *definition >= meaning.list;
            row += usize::from(*repetition == 0);
            ids += usize::from(*definition == meaning.id);
        }
        self.starts.truncate(first + begun);
        self.valid.truncate(first + begun);
        self.ids = ids;
        ids - before
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let rows = self.starts.len();
        let mut starts = std::mem::replace(&mut self.starts, Vec::with_capacity(rows + 1));
        starts.push(self.ids as u32);
        let valid = std::mem::replace(&mut self.valid, Vec::with_capacity(rows + 1));
        let nulls = valid.contains(&false);
        self.ids = 0;
        (
            OffsetBuffer::new(ScalarBuffer::from(Buffer::from_vec(starts))),
            nulls.then(|| NullBuffer::new(BooleanBuffer::from(valid))),
        )
    }
}

/// How many rows begin among entries.
fn begins(repetition: &[u8]) -> usize {
    // by 64, so that the counts of a part fit a byte and are added side by side
    let parts = repetition.chunks(64);
    parts
        .map(|part| usize::from(part.iter().map(|level| u8::from(*level == 0)).sum::<u8>()))
        .sum()
}

fn read_levels(
    stored: Option<bytes::Bytes>,
    width: u8,
    count: usize,
    levels: &mut Vec<u8>,
) -> Result<(), PageFault> {
    levels.resize(count, 0);
    let mut runs = Runs::new(stored.unwrap_or_default(), width);
    runs.read(levels)
}

/// Far more than writers put into a page; equal levels take no bytes, so a few could claim any number.
const MOST_LEVELS: usize = 1 << 26;
