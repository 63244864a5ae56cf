//! INT96 timestamps, as Spark, Hive and Impala wrote them, are read in microseconds.
//!
//! The Parquet crate's own choice is nanoseconds, in which the years before 1677 and after 2262 wrap around: tables
//! have such years (0001-01-01 and 9999-12-31 say "unknown"). Writers of INT96 had no finer unit than microseconds.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type as PhysicalType;

/// The Arrow schema with INT96 columns in microseconds; `None` when there are none.
pub(crate) fn in_microseconds(arrow: &ArrowReaderMetadata) -> Option<Schema> {
    let stored = arrow.parquet_schema();
    let mut roots: Vec<&str> = (0..stored.num_columns())
        .filter(|leaf| stored.column(*leaf).physical_type() == PhysicalType::INT96)
        .map(|leaf| stored.get_column_root(leaf).name())
        .collect();
    if roots.is_empty() {
        return None;
    }
    roots.sort_unstable();
    let field = |field: &FieldRef| match roots.binary_search(&field.name().as_str()) {
        Ok(_) => with_microseconds(field),
        Err(_) => Arc::clone(field),
    };
    let fields: Fields = arrow.schema().fields().iter().map(field).collect();
    Some(Schema::new_with_metadata(
        fields,
        arrow.schema().metadata().clone(),
    ))
}

fn with_microseconds(field: &FieldRef) -> FieldRef {
    use DataType::*;
    let kind = match field.data_type() {
        Timestamp(TimeUnit::Nanosecond, zone) => Timestamp(TimeUnit::Microsecond, zone.clone()),
        List(item) => List(with_microseconds(item)),
        LargeList(item) => LargeList(with_microseconds(item)),
        FixedSizeList(item, width) => FixedSizeList(with_microseconds(item), *width),
        Map(entries, sorted) => Map(with_microseconds(entries), *sorted),
        Struct(fields) => Struct(fields.iter().map(with_microseconds).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(kind))
}
