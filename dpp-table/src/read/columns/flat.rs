//! A column of one number a row, nullable or not.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanBufferBuilder, PrimitiveArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{Float32Type, Int64Type};
use arrow::util::bit_chunk_iterator::BitChunks;
use dpp_pool::{Element, Pooled};

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
    values: Pooled<S::Read>,
    valid: BooleanBufferBuilder,
    nulls: usize,
    /// For values that are to be spread over rows.
    present: Pooled<S::Read>,
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
            values: Pooled::default(),
            valid: BooleanBufferBuilder::new(0),
            nulls: 0,
            present: Pooled::default(),
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

impl<S: Stored> Page<S>
where
    S::Read: ArrowNative,
{
    /// Appends the next `rows` rows, nulls as zeros; returns how many are null. `some` is a buffer to use.
    fn read(
        &mut self,
        rows: usize,
        dictionary: &Dictionary<S::Read>,
        values: &mut Pooled<S::Read>,
        valid: &mut BooleanBufferBuilder,
        some: &mut Pooled<S::Read>,
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
            some.reserve(present + 2 * WORD);
            self.values.read(present, dictionary, some)?;
            spread(
                some,
                &BitChunks::new(valid.as_slice(), before, rows),
                values,
            );
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
        self.values.reserve(rows);
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
        let values = std::mem::take(&mut self.values);
        let valid = self.valid.finish();
        let nulls = (self.nulls > 0).then(|| NullBuffer::new(valid));
        self.nulls = 0;
        <S::Read as ArrowNative>::array(values, nulls)
    }
}

/// Appends the values of `some` where bits are set, one after another, and zeros where they are not: a word of 64 rows at a time,
/// without asking at any row, which for nulls strewn about would be answered wrongly half the time.
fn spread<T: ArrowNative>(some: &mut Vec<T>, bits: &BitChunks<'_>, out: &mut Vec<T>) {
    // looked at beyond the last, and never taken
    some.resize(some.len() + 2 * WORD, T::default());
    let mut next = 0;
    let mut word = |word: u64, rows: usize| {
        let values: &[T; 2 * WORD] = some[next..].first_chunk().expect("there are so many more");
        let mut spread = [T::default(); WORD];
        let mut taken = 0;
        for (row, value) in spread.iter_mut().enumerate() {
            let is_there = word >> row & 1;
            *value = values[taken % (2 * WORD)].times(is_there);
            taken += is_there as usize;
        }
        out.extend_from_slice(&spread[..rows]);
        next += taken;
    };
    bits.iter().for_each(|of_64| word(of_64, WORD));
    word(bits.remainder_bits(), bits.remainder_len());
}

/// Rows of one word of validity.
const WORD: usize = 64;

/// A number that Arrow has arrays of.
pub(crate) trait ArrowNative: Element {
    /// The number for 1, zero for 0, by its bits.
    fn times(self, one_or_zero: u64) -> Self;
    fn array(values: Pooled<Self>, nulls: Option<NullBuffer>) -> ArrayRef;
}

impl ArrowNative for f32 {
    fn times(self, one_or_zero: u64) -> f32 {
        f32::from_bits(self.to_bits() & (one_or_zero as u32).wrapping_neg())
    }

    fn array(values: Pooled<f32>, nulls: Option<NullBuffer>) -> ArrayRef {
        primitive::<Float32Type>(values, nulls)
    }
}

impl ArrowNative for i64 {
    fn times(self, one_or_zero: u64) -> i64 {
        self & one_or_zero.cast_signed().wrapping_neg()
    }

    fn array(values: Pooled<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
        primitive::<Int64Type>(values, nulls)
    }
}

fn primitive<T: ArrowPrimitiveType<Native: Element>>(
    values: Pooled<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let values = ScalarBuffer::from(values.into_buffer());
    Arc::new(PrimitiveArray::<T>::new(values, nulls))
}
