//! One decoded map column → one array per wanted key, in one pass over its entries. Pure.

use arrow::array::{Array, ArrayRef, AsArray, MapArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use dpp_proto::v1::Feature;
use std::collections::HashMap;

use crate::features::feature_map::MapKey;
use crate::read::convert::{convert, exact_cast};

/// The keys wanted of one map; a key's place among them is its slot.
#[derive(Debug)]
pub(crate) enum Slots {
    /// Integer keys that lie close together: slot by `key - first`.
    Near {
        first: i64,
        slots: Vec<u32>,
    },
    /// Integer keys that do not.
    Integer(HashMap<i64, u32>),
    Text(HashMap<String, u32>),
}

impl Slots {
    /// Keys are distinct and all of one sort.
    pub(crate) fn new(keys: &[MapKey]) -> Slots {
        let (mut integers, mut texts) = (HashMap::new(), HashMap::new());
        for (slot, key) in (0..).zip(keys) {
            match key {
                MapKey::Integer(key) => integers.insert(*key, slot),
                MapKey::Text(key) => texts.insert(key.clone(), slot),
            };
        }
        if !texts.is_empty() {
            return Slots::Text(texts);
        }
        let first = integers.keys().copied().min().unwrap_or(0);
        let last = integers.keys().copied().max().unwrap_or(0);
        match last
            .checked_sub(first)
            .and_then(|span| usize::try_from(span).ok())
        {
            Some(span) if span < NEAR_KEYS => {
                let mut slots = vec![NONE; span + 1];
                for (key, slot) in integers {
                    slots[(key - first) as usize] = slot;
                }
                Slots::Near { first, slots }
            }
            _ => Slots::Integer(integers),
        }
    }

    /// Puts each integer key's slot in its place, or -1 if it has none.
    pub(crate) fn place(&self, keys: &mut [i64]) {
        let place = |key: i64| {
            let slot = match self {
                Slots::Near { first, slots } => {
                    let place = usize::try_from(key.wrapping_sub(*first)).ok()?;
                    slots.get(place).filter(|slot| **slot != NONE)?
                }
                Slots::Integer(slots) => slots.get(&key)?,
                Slots::Text(_) => return None,
            };
            Some(i64::from(*slot))
        };
        for key in keys {
            *key = place(*key).unwrap_or(-1);
        }
    }

    /// How many keys are wanted.
    pub(crate) fn len(&self) -> usize {
        match self {
            Slots::Near { slots, .. } => slots.iter().filter(|slot| **slot != NONE).count(),
            Slots::Integer(slots) => slots.len(),
            Slots::Text(slots) => slots.len(),
        }
    }
}

/// Splits a map: for each slot the values of its key, one per row, converted to `feature`'s kind, which all share.
pub(crate) fn split(
    map: &MapArray,
    slots: &Slots,
    feature: &Feature,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let picks = pick(map, slots)?;
    let values = convert(map.values(), feature)?;
    let rows = map.len();
    let gather = |picks: &[u32]| {
        let there = BooleanBuffer::collect_bool(rows, |row| picks[row] != NONE);
        let nulls = Some(NullBuffer::new(there)).filter(|nulls| nulls.null_count() > 0);
        let picks = picks
            .iter()
            .map(|pick| if *pick == NONE { 0 } else { *pick });
        let picks = UInt32Array::new(picks.collect::<Vec<_>>().into(), nulls);
        take(&values, &picks, None)
    };
    match rows {
        0 => Ok(vec![values.slice(0, 0); slots.len()]),
        _ => picks.chunks(rows).map(gather).collect(),
    }
}

/// For each slot and row, slot by slot, the entry that holds its value, or [`NONE`].
fn pick(map: &MapArray, slots: &Slots) -> Result<Vec<u32>, ArrowError> {
    match slots {
        Slots::Near { first, slots: near } => {
            let keys = integer_keys(map)?;
            let keys = keys.as_primitive::<Int64Type>().values();
            Ok(pick_by(map, slots.len(), |entry| {
                let place = keys[entry].wrapping_sub(*first);
                let slot = usize::try_from(place)
                    .ok()
                    .and_then(|place| near.get(place));
                slot.copied().filter(|slot| *slot != NONE)
            }))
        }
        Slots::Integer(known) => {
            let keys = integer_keys(map)?;
            let keys = keys.as_primitive::<Int64Type>().values();
            Ok(pick_by(map, slots.len(), |entry| {
                known.get(&keys[entry]).copied()
            }))
        }
        Slots::Text(known) => {
            let keys = exact_cast(map.keys(), &DataType::Utf8View)?;
            let keys = keys.as_string_view();
            Ok(pick_by(map, slots.len(), |entry| {
                known.get(keys.value(entry)).copied()
            }))
        }
    }
}

fn integer_keys(map: &MapArray) -> Result<ArrayRef, ArrowError> {
    exact_cast(map.keys(), &DataType::Int64)
}

/// The last entry of each key in each row; entries with a null key are none.
fn pick_by(map: &MapArray, slots: usize, slot_of: impl Fn(usize) -> Option<u32>) -> Vec<u32> {
    let rows = map.len();
    let nulls = map.keys().nulls().filter(|nulls| nulls.null_count() > 0);
    let is_null = |entry| nulls.is_some_and(|nulls| nulls.is_null(entry));
    let mut picks = vec![NONE; slots * rows];
    for (row, bounds) in map.offsets().windows(2).enumerate() {
        if map.is_null(row) {
            continue;
        }
        for entry in bounds[0] as usize..bounds[1] as usize {
            if !is_null(entry)
                && let Some(slot) = slot_of(entry)
            {
                picks[slot as usize * rows + row] = entry as u32;
            }
        }
    }
    picks
}

/// No entry, no slot. Entries are counted by i32, so none has this number.
const NONE: u32 = u32::MAX;
/// Keys within this span are found without hashing.
const NEAR_KEYS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Builder, Int32Builder, MapBuilder, StringBuilder};
    use arrow::datatypes::Float32Type;
    use dpp_proto::v1::Kind;

    use super::*;

    fn dense() -> Feature {
        Feature {
            name: "f".to_owned(),
            kind: Kind::Dense.into(),
            width: 0,
        }
    }

    fn floats(arrays: &[ArrayRef]) -> Vec<Vec<Option<f32>>> {
        let floats = |array: &ArrayRef| array.as_primitive::<Float32Type>().iter().collect();
        arrays.iter().map(floats).collect()
    }

    type Entries<'a> = &'a [(i32, Option<f64>)];

    fn map(rows: &[Option<Entries<'_>>]) -> MapArray {
        let mut map = MapBuilder::new(None, Int32Builder::new(), Float64Builder::new());
        for row in rows {
            for (key, value) in row.unwrap_or_default() {
                map.keys().append_value(*key);
                map.values().append_option(*value);
            }
            map.append(row.is_some()).unwrap();
        }
        map.finish()
    }

    #[test]
    fn absent_repeated_and_null() {
        let map = map(&[
            Some(&[(5, Some(1.0)), (-3, Some(2.0)), (9, Some(0.0))]),
            None,
            Some(&[]),
            Some(&[(5, Some(3.0)), (5, Some(4.0))]),
            Some(&[(5, Some(6.0)), (5, None)]),
        ]);
        for keys in [[-3, 5, 7], [i64::MIN, 5, i64::MAX]] {
            let slots = Slots::new(&keys.map(MapKey::Integer));
            let found = floats(&split(&map, &slots, &dense()).unwrap());
            assert_eq!(found[1], [Some(1.0), None, None, Some(4.0), None]);
            assert_eq!(found[2], [None; 5]);
            let first = (keys[0] == -3).then_some(2.0);
            assert_eq!(found[0], [first, None, None, None, None]);
        }
        let slots = Slots::new(&[MapKey::Integer(5)]);
        let tail = floats(&split(&map.slice(3, 2), &slots, &dense()).unwrap());
        assert_eq!(tail, [[Some(4.0), None]]);
        assert_eq!(
            floats(&split(&map.slice(5, 0), &slots, &dense()).unwrap()),
            [[]]
        );
    }

    #[test]
    fn text_keys_and_no_entries_at_all() {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
        builder.append(true).unwrap();
        let slots = Slots::new(&[MapKey::Text("a".to_owned()), MapKey::Text("b".to_owned())]);
        let none = floats(&split(&builder.finish(), &slots, &dense()).unwrap());
        assert_eq!(none, [[None], [None]]);
        builder.keys().append_value("b");
        builder.values().append_value(0.5);
        builder.append(true).unwrap();
        let found = floats(&split(&builder.finish(), &slots, &dense()).unwrap());
        assert_eq!(found, [[None], [Some(0.5)]]);
    }
}
