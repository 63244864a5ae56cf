//! Stored columns → the Arrow types of their kinds. Pure.
//!
//! Integers widen to i64 and floats become f32; an integer that does not fit is an error. Strings in lists become
//! their [`text_id`]. In lists, null ids, null pairs and pairs with a null id or score are dropped; a null list stays null.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Int64Array, ListArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options, filter};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::error::ArrowError;
use dpp_proto::v1::{Feature, Kind};

use crate::features::schema::{id_and_score, is_text};
use crate::features::text_id::text_id;

/// The Arrow type in which a feature is delivered.
///
/// dense `Float32` · int `Int64` · id_list `List<Int64>` · id_score_list `List<Struct<id Int64, score Float32>>` ·
/// vector `FixedSizeList<Float32, width>` · bytes `LargeBinary` · text `LargeUtf8`. List items are named `item` and
/// declared nullable, as Arrow has it, though none is null; a feature without kind has type `Null`.
pub fn arrow_type(feature: &Feature) -> DataType {
    match feature.kind() {
        Kind::Unspecified => DataType::Null,
        Kind::Dense => DataType::Float32,
        Kind::Int => DataType::Int64,
        Kind::IdList => DataType::List(item(DataType::Int64)),
        Kind::IdScoreList => DataType::List(item(DataType::Struct(pair_fields()))),
        Kind::Vector => DataType::FixedSizeList(item(DataType::Float32), width(feature)),
        Kind::Bytes => DataType::LargeBinary,
        Kind::Text => DataType::LargeUtf8,
    }
}

/// Brings a stored column of the feature's kind to [`arrow_type`]. Fails when a value does not fit.
pub(crate) fn convert(stored: &ArrayRef, feature: &Feature) -> Result<ArrayRef, ArrowError> {
    match feature.kind() {
        Kind::IdList => id_list(&lists(stored)?),
        Kind::IdScoreList => id_score_list(&lists(stored)?),
        Kind::Vector => vector(stored, width(feature)),
        _ => exact_cast(stored, &arrow_type(feature)),
    }
}

fn id_list(lists: &ListArray) -> Result<ArrayRef, ArrowError> {
    let ids = match is_text(lists.values().data_type()) {
        true => text_ids(lists.values())?,
        false => exact_cast(lists.values(), &DataType::Int64)?,
    };
    let valid = NullBuffer::union(ids.nulls(), None);
    let (offsets, kept) = compact(lists, valid);
    let ids = match kept {
        Some(kept) => filter(&ids, &kept)?,
        None => ids,
    };
    Ok(Arc::new(ListArray::try_new(
        item(DataType::Int64),
        offsets,
        ids,
        lists.nulls().cloned(),
    )?))
}

fn text_ids(texts: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let texts = exact_cast(texts, &DataType::Utf8View)?;
    let ids = texts.as_string_view().iter();
    Ok(Arc::new(Int64Array::from_iter(
        ids.map(|text| text.map(text_id)),
    )))
}

fn id_score_list(lists: &ListArray) -> Result<ArrayRef, ArrowError> {
    let pairs = lists.values().as_struct();
    let (id, score) = id_and_score(pairs.fields()).ok_or_else(|| {
        ArrowError::CastError(format!("{} is no id and score", pairs.data_type()))
    })?;
    let mut ids = exact_cast(pairs.column(id), &DataType::Int64)?;
    let mut scores = exact_cast(pairs.column(score), &DataType::Float32)?;
    let valid = NullBuffer::union(ids.nulls(), scores.nulls());
    let valid = NullBuffer::union(valid.as_ref(), pairs.nulls());
    let (offsets, kept) = compact(lists, valid);
    if let Some(kept) = kept {
        ids = filter(&ids, &kept)?;
        scores = filter(&scores, &kept)?;
    }
    let pairs = StructArray::try_new(pair_fields(), vec![ids, scores], None)?;
    Ok(Arc::new(ListArray::try_new(
        item(pairs.data_type().clone()),
        offsets,
        Arc::new(pairs),
        lists.nulls().cloned(),
    )?))
}

/// Offsets without invalid entries and without entries below null lists, and which entries those leave;
/// `None` when all stay.
fn compact(
    lists: &ListArray,
    valid: Option<NullBuffer>,
) -> (OffsetBuffer<i32>, Option<BooleanArray>) {
    let valid = valid.filter(|valid| valid.null_count() > 0);
    let rows = lists.len();
    let hidden = |row| lists.is_null(row) && lists.value_length(row) > 0;
    let nothing_hidden = lists.null_count() == 0 || !(0..rows).any(hidden);
    if valid.is_none() && nothing_hidden {
        return (lists.offsets().clone(), None);
    }
    let mut kept = vec![false; lists.values().len()];
    let is_valid = |entry| valid.as_ref().is_none_or(|valid| valid.is_valid(entry));
    let keep = |(row, bounds): (usize, &[i32])| {
        let entries = bounds[0] as usize..bounds[1] as usize;
        let entries = entries.filter(|entry| lists.is_valid(row) && is_valid(*entry));
        entries.map(|entry| kept[entry] = true).count()
    };
    let lengths: Vec<usize> = lists.offsets().windows(2).enumerate().map(keep).collect();
    let kept = BooleanArray::new(BooleanBuffer::from(kept), None);
    (OffsetBuffer::from_lengths(lengths), Some(kept))
}

