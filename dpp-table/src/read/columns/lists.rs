//! A column of lists of integers: ids. Null ids are dropped, null lists stay null.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use dpp_pool::Pooled;

use crate::read::columns::Column;
use crate::read::columns::flat::ArrowNative as _;
use crate::read::columns::leaf::{Leaf, Most};
use crate::read::columns::levels;
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
    ids: Pooled<i64>,
    /// So many were taken before.
    usual_ids: usize,
}

/// Rows that were taken.
#[derive(Default)]
struct Rows {
    /// Ids before each row.
    starts: Pooled<i32>,
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
            ids: Pooled::default(),
            usual_ids: 0,
        })
    }
}

impl<S: Stored<Read = i64>> Column for Lists<S> {
    fn read(&mut self, rows: usize) -> Result<(), PageFault> {
        let (meaning, taken, ids) = (self.meaning, &mut self.rows, &mut self.ids);
        ids.reserve(self.usual_ids.saturating_sub(ids.len()));
        // and the end of the last
        taken.starts.reserve(rows + 1);
        taken.valid.reserve(rows);
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
        self.usual_ids = ids.len();
        let (offsets, nulls) = self.rows.finish();
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        Arc::new(ListArray::new(item, offsets, i64::array(ids, None), nulls))
    }
}

impl Rows {
    /// Adds rows by their entries' levels; returns how many ids they have.
    fn take(&mut self, repetition: &[u8], definition: &[u8], meaning: Definition) -> usize {
        let before = self.ids;
        let parts = repetition.chunks(levels::AT_ONCE);
        for (repetition, definition) in parts.zip(definition.chunks(levels::AT_ONCE)) {
            let begin = levels::matching(repetition, u8::MAX >> 1, 0);
            let ids = levels::matching(definition, u8::MAX >> 1, meaning.id);
            self.begin(begin, ids, definition, meaning.list);
            self.ids += ids.count_ones() as usize;
        }
        self.ids - before
    }

    /// Adds the rows that begin where bits of `begin` are set; of `ids` those are.
    fn begin(&mut self, mut begin: u64, ids: u64, definition: &[u8], list: u8) {
        while begin != 0 {
            let at = begin.trailing_zeros();
            begin &= begin - 1;
            let before = (ids & levels::below(at)).count_ones() as usize;
            self.starts.push(((self.ids + before) as u32).cast_signed());
            self.valid.push(definition[at as usize] >= list);
        }
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let mut starts = std::mem::take(&mut self.starts);
        starts.push((self.ids as u32).cast_signed());
        self.ids = 0;
        (
            OffsetBuffer::new(ScalarBuffer::from(starts.into_buffer())),
            nulls(&mut self.valid),
        )
    }
}

/// Which of the rows are null, if any; they are forgotten.
pub(crate) fn nulls(valid: &mut Vec<bool>) -> Option<NullBuffer> {
    let has_nulls = valid.contains(&false);
    let bits = || Buffer::from_vec(levels::packed(valid));
    let nulls = has_nulls.then(|| NullBuffer::new(BooleanBuffer::new(bits(), 0, valid.len())));
    valid.clear();
    nulls
}
