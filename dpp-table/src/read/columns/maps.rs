//! A column of features by integer key: of each row's entries only those of wanted keys are kept, in their slots.
//!
//! ```text
//! keys    ─▶ slots, by the dictionary where there is one ─┐
//! values  ─▶ entry by entry: taken, or stepped over  ◀────┘ ─▶ an array for each slot
//! ```
//!
//! Of entries of one key in a row the last one counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int64Type};
use dpp_pool::{Element, Pooled};

use crate::read::columns::Column;
use crate::read::columns::flat::ArrowNative;
use crate::read::columns::leaf::{Leaf, Most};
use crate::read::columns::levels;
use crate::read::columns::lists::{Definition, Lists, nulls};
use crate::read::columns::values::{Dictionary, Stored, Values};
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DictionaryPage, PageWalk};
use crate::read::value_map::MapValues;

/// Where the reading of a map stands.
pub(crate) struct Maps<K: Stored<Read = i64>> {
    /// Of each row's entries the slots; negative where a key is not wanted.
    keys: Lists<K>,
    values: Box<dyn Entries>,
}

/// The values of a map's entries.
pub(crate) trait Entries: Send {
    /// Takes those of the next `rows` rows, whose entries are for these slots.
    fn read(&mut self, rows: usize, slots: &[i64]) -> Result<(), PageFault>;
    /// Leaves out the next `rows` rows.
    fn skip(&mut self, rows: usize) -> Result<(), PageFault>;
    /// Of each slot the rows taken since the last call.
    fn finish(&mut self) -> Vec<ArrayRef>;
}

impl<K: Stored<Read = i64>> Maps<K> {
    /// `place` puts each key's slot in its place.
    pub(crate) fn new(
        pages: PageWalk,
        dictionary: &DictionaryPage,
        meaning: Meaning,
        place: MapValues<i64>,
        values: Box<dyn Entries>,
    ) -> Result<Self, PageFault> {
        let keys = Lists::new(pages, dictionary, meaning.of_keys(), Some(place))?;
        Ok(Maps { keys, values })
    }
}

impl<K: Stored<Read = i64>> Column for Maps<K> {
    fn read(&mut self, rows: usize) -> Result<(), PageFault> {
        self.keys.read(rows)?;
        let keys = self.keys.finish();
        let slots = keys.as_list::<i32>().values().as_primitive::<Int64Type>();
        self.values.read(rows, slots.values())
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        self.keys.skip(rows)?;
        self.values.skip(rows)
    }

    /// A struct with a field for each slot.
    fn finish(&mut self) -> ArrayRef {
        let slots = self.values.finish();
        let field = |(slot, array): (usize, &ArrayRef)| {
            Field::new(slot.to_string(), array.data_type().clone(), true)
        };
        let fields: Vec<Field> = slots.iter().enumerate().map(field).collect();
        Arc::new(StructArray::new(fields.into(), slots, None))
    }
}

/// What the definition levels of a map's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// From here on there is an entry.
    pub(crate) entry: u8,
    /// From here on its value is not null.
    pub(crate) valid: u8,
    /// There is a number, or an id of a list.
    pub(crate) value: u8,
}

impl Meaning {
    /// The highest levels of the values.
    fn most(self, repetition: u8) -> Most {
        Most {
            repetition,
            definition: self.value,
        }
    }

    /// What those of the keys mean: no key is null.
    fn of_keys(self) -> Definition {
        Definition {
            list: self.entry - 1,
            id: self.entry,
        }
    }
}

/// Numbers, one an entry.
pub(crate) struct Numbers<S: Stored> {
    leaf: Leaf<S>,
    meaning: Meaning,
    rows: usize,
    slots: Vec<NumberSlot<S::Read>>,
    /// Of the page being read.
    present: Pooled<S::Read>,
}

/// A value a row, and whether there is one.
#[derive(Default)]
struct NumberSlot<T: Element> {
    values: Pooled<T>,
    valid: Vec<bool>,
}

impl<S: Stored> Numbers<S> {
    pub(crate) fn new(
        pages: PageWalk,
        dictionary: &DictionaryPage,
        meaning: Meaning,
        slots: usize,
    ) -> Result<Self, PageFault> {
        Ok(Numbers {
            leaf: Leaf::new(pages, dictionary, meaning.most(1), None)?,
            meaning,
            rows: 0,
            slots: (0..slots).map(|_| NumberSlot::default()).collect(),
            present: Pooled::default(),
        })
    }
}

impl<S: Stored> Entries for Numbers<S>
where
    S::Read: ArrowNative,
{
    fn read(&mut self, rows: usize, slots: &[i64]) -> Result<(), PageFault> {
        let (meaning, taken, present) = (self.meaning, &mut self.slots, &mut self.present);
        let mut begun = self.rows;
        self.rows += rows;
        for slot in taken.iter_mut() {
            slot.values.reserve(rows);
            slot.values.resize(self.rows, S::Read::default());
            slot.valid.resize(self.rows, false);
        }
        let mut slots = slots.iter();
        self.leaf.walk(rows, |page, dictionary, entries| {
            let definition = &page.definition[entries.clone()];
            let values = definition.iter().filter(|level| **level == meaning.value);
            present.clear();
            page.values.read(values.count(), dictionary, present)?;
            let mut next = 0;
            for (repetition, definition) in page.repetition[entries].iter().zip(definition) {
                begun += usize::from(*repetition == 0);
                if *definition < meaning.entry {
                    continue;
                }
                let is_valid = *definition == meaning.value;
                let slot = usize::try_from(*slots.next().ok_or(PageFault::Rows)?);
                if let Ok(slot) = slot {
                    let slot = &mut taken[slot];
                    slot.valid[begun - 1] = is_valid;
                    slot.values[begun - 1] = match is_valid {
                        true => present[next],
                        false => S::Read::default(),
                    };
                }
                next += usize::from(is_valid);
            }
            Ok(())
        })?;
        ended(slots)
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        self.leaf.skip(rows)
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let array = |slot: &mut NumberSlot<S::Read>| {
            let values = std::mem::take(&mut slot.values);
            <S::Read as ArrowNative>::array(values, nulls(&mut slot.valid))
        };
        self.slots.iter_mut().map(array).collect()
    }
}

