//! A leaf of nested columns, read row by row: its pages, their levels and values.
//!
//! Of each entry a page has a repetition level, 0 where a row begins, and a definition level: how much of what it is in is
//! there. Source: "Nested Encoding" of the format's definition, after the Dremel paper (Melnik et al., 2010).

use std::ops::Range;

use dpp_pool::Pooled;

use crate::read::columns::runs::Runs;
use crate::read::columns::values::{Dictionary, Stored, Values};
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DataPage, DictionaryPage, PageWalk};
use crate::read::value_map::MapValues;

/// Where the reading of a leaf stands.
pub(crate) struct Leaf<S: Stored> {
    pages: PageWalk,
    dictionary: Dictionary<S::Read>,
    most: Most,
    page: Page<S>,
}

/// A leaf's highest levels. At the highest definition level there is a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) repetition: u8,
    pub(crate) definition: u8,
}

/// A page's levels, a byte each, from the first entry not taken yet.
pub(crate) struct Page<S: Stored> {
    pub(crate) repetition: Pooled<u8>,
    pub(crate) definition: Pooled<u8>,
    at: usize,
    pub(crate) values: Values<S>,
}

impl<S: Stored> Leaf<S> {
    pub(crate) fn new(
        pages: PageWalk,
        page: &DictionaryPage,
        most: Most,
        map: Option<MapValues<S::Read>>,
    ) -> Result<Self, PageFault> {
        Ok(Leaf {
            pages,
            dictionary: Dictionary::new::<S>(page, map)?,
            most,
            page: Page::empty(),
        })
    }

    /// Makes the next page the current one; `false` after the last.
    fn turn(&mut self) -> Result<bool, PageFault> {
        // given back before the next one is unpacked
        self.page = Page::empty();
        let Some(stored) = self.pages.next()? else {
            return Ok(false);
        };
        self.page = Page::new(stored, self.most)?;
        Ok(true)
    }

    /// Goes over the next `rows` rows, page by page, and shows `each` their entries. It takes or skips their values.
    pub(crate) fn walk(
        &mut self,
        rows: usize,
        mut each: impl FnMut(&mut Page<S>, &Dictionary<S::Read>, Range<usize>) -> Result<(), PageFault>,
    ) -> Result<(), PageFault> {
        let mut begun = 0;
        loop {
            let (entries, here) = self.page.entries_until_row(rows - begun);
            let ended = entries.end < self.page.repetition.len();
            // of a row that ended before nothing goes on
            if begun == 0 && rows > 0 && self.page.goes_on_at(&entries) {
                return Err(PageFault::Rows);
            }
            begun += here;
            self.page.at = entries.end;
            each(&mut self.page, &self.dictionary, entries)?;
            // a row ends where the next one begins, which may be on another page
            if ended || begun == rows && self.pages.next_begins_a_row()? {
                return Ok(());
            }
            if !self.turn()? {
                return Err(PageFault::Rows);
            }
        }
    }

    /// Leaves out the next `rows` rows.
    pub(crate) fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        let mut rows = rows;
        while rows > 0 {
            let skipped = self.skip_here(&mut rows)? || self.skip_page(&mut rows)?;
            if !skipped && !self.turn()? {
                return Err(PageFault::Rows);
            }
        }
        self.end_row()
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
            self.page = Page::empty();
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
        let most = self.most.definition;
        self.walk(rows, |page, _, entries| {
            let values = page.definition[entries].iter();
            page.values
                .skip(values.filter(|level| **level == most).count())
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

impl<S: Stored> Page<S> {
    fn empty() -> Page<S> {
        Page {
            repetition: Pooled::default(),
            definition: Pooled::default(),
            at: 0,
            values: Values::Plain(bytes::Bytes::new()),
        }
    }

    fn new(page: DataPage, most: Most) -> Result<Page<S>, PageFault> {
        let count = page.header.levels as usize;
        if count > MOST_LEVELS {
            return Err(PageFault::Short { what: "levels" });
        }
        Ok(Page {
            repetition: read_levels(page.repetition, most.repetition, count)?,
            definition: read_levels(page.definition, most.definition, count)?,
            at: 0,
            values: Values::new(page.header.encoding, page.values, count)?,
        })
    }

    /// Whether the first of these entries belongs to the row before.
    fn goes_on_at(&self, entries: &Range<usize>) -> bool {
        !entries.is_empty() && self.repetition[entries.start] > 0
    }

    /// The entries from here to where a row begins after `rows` more have begun, or to the page's end, and how many rows begin there.
    fn entries_until_row(&self, rows: usize) -> (Range<usize>, usize) {
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
            return (self.at..end + next.unwrap_or(part.len()), rows);
        }
        (self.at..end, rows - left)
    }
}

/// How many rows begin among entries.
pub(crate) fn begins(repetition: &[u8]) -> usize {
    // by 64, so that the counts of a part fit a byte and are added side by side
    let parts = repetition.chunks(64);
    parts
        .map(|part| usize::from(part.iter().map(|level| u8::from(*level == 0)).sum::<u8>()))
        .sum()
}

fn read_levels(
    stored: Option<bytes::Bytes>,
    most: u8,
    count: usize,
) -> Result<Pooled<u8>, PageFault> {
    let mut levels = dpp_pool::empty(count);
    levels.resize(count, 0);
    let width = (u8::BITS - most.leading_zeros()) as u8;
    let mut runs = Runs::new(stored.unwrap_or_default(), width);
    runs.read(&mut levels)?;
    Ok(levels)
}

/// Far more than writers put into a page; equal levels take no bytes, so a few could claim any number.
const MOST_LEVELS: usize = 1 << 26;
