//! Rows of every kind, with everything awkward that Arrow allows, and the columns that hold them.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, FixedSizeListArray, Float32Array, Int64Array, LargeBinaryArray, LargeStringArray,
        ListArray, RecordBatch, StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields},
};
use dpp_ops::{Kind, Program};
use dpp_proto::v1;
use proptest::{collection::vec, option, prelude::*};

pub(crate) const FEATURES: [(&str, Kind); 7] = [
    ("bytes", Kind::Bytes),
    ("dense", Kind::Dense),
    ("ids", Kind::IdList),
    ("int", Kind::Int),
    ("scored", Kind::IdScoreList),
    ("text", Kind::Text),
    ("vector", Kind::Vector { width: 2 }),
];

pub(crate) fn schema() -> v1::Schema {
    v1::Schema {
        features: FEATURES
            .iter()
            .map(|(name, kind)| kind.feature(name))
            .collect(),
        partition_columns: vec![],
    }
}

/// One row of every feature.
pub(crate) type Row = (
    Option<Vec<u8>>,
    Option<f32>,
    (Option<Vec<Option<i64>>>, u8),
    Option<i64>,
    (Option<Vec<Option<(i64, Option<f32>)>>>, u8),
    Option<String>,
    Option<[Option<f32>; 2]>,
);

pub(crate) fn any_float() -> impl Strategy<Value = f32> {
    let special = vec![
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -0.0,
        f32::MAX,
        f32::MIN_POSITIVE,
    ];
    prop_oneof![-5f32..5.0, any::<f32>(), prop::sample::select(special)]
}

pub(crate) fn any_id() -> impl Strategy<Value = i64> {
    prop_oneof![-3i64..10, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

pub(crate) fn any_row() -> impl Strategy<Value = Row> {
    let often = 0.8;
    let scored = (any_id(), option::weighted(often, any_float()));
    (
        option::weighted(often, vec(any::<u8>(), 0..5)),
        option::weighted(often, any_float()),
        (
            option::weighted(often, vec(option::weighted(0.95, any_id()), 0..6)),
            0u8..3,
        ),
        option::weighted(often, any_id()),
        (
            option::weighted(often, vec(option::weighted(0.95, scored), 0..6)),
            0u8..3,
        ),
        option::weighted(often, ".{0,4}"),
        option::weighted(
            often,
            prop::array::uniform2(option::weighted(0.95, any_float())),
        ),
    )
}

pub(crate) fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let vectors = rows.iter().map(|row| row.6.map(Vec::from));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "bytes",
            Arc::new(
                rows.iter()
                    .map(|row| row.0.clone())
                    .collect::<LargeBinaryArray>(),
            ),
        ),
        (
            "dense",
            Arc::new(rows.iter().map(|row| row.1).collect::<Float32Array>()),
        ),
        ("ids", Arc::new(id_lists(rows))),
        (
            "int",
            Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
        ),
        ("scored", Arc::new(scored_lists(rows))),
        (
            "text",
            Arc::new(
                rows.iter()
                    .map(|row| row.5.clone())
                    .collect::<LargeStringArray>(),
            ),
        ),
    ];
    let vectors =
        FixedSizeListArray::from_iter_primitive::<arrow::datatypes::Float32Type, _, _>(vectors, 2);
    columns.push(("vector", Arc::new(vectors)));
    columns
}

/// Lists whose null rows have ids under them.
pub(crate) fn id_lists(rows: &[Row]) -> ListArray {
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    for (list, hidden) in rows.iter().map(|row| &row.2) {
        let list = list
            .clone()
            .unwrap_or_else(|| vec![Some(99); usize::from(*hidden)]);
        lengths.push(list.len());
        ids.extend(list);
    }
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.2.0.is_some()));
    let field = Arc::new(Field::new("element", DataType::Int64, true));
    let ids = Arc::new(Int64Array::from(ids));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), ids, Some(nulls))
}

pub(crate) fn scored_lists(rows: &[Row]) -> ListArray {
    let (mut entries, mut lengths) = (Vec::new(), Vec::new());
    for (list, hidden) in rows.iter().map(|row| &row.4) {
        let list = list
            .clone()
            .unwrap_or_else(|| vec![None; usize::from(*hidden)]);
        lengths.push(list.len());
        entries.extend(list);
    }
    let ids: Int64Array = entries
        .iter()
        .map(|entry| entry.map(|(id, _)| id))
        .collect();
    let scores: Float32Array = entries
        .iter()
        .map(|entry| entry.and_then(|(_, score)| score))
        .collect();
    let fields = Fields::from(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("score", DataType::Float32, true),
    ]);
    let valid = NullBuffer::from_iter(entries.iter().map(Option::is_some));
    let structs = StructArray::new(
        fields.clone(),
        vec![Arc::new(ids), Arc::new(scores)],
        Some(valid),
    );
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.4.0.is_some()));
    let field = Arc::new(Field::new("element", DataType::Struct(fields), true));
    ListArray::new(
        field,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(structs),
        Some(nulls),
    )
}

/// The columns the program asks for, in its order.
pub(crate) fn batch(program: &Program, rows: &[Row]) -> RecordBatch {
    let columns = columns(rows);
    let wanted = program.features().iter().map(|feature| {
        let column = columns.iter().find(|(name, _)| *name == feature.name);
        column.unwrap().clone()
    });
    RecordBatch::try_from_iter(wanted).unwrap()
}

pub(crate) fn row_ids(rows: std::ops::Range<usize>) -> Vec<i64> {
    rows.map(|row| 1000 + i64::try_from(row).unwrap()).collect()
}