/// Lists of ids, one an entry. Null ids are dropped, null lists are as if there were no entry.
pub(crate) struct IdLists<S: Stored<Read = i64>> {
    leaf: Leaf<S>,
    meaning: Meaning,
    rows: usize,
    slots: Vec<ListSlot>,
}

/// The ids of all rows, and how many are each row's.
#[derive(Default)]
struct ListSlot {
    ids: Pooled<i64>,
    /// So many were taken before.
    usual_ids: usize,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl<S: Stored<Read = i64>> IdLists<S> {
    pub(crate) fn new(
        pages: PageWalk,
        dictionary: &DictionaryPage,
        meaning: Meaning,
        slots: usize,
    ) -> Result<Self, PageFault> {
        Ok(IdLists {
            leaf: Leaf::new(pages, dictionary, meaning.most(2), None)?,
            meaning,
            rows: 0,
            slots: (0..slots).map(|_| ListSlot::default()).collect(),
        })
    }
}

impl<S: Stored<Read = i64>> Entries for IdLists<S> {
    fn read(&mut self, rows: usize, slots: &[i64]) -> Result<(), PageFault> {
        let (meaning, taken) = (self.meaning, &mut self.slots);
        let mut begun = self.rows;
        self.rows += rows;
        for slot in taken.iter_mut() {
            let usual = slot.usual_ids.saturating_sub(slot.ids.len());
            slot.ids.reserve(usual);
            slot.lengths.resize(self.rows, 0);
            slot.valid.resize(self.rows, false);
        }
        let mut slots = slots.iter();
        // the slot that ids are for, which a page may end within
        let mut current = None;
        self.leaf.walk(rows, |page, dictionary, entries| {
            let repetitions = page.repetition[entries.clone()].chunks(levels::AT_ONCE);
            let definitions = page.definition[entries].chunks(levels::AT_ONCE);
            // ids for the current slot, or for none, that were not taken or stepped over yet
            let mut waiting = 0;
            for (repetition, definition) in repetitions.zip(definitions) {
                let mut ids = levels::matching(definition, u8::MAX >> 1, meaning.value);
                // at most 1: here begins an entry, or a row without any
                let mut begin = levels::matching(repetition, !1 & u8::MAX >> 1, 0);
                while begin != 0 {
                    let at = begin.trailing_zeros();
                    begin &= begin - 1;
                    let before = ids & levels::below(at);
                    ids ^= before;
                    waiting += before.count_ones() as usize;
                    let (repetition, definition) =
                        (repetition[at as usize], definition[at as usize]);
                    let next = match definition < meaning.entry {
                        true => None,
                        false => {
                            let slot = slots.next().ok_or(PageFault::Rows)?;
                            usize::try_from(*slot).ok()
                        }
                    };
                    if current.is_some() || next.is_some() {
                        let ids = std::mem::take(&mut waiting);
                        let slot = current.map(|slot: usize| &mut taken[slot]);
                        give(&mut page.values, dictionary, ids, slot, begun)?;
                    }
                    begun += usize::from(repetition == 0);
                    current = next;
                    if let Some(slot) = next {
                        taken[slot].begin(begun - 1, definition >= meaning.valid);
                    }
                }
                waiting += ids.count_ones() as usize;
            }
            let slot = current.map(|slot| &mut taken[slot]);
            give(&mut page.values, dictionary, waiting, slot, begun)
        })?;
        ended(slots)
    }

    fn skip(&mut self, rows: usize) -> Result<(), PageFault> {
        self.leaf.skip(rows)
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let array = |slot: &mut ListSlot| -> ArrayRef {
            let ids = std::mem::take(&mut slot.ids);
            slot.usual_ids = ids.len();
            let offsets = OffsetBuffer::from_lengths(slot.lengths.drain(..));
            let nulls = nulls(&mut slot.valid);
            let ids = i64::array(ids, None);
            Arc::new(ListArray::new(item.clone(), offsets, ids, nulls))
        };
        self.slots.iter_mut().map(array).collect()
    }
}

impl ListSlot {
    /// An entry begins, which takes the place of one before in its row.
    fn begin(&mut self, row: usize, is_valid: bool) {
        let before = std::mem::take(&mut self.lengths[row]);
        let left = self.ids.len() - before;
        self.ids.truncate(left);
        self.valid[row] = is_valid;
    }
}

/// Gives the next ids to the slot's row that began last, or to nobody.
fn give<S: Stored<Read = i64>>(
    values: &mut Values<S>,
    dictionary: &Dictionary<i64>,
    ids: usize,
    slot: Option<&mut ListSlot>,
    begun: usize,
) -> Result<(), PageFault> {
    let Some(slot) = slot else {
        return values.skip(ids);
    };
    slot.lengths[begun - 1] += ids;
    values.read(ids, dictionary, &mut slot.ids)
}

/// Every entry has had its value.
fn ended(mut slots: std::slice::Iter<'_, i64>) -> Result<(), PageFault> {
    slots.next().map_or(Ok(()), |_| Err(PageFault::Rows))
}