/// Lists of any stored shape, maps included, as `List` of their entries.
fn lists(stored: &ArrayRef) -> Result<ListArray, ArrowError> {
    match stored.data_type() {
        DataType::List(_) => Ok(stored.as_list::<i32>().clone()),
        DataType::Map(entries, _) => {
            let map = stored.as_map();
            let entries_array = Arc::new(map.entries().clone());
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            ListArray::try_new(Arc::clone(entries), offsets, entries_array, nulls)
        }
        DataType::LargeList(entries) | DataType::FixedSizeList(entries, _) => {
            let list = exact_cast(stored, &DataType::List(Arc::clone(entries)))?;
            Ok(list.as_list::<i32>().clone())
        }
        other => Err(ArrowError::CastError(format!("{other} is no list"))),
    }
}

fn vector(stored: &ArrayRef, width: i32) -> Result<ArrayRef, ArrowError> {
    let stored = stored.as_fixed_size_list();
    let values = exact_cast(stored.values(), &DataType::Float32)?;
    let nulls = stored.nulls().cloned();
    let vectors = FixedSizeListArray::try_new(item(DataType::Float32), width, values, nulls)?;
    Ok(Arc::new(vectors))
}

/// A cast that fails where a value does not fit.
pub(crate) fn exact_cast(stored: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if stored.data_type() == wanted {
        return Ok(Arc::clone(stored));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    match stored.data_type() {
        DataType::Dictionary(_, values) if values.as_ref() != wanted => {
            let plain = cast_with_options(stored, values, &options)?;
            cast_with_options(&plain, wanted, &options)
        }
        _ => cast_with_options(stored, wanted, &options),
    }
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(kind, true))
}

fn pair_fields() -> Fields {
    Fields::from(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("score", DataType::Float32, false),
    ])
}

fn width(feature: &Feature) -> i32 {
    i32::try_from(feature.width).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray, UInt64Array};
    use arrow::datatypes::{Float32Type, Int64Type};

    use super::*;

    fn feature(kind: Kind) -> Feature {
        Feature {
            name: "f".to_owned(),
            kind: kind.into(),
            width: 0,
        }
    }

    /// Lists over `entries`, cut at `offsets`; `nulls` says which rows are there.
    fn lists_of(entries: ArrayRef, offsets: Vec<i32>, nulls: Vec<bool>) -> ArrayRef {
        let offsets = OffsetBuffer::new(offsets.into());
        let nulls = Some(NullBuffer::from(nulls));
        let field = item(entries.data_type().clone());
        Arc::new(ListArray::new(field, offsets, entries, nulls))
    }

    fn ids(array: &ArrayRef) -> Vec<Option<Vec<i64>>> {
        let ids = |list: ArrayRef| list.as_primitive::<Int64Type>().values().to_vec();
        array
            .as_list::<i32>()
            .iter()
            .map(|list| list.map(ids))
            .collect()
    }

    #[test]
    fn null_ids_and_entries_below_null_lists_are_dropped() {
        let entries = Int32Array::from(vec![Some(1), None, Some(2), Some(3), Some(4)]);
        let stored = lists_of(
            Arc::new(entries),
            vec![0, 3, 4, 4, 5],
            vec![true, false, true, true],
        );
        let read = convert(&stored, &feature(Kind::IdList)).unwrap();
        assert_eq!(
            ids(&read),
            [Some(vec![1, 2]), None, Some(vec![]), Some(vec![4])]
        );
        let list = read.as_list::<i32>();
        assert_eq!(
            list.offsets().as_ref(),
            [0, 2, 2, 2, 3],
            "a null list covers no values"
        );
        assert_eq!(list.values().len(), 3);
        let tail = convert(&stored.slice(2, 2), &feature(Kind::IdList)).unwrap();
        assert_eq!(ids(&tail), [Some(vec![]), Some(vec![4])]);
    }

    #[test]
    fn pairs_lacking_a_part_are_dropped() {
        let scores = Float64Array::from(vec![Some(0.5), None, Some(1.5), Some(2.5)]);
        let keys = Int64Array::from(vec![Some(7), Some(8), None, Some(9)]);
        let fields = Fields::from(vec![
            Field::new("weight", DataType::Float64, true),
            Field::new("key", DataType::Int64, true),
        ]);
        let pairs = StructArray::new(fields, vec![Arc::new(scores), Arc::new(keys)], None);
        let stored = lists_of(Arc::new(pairs), vec![0, 2, 4], vec![true, true]);
        let read = convert(&stored, &feature(Kind::IdScoreList)).unwrap();
        assert_eq!(read.data_type(), &arrow_type(&feature(Kind::IdScoreList)));
        let list = read.as_list::<i32>();
        let pairs = list.values().as_struct();
        assert_eq!(list.offsets().as_ref(), [0, 1, 2]);
        assert_eq!(
            pairs
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .as_ref(),
            [7, 9]
        );
        assert_eq!(
            pairs
                .column(1)
                .as_primitive::<Float32Type>()
                .values()
                .as_ref(),
            [0.5, 2.5]
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![i64::MAX as u64 + 1]));
        assert!(convert(&large, &feature(Kind::Int)).is_err());
        let large = lists_of(large, vec![0, 1], vec![true]);
        assert!(convert(&large, &feature(Kind::IdList)).is_err());
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        assert!(convert(&text, &feature(Kind::IdList)).is_err());
    }

    #[test]
    fn doubles_round_to_floats() {
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.1, 1e300, f64::NAN]));
        let read = convert(&doubles, &feature(Kind::Dense)).unwrap();
        let read = read.as_primitive::<Float32Type>().values().clone();
        assert_eq!(read[..2], [0.1_f32, f32::INFINITY]);
        assert!(read[2].is_nan());
    }
}
