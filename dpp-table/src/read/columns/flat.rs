//! A column of one number a row, nullable or not.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanBufferBuilder, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::util::bit_iterator::BitIndexIterator;

use crate::read::columns::Column;
use crate::read::columns::runs::Runs;
use crate::read::columns::values::{Dictionary, Stored, Values};
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DictionaryPage, PageWalk};
use crate::read::value_map::MapValues;

/// Where the reading of a column stands, and its rows taken since [`Column::finish`].
pub(crate) struct Flat<S: Stored> {
    pages: PageWalk,
    dictionary: Dictionary<S::Read>,
    page: Option<Page<S>>,
    values: Vec<S::Read>,
    valid: BooleanBufferBuilder,
    nulls: usize,
    /// For values that are to be spread over rows.
    present: Vec<S::Read>,
}

struct Page<S: Stored> {
    rows: usize,
    /// A bit a row, 1 where it has a value; `None`: all have.
    definition: Option<Runs>,
    values: Values<S>,
}

impl<S: Stored> Flat<S> {
    pub(crate) fn new(
        pages: PageWalk,
        page: &DictionaryPage,
        map: Option<MapValues<S::Read>>,
    ) -> Result<Self, PageFault> {
        Ok(Flat {
            pages,
            dictionary: Dictionary::new::<S>(page, map)?,
            page: None,
            values: Vec::new(),
            valid: BooleanBufferBuilder::new(0),
            nulls: 0,
            present: Vec::new(),
        })
    }

    /// The page that the next row is in.
    fn page(&mut self) -> Result<&mut Page<S>, PageFault> {
        while self.page.as_ref().is_none_or(|page| page.rows == 0) {
            // freed before the next one is unpacked
            self.page = None;
            let stored = self.pages.next()?.ok_or(PageFault::Rows)?;
            let rows = stored.header.levels as usize;
            self.page = Some(Page {
                rows,
                definition: stored.definition.map(|levels| Runs::new(levels, 1)),
                values: Values::new(stored.header.encoding, stored.values, rows)?,
            });
        }
        self.page.as_mut().ok_or(PageFault::Rows)
    }
}

impl<S: Stored> Page<S> {
    /// Appends the next `rows` rows, nulls as zeros; returns how many are null. `some` is a buffer to use.
    fn read(
        &mut self,
        rows: usize,
        dictionary: &Dictionary<S::Read>,
        values: &mut Vec<S::Read>,
        valid: &mut BooleanBufferBuilder,
        some: &mut Vec<S::Read>,
    ) -> Result<usize, PageFault> {
        let before = valid.len();
        let present = match &mut self.definition {
            Some(definition) => definition.read_bits(rows, valid)?,
            None => {
                valid.append_n(rows, true);
                rows
            }
        };
        if present == rows {
            self.values.read(rows, dictionary, values)?;
        } else {
            some.clear();
            self.values.read(present, dictionary, some)?;
            let first = values.len();
            values.resize(first + rows, S::Read::default());
            let places = BitIndexIterator::new(valid.as_slice(), before, rows);
            for (row, value) in places.zip(some) {
                values[first + row] = *value;
            }
        }
        self.rows -= rows;
        Ok(rows - present)
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        let present = match &mut self.definition {
            Some(definition) => definition.skip_bits(rows)?,
            None => rows,
        };
        self.rows -= rows;
        self.values.skip(present)
    }
}

impl<S: Stored> Column for Flat<S>
where
    S::Read: ArrowNative,
{
    fn read(&mut self, rows: usize) -> Result<(), PageFault> {
        let mut missing = rows;
        while missing > 0 {
            let rows = missing.min(self.page()?.rows);
            if let Some(page) = &mut self.page {
                let (values, valid) = (&mut self.values, &mut self.valid);
                self.nulls +=
                    page.read(rows, &self.dictionary, values, valid, &mut self.present)?;
            }
            missing -= rows;
        }
        Ok(())
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        let mut missing = rows;
        while missing > 0 {
            if self.page.as_ref().is_none_or(|page| page.rows == 0)
                && let Some(whole) = self.pages.next_rows()?
                && 0 < whole
                && whole <= missing as u64
            {
                self.pages.skip()?;
                missing -= whole as usize;
                continue;
            }
            let page = self.page()?;
            let rows = missing.min(page.rows);
            page.skip(rows)?;
            missing -= rows;
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        let rows = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(rows));
        let valid = self.valid.finish();
        let nulls = (self.nulls > 0).then(|| NullBuffer::new(valid));
        self.nulls = 0;
        <S::Read as ArrowNative>::array(values, nulls)
    }
}

/// A number that Arrow has arrays of.
pub(crate) trait ArrowNative: Sized {
    fn array(values: Vec<Self>, nulls: Option<NullBuffer>) -> ArrayRef;
}

impl ArrowNative for f32 {
    fn array(values: Vec<f32>, nulls: Option<NullBuffer>) -> ArrayRef {
        primitive::<arrow::datatypes::Float32Type>(values, nulls)
    }
}

impl ArrowNative for i64 {
    fn array(values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
        primitive::<arrow::datatypes::Int64Type>(values, nulls)
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}
