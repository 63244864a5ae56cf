//! A column of lists of integers: ids. Null ids are dropped, null lists stay null.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};

use crate::read::columns::Column;
use crate::read::columns::leaf::{Leaf, Most, begins};
use crate::read::columns::values::Stored;
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DictionaryPage, PageWalk};
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
    leaf: Leaf<S>,
    meaning: Definition,
    rows: Rows,
    ids: Vec<i64>,
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
        let most = Most {
            repetition: 1,
            definition: meaning.id,
        };
        Ok(Lists {
            leaf: Leaf::new(pages, page, most, map)?,
            meaning,
            rows: Rows::default(),
            ids: Vec::new(),
        })
    }
}

impl<S: Stored<Read = i64>> Column for Lists<S> {
    fn read(&mut self, rows: usize) -> Result<(), PageFault> {
        let (meaning, taken, ids) = (self.meaning, &mut self.rows, &mut self.ids);
        self.leaf.walk(rows, |page, dictionary, entries| {
            let repetition = &page.repetition[entries.clone()];
            let count = taken.take(repetition, &page.definition[entries], meaning);
            page.values.read(count, dictionary, ids)
        })
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        self.leaf.skip(rows)
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
