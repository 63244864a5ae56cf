//! The map layout of the same rows: dense features as keys of one MAP column, id lists as keys of another. Pure.
//!
//! ```text
//! D0  D1    S0      ─▶  dense MAP<int32, float>    sparse MAP<int32, list<int64>>
//! 0.5 null  [7, 8]      {0: 0.5}                   {0: [7, 8]}
//! ```
//!
//! A feature's key is its place among those of its kind. Null is an absent key. Other columns stay columns.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float32Array, Int32Array, MapArray, RecordBatch, StructArray,
    },
    array::{Int64Array, ListArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, FieldRef, Fields, Float32Type, Int64Type, Schema, SchemaRef},
};

use super::shape::{Shape, Values};

/// Which columns go into which map.
#[derive(Debug)]
pub(crate) struct Maps {
    schema: SchemaRef,
    dense: Vec<usize>,
    lists: Vec<usize>,
    others: Vec<usize>,
}

impl Maps {
    /// Sorts the columns of a flat table.
    pub(crate) fn new(shape: &Shape, flat: &Schema) -> Maps {
        let of = |wanted: fn(&Values) -> bool| {
            let columns = shape.columns.iter().enumerate();
            let wanted = columns.filter(|(_, column)| wanted(&column.values));
            wanted.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let dense = of(|values| matches!(values, Values::Dense(_)));
        let lists = of(|values| matches!(values, Values::IdList { .. }));
        let others = of(|values| !matches!(values, Values::Dense(_) | Values::IdList { .. }));
        let mut fields: Vec<FieldRef> = others.iter().map(|i| flat.fields()[*i].clone()).collect();
        fields.push(map_field(DENSE, DataType::Float32));
        fields.push(map_field(SPARSE, id_list()));
        Maps {
            schema: Arc::new(Schema::new(fields)),
            dense,
            lists,
            others,
        }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The same rows.
    pub(crate) fn of(&self, flat: &RecordBatch) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = self
            .others
            .iter()
            .map(|index| flat.column(*index).clone())
            .collect();
        columns.push(Arc::new(self.dense_map(flat)));
        columns.push(Arc::new(self.list_map(flat)));
        RecordBatch::try_new(self.schema.clone(), columns).expect("made by the schema")
    }

    fn dense_map(&self, flat: &RecordBatch) -> MapArray {
        let columns = self.dense.iter();
        let columns: Vec<_> = columns
            .map(|index| flat.column(*index).as_primitive::<Float32Type>())
            .collect();
        let (mut keys, mut values, mut ends) = (Vec::new(), Vec::new(), vec![0]);
        for row in 0..flat.num_rows() {
            for (key, column) in (0..).zip(&columns) {
                if column.is_valid(row) {
                    keys.push(key);
                    values.push(column.value(row));
                }
            }
            ends.push(end_of(&keys));
        }
        map(keys, Arc::new(Float32Array::from(values)), ends)
    }

    fn list_map(&self, flat: &RecordBatch) -> MapArray {
        let columns = self.lists.iter();
        let columns: Vec<_> = columns
            .map(|index| flat.column(*index).as_list::<i32>())
            .collect();
        let (mut keys, mut ids, mut list_ends, mut ends) =
            (Vec::new(), Vec::<i64>::new(), vec![0], vec![0]);
        for row in 0..flat.num_rows() {
            for (key, column) in (0..).zip(&columns) {
                if column.is_valid(row) {
                    keys.push(key);
                    let list = column.value(row);
                    ids.extend_from_slice(list.as_primitive::<Int64Type>().values());
                    list_ends.push(end_of(&ids));
                }
            }
            ends.push(end_of(&keys));
        }
        let offsets = OffsetBuffer::new(list_ends.into());
        let lists = ListArray::new(element(), offsets, Arc::new(Int64Array::from(ids)), None);
        map(keys, Arc::new(lists), ends)
    }
}

fn map(keys: Vec<i32>, values: ArrayRef, ends: Vec<i32>) -> MapArray {
    let fields = entry_fields(values.data_type().clone());
    let entries = StructArray::new(
        fields.clone(),
        vec![Arc::new(Int32Array::from(keys)), values],
        None,
    );
    MapArray::new(
        entries_field(fields),
        OffsetBuffer::new(ends.into()),
        entries,
        None,
        false,
    )
}

fn map_field(name: &str, values: DataType) -> FieldRef {
    let entries = entries_field(entry_fields(values));
    Arc::new(Field::new(name, DataType::Map(entries, false), false))
}

fn entries_field(fields: Fields) -> FieldRef {
    Arc::new(Field::new("key_value", DataType::Struct(fields), false))
}

fn entry_fields(values: DataType) -> Fields {
    let key = Field::new("key", DataType::Int32, false);
    Fields::from(vec![key, Field::new("value", values, true)])
}

fn id_list() -> DataType {
    DataType::List(element())
}

fn element() -> FieldRef {
    Arc::new(Field::new("element", DataType::Int64, true))
}

fn end_of<T>(values: &[T]) -> i32 {
    i32::try_from(values.len()).expect("a chunk has a few thousand rows")
}

const DENSE: &str = "dense";
const SPARSE: &str = "sparse";
