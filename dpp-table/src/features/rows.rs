//! Rows given in memory, read as a table of those columns would be. Pure.
//!
//! Serving and training share this: kinds come from the same Arrow types, and values are brought to them by the same
//! conversions, as when a file is read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use dpp_proto::v1::{self, Feature, Kind};

use crate::error::Error;
use crate::features::feature_map::{entry_names, shape_of};
use crate::features::schema::{SchemaUnion, kind_name, kind_of};
use crate::read::convert::{arrow_type, convert};
use crate::read::decode::guarded;
use crate::read::map_split::{Slots, split};
use crate::read::plan::wrong;

/// The features that rows of this schema offer, sorted by name; keys of maps are only known to who asks for them.
///
/// Fails when two columns have one name.
pub fn features_of(rows: &Schema) -> Result<v1::Schema, Error> {
    let mut union = SchemaUnion::default();
    union.add(ROWS, rows)?;
    Ok(union.finish(Vec::new()))
}

/// The rows with exactly `features`, in that order and as [`arrow_type`] says: what a read of them would deliver. A
/// column of type `Null` serves for any feature.
///
/// Fails when a feature is not there, is of another kind, or has a value that does not fit.
pub fn deliver(rows: &RecordBatch, features: &[Feature]) -> Result<RecordBatch, Error> {
    let columns = features.iter().map(|feature| column(rows, feature));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fields = features.iter();
    let fields = fields.map(|feature| Field::new(&feature.name, arrow_type(feature), true));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|it| wrong(ROWS, it))
}

fn column(rows: &RecordBatch, feature: &Feature) -> Result<ArrayRef, Error> {
    if let Some(stored) = rows.column_by_name(&feature.name) {
        return whole(stored, feature);
    }
    let entry = entry_names(&feature.name).find_map(|(column, key)| {
        let stored = rows.column_by_name(column)?;
        let shape = shape_of(stored.data_type())?;
        Some((stored, shape.key(key)?, (shape.kind, shape.width)))
    });
    let Some((stored, key, kind)) = entry else {
        return Err(Error::Lacking {
            feature: feature.name.clone(),
        });
    };
    check_kind(feature, kind)?;
    let slots = Slots::new(&[key]);
    let mut values = converting(feature, || split(stored.as_map(), &slots, feature))?;
    Ok(values.pop().expect("one slot was asked for"))
}

fn whole(stored: &ArrayRef, feature: &Feature) -> Result<ArrayRef, Error> {
    if stored.data_type() == &DataType::Null {
        return Ok(new_null_array(&arrow_type(feature), stored.len()));
    }
    let kind = kind_of(stored.data_type()).unwrap_or((Kind::Unspecified, 0));
    check_kind(feature, kind)?;
    converting(feature, || convert(stored, feature))
}

fn check_kind(feature: &Feature, found: (Kind, u32)) -> Result<(), Error> {
    if found == (feature.kind(), feature.width) {
        return Ok(());
    }
    let kind = |(kind, width)| match kind {
        Kind::Unspecified => "of a type that is no feature".to_owned(),
        kind => kind_name(kind, width),
    };
    Err(Error::Conflict {
        feature: feature.name.clone(),
        path: ROWS.to_owned(),
        kind: kind(found),
        other_path: "the plan".to_owned(),
        other_kind: kind((feature.kind(), feature.width)),
    })
}

fn converting<T>(
    feature: &Feature,
    convert: impl FnOnce() -> Result<T, arrow::error::ArrowError>,
) -> Result<T, Error> {
    guarded(ROWS, convert)?.map_err(|source| Error::Value {
        path: ROWS.to_owned(),
        feature: feature.name.clone(),
        wanted: kind_name(feature.kind(), feature.width),
        source,
    })
}

/// What messages call rows that come from no file.
const ROWS: &str = "the rows";
