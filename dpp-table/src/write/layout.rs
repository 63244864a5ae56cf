//! The columns that a file of a table becomes: maps flattened to a column per feature, all in the order asked for. Pure.
//!
//! ```text
//! stored:   label  float_features: {10 → 40, 11 → 3}  ts          order: [float_features[11], ts]
//! written:  float_features[11]  ts  label  float_features[10]
//! ```
//!
//! Columns stay as they are stored, what is no feature included; only entries of maps take the type of their kind.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use dpp_proto::v1::Feature;

use crate::error::Error;
use crate::features::feature_map::{FeatureNames, MapKey, entry_name, shape_of};
use crate::features::map_keys::MapKeys;
use crate::read::convert::arrow_type;
use crate::read::map_split::{Slots, split};

/// How a file's columns become those of its rewritten version.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) schema: SchemaRef,
    maps: Vec<FlatMap>,
    columns: Vec<Column>,
}

/// A map column that is flattened.
#[derive(Debug)]
struct FlatMap {
    column: usize,
    slots: Slots,
    /// Kind and width of every entry.
    feature: Feature,
}

/// Where a written column comes from.
#[derive(Clone, Copy, Debug)]
enum Column {
    Stored(usize),
    Entry { map: usize, slot: usize },
}

impl Layout {
    /// `keys` are the maps to flatten. Columns named by `order` come first, in that order, the others as stored. Fails
    /// when two columns get one name.
    pub(crate) fn new(
        name: &str,
        stored: &Schema,
        keys: &MapKeys,
        names: &FeatureNames,
        order: &[String],
    ) -> Result<Layout, Error> {
        let mut maps = Vec::new();
        let mut columns: Vec<(FieldRef, Column)> = Vec::new();
        for (index, field) in stored.fields().iter().enumerate() {
            let entries = shape_of(field.data_type()).zip(keys.get(field.name()));
            let Some((shape, keys)) = entries else {
                columns.push((Arc::clone(field), Column::Stored(index)));
                continue;
            };
            let keys: Vec<MapKey> = keys.iter().cloned().collect();
            let feature = Feature {
                name: field.name().clone(),
                kind: shape.kind.into(),
                width: shape.width,
            };
            let map = maps.len();
            for (slot, key) in keys.iter().enumerate() {
                let name = names.shown(entry_name(field.name(), key));
                let field = Field::new(name, arrow_type(&feature), true);
                columns.push((Arc::new(field), Column::Entry { map, slot }));
            }
            maps.push(FlatMap {
                column: index,
                slots: Slots::new(&keys),
                feature,
            });
        }
        refuse_duplicates(name, &columns)?;
        let place: HashMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
        columns.sort_by_key(|(field, _)| *place.get(field.name().as_str()).unwrap_or(&usize::MAX));
        let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        Ok(Layout {
            schema: Arc::new(Schema::new(fields)),
            maps,
            columns,
        })
    }

    /// Entries of flattened maps: each takes a place in every decoded row, there or not.
    pub(crate) fn entries(&self) -> usize {
        let entry = |column: &&Column| matches!(column, Column::Entry { .. });
        self.columns.iter().filter(entry).count()
    }

    /// Rows as stored → rows as written. Fails when a map's value does not fit its kind.
    pub(crate) fn apply(&self, name: &str, stored: &RecordBatch) -> Result<RecordBatch, Error> {
        let split = |map: &FlatMap| {
            let column = stored.column(map.column).as_map();
            split(column, &map.slots, &map.feature).map_err(|source| Error::Value {
                path: name.to_owned(),
                feature: map.feature.name.clone(),
                wanted: "a map of features".to_owned(),
                source,
            })
        };
        let maps: Vec<Vec<ArrayRef>> = self.maps.iter().map(split).collect::<Result<_, _>>()?;
        let column = |column: &Column| match *column {
            Column::Stored(index) => Arc::clone(stored.column(index)),
            Column::Entry { map, slot } => Arc::clone(&maps[map][slot]),
        };
        let columns = self.columns.iter().map(column).collect();
        let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)
            .map_err(|error| Error::corrupt(name, error))
    }
}

fn refuse_duplicates(name: &str, columns: &[(FieldRef, Column)]) -> Result<(), Error> {
    let mut seen = HashSet::with_capacity(columns.len());
    match columns.iter().find(|(field, _)| !seen.insert(field.name())) {
        None => Ok(()),
        Some((field, _)) => Err(Error::Duplicate {
            feature: field.name().clone(),
            path: name.to_owned(),
        }),
    }
}
