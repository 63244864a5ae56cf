//! Decoded rows as pipelines have them that work on rows: each a map from features to values, built of columns and taken apart
//! into columns again, which transforms read. Maps are of the standard library with a cheap hash, sized for their features;
//! a feature that a row lacks is not in it.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, Float32Array, Int64Array, ListArray, RecordBatch},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Float32Type, Int64Type},
};
use dpp_client::Error;

use crate::failed;

/// A row: its features that are there, by their place in the plan.
type Row = HashMap<u32, Entry, BuildHasherDefault<ByNumber>>;

enum Entry {
    Number(f32),
    Ids(Vec<i64>),
}

/// The batch again, of rows that were made of it.
pub(crate) fn by_way_of_maps(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let rows = rows_of(batch);
    let columns = batch.schema_ref().fields().iter().zip(0..);
    let columns = columns.map(|(field, feature)| match field.data_type() {
        DataType::Float32 => numbers(&rows, feature),
        _ => ids(&rows, feature),
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).map_err(failed)
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
    let row = |row: usize| {
        let mut entries = Row::with_capacity_and_hasher(columns.len(), Default::default());
        for (feature, column) in (0..).zip(&columns) {
            if let Some(entry) = column.entry(row) {
                entries.insert(feature, entry);
            }
        }
        entries
    };
    (0..batch.num_rows()).map(row).collect()
}

enum Column<'a> {
    Numbers(&'a Float32Array),
    Ids(&'a ListArray, &'a Int64Array),
}

impl Column<'_> {
    fn of(array: &ArrayRef) -> Column<'_> {
        match array.data_type() {
            DataType::Float32 => Column::Numbers(array.as_primitive::<Float32Type>()),
            _ => {
                let lists = array.as_list::<i32>();
                Column::Ids(lists, lists.values().as_primitive::<Int64Type>())
            }
        }
    }

    fn entry(&self, row: usize) -> Option<Entry> {
        match self {
            Column::Numbers(numbers) => numbers
                .is_valid(row)
                .then(|| Entry::Number(numbers.value(row))),
            Column::Ids(lists, ids) => lists.is_valid(row).then(|| {
                let ends = lists.value_offsets();
                let own = ends[row] as usize..ends[row + 1] as usize;
                Entry::Ids(ids.values()[own].to_vec())
            }),
        }
    }
}

fn numbers(rows: &[Row], feature: u32) -> ArrayRef {
    let numbers = rows.iter().map(|row| match row.get(&feature) {
        Some(Entry::Number(number)) => Some(*number),
        _ => None,
    });
    Arc::new(Float32Array::from_iter(numbers))
}

fn ids(rows: &[Row], feature: u32) -> ArrayRef {
    let (mut values, mut lengths, mut valid) = (Vec::<i64>::new(), Vec::new(), Vec::new());
    for row in rows {
        let ids = match row.get(&feature) {
            Some(Entry::Ids(ids)) => Some(ids),
            _ => None,
        };
        valid.push(ids.is_some());
        lengths.push(ids.map_or(0, Vec::len));
        values.extend(ids.into_iter().flatten());
    }
    Arc::new(ListArray::new(
        Arc::new(Field::new_list_field(DataType::Int64, true)),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(Int64Array::from(values)),
        Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0),
    ))
}

/// Of small numbers, as cheap as hashing can be.
#[derive(Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
