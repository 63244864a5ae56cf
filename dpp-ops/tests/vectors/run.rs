//! A plan of one op, run over columns written as JSON.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Float32Array, ListArray, RecordBatch, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Int64Type},
};
use dpp_batch::Batch;
use dpp_ops::{Error, Kind, Plan, Program};
use dpp_proto::v1;
use serde_json::{Value as Json, json};

/// A feature by name.
pub(crate) type Feature = (&'static str, Kind, ArrayRef);

/// The batch of a plan whose nodes 0, 1, … are the features and whose last node, shown in `group`, is `op` on all of them.
pub(crate) fn batch_of(mut op: Json, group: &str, features: &[Feature]) -> Result<Batch, Error> {
    op["inputs"] = json!((0..features.len()).collect::<Vec<_>>());
    let mut nodes: Vec<Json> = features.iter().map(|it| json!({"feature": it.0})).collect();
    nodes.push(op);
    let output = json!([{"name": "x", "node": features.len()}]);
    run(&json!({"nodes": nodes, group: output}), features)
}

/// The lists that `op` makes of the features.
pub(crate) fn lists_of(op: Json, features: &[Feature]) -> Result<Json, Error> {
    let batch = batch_of(op, "sparse", features)?;
    let mut values = batch.sparse.values.typed_data::<i64>().iter();
    let lengths = batch.sparse.lengths.typed_data::<i32>().iter();
    let rows = lengths.map(|length| values.by_ref().take(*length as usize).collect::<Vec<_>>());
    Ok(json!(rows.collect::<Vec<_>>()))
}

/// The dense column that `op` makes of the features.
pub(crate) fn dense_of(op: Json, features: &[Feature]) -> Result<Vec<f32>, Error> {
    let batch = batch_of(op, "dense", features)?;
    Ok(batch.dense.typed_data::<f32>().to_vec())
}

pub(crate) fn run(plan: &Json, columns: &[Feature]) -> Result<Batch, Error> {
    let schema = v1::Schema {
        features: columns
            .iter()
            .map(|(name, kind, _)| kind.feature(name))
            .collect(),
        partition_columns: vec![],
    };
    let program = Program::compile(&Plan::from_json(&plan.to_string())?.bind(&schema)?)?;
    let columns = columns
        .iter()
        .map(|(name, _, column)| (*name, column.clone()));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    program.run(&batch, &vec![0; batch.num_rows()])
}

/// The feature `x` of these lists.
pub(crate) fn ids(rows: &Json) -> [Feature; 1] {
    [("x", Kind::IdList, id_lists(rows))]
}

/// The feature `x` of these numbers and nulls.
pub(crate) fn numbers(rows: &[Json]) -> [Feature; 1] {
    [("x", Kind::Dense, dense(rows))]
}

pub(crate) fn id_lists(rows: &Json) -> ArrayRef {
    let ids = |row: &Json| {
        row.as_array()
            .unwrap()
            .iter()
            .map(Json::as_i64)
            .collect::<Vec<_>>()
    };
    let rows = rows.as_array().unwrap().iter().map(|row| Some(ids(row)));
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

/// Lists whose scores are their ids.
pub(crate) fn scored(rows: &Json) -> ArrayRef {
    let lists = id_lists(rows);
    let lists: &ListArray = lists.as_any().downcast_ref().unwrap();
    let ids = lists.values().clone();
    let scores = arrow::compute::cast(&ids, &DataType::Float32).unwrap();
    let field =
        |name, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    let entries = StructArray::from(vec![
        (field("id", &ids), ids.clone()),
        (field("score", &scores), scores.clone()),
    ]);
    let item = Arc::new(Field::new("item", entries.data_type().clone(), true));
    let offsets = OffsetBuffer::clone(lists.offsets());
    Arc::new(ListArray::new(item, offsets, Arc::new(entries), None))
}

pub(crate) fn dense(rows: &[Json]) -> ArrayRef {
    Arc::new(
        rows.iter()
            .map(|row| row.as_f64().map(|x| x as f32))
            .collect::<Float32Array>(),
    )
}

pub(crate) fn one_list(value: &Json) -> Vec<Json> {
    value
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![value.clone()])
}

pub(crate) fn flat(rows: &[Json]) -> Vec<Json> {
    rows.iter().flat_map(one_list).collect()
}
