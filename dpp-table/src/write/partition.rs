//! Rows → the Hive partitions that they belong to. Pure.
//!
//! ```text
//! ds          shop  id        ds=2026-11-01/shop=7     id
//! 2026-11-01  7     1    ─▶                            1
//! 2026-11-01  null  2         ds=2026-11-01/shop=__HIVE_DEFAULT_PARTITION__
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{cast, partition, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;
use crate::snapshot::discover::HIVE_NULL;

/// Which columns become folders, and which stay.
pub(crate) struct Partitioning {
    /// Indices of the columns that become folders, outermost first, and how folders spell their names.
    folders: Vec<(usize, String)>,
    stored: Vec<usize>,
    /// Of the columns that stay.
    pub(crate) schema: SchemaRef,
}

impl Partitioning {
    /// Fails when a column is not there, is named twice or is of a type that no folder is named by, and when none is left.
    pub(crate) fn new(schema: &Schema, columns: &[String]) -> Result<Partitioning, Error> {
        let refuse = |reason: String| Err(Error::Writing { reason });
        let mut folders: Vec<(usize, String)> = Vec::with_capacity(columns.len());
        for name in columns {
            let Some((index, field)) = schema.column_with_name(name) else {
                return refuse(format!("there is no column {name:?} to partition by"));
            };
            if !names_folders(field.data_type()) {
                let kind = field.data_type();
                return refuse(format!(
                    "column {name:?} is {kind}: partitions are texts, integers, booleans and dates"
                ));
            }
            if folders.iter().any(|(known, _)| *known == index) {
                return refuse(format!("column {name:?} is to partition twice"));
            }
            folders.push((index, encoded(name)));
        }
        let is_stored = |index: &usize| folders.iter().all(|(folder, _)| folder != index);
        let stored: Vec<usize> = (0..schema.fields().len()).filter(is_stored).collect();
        if stored.is_empty() {
            return refuse("no column is left to be stored".to_owned());
        }
        let schema = Arc::new(schema.project(&stored).expect("indices are the schema's"));
        Ok(Partitioning {
            folders,
            stored,
            schema,
        })
    }

    /// The rows of each partition, in order, with the partition's path; partitions in the order of their first rows. The
    /// path is empty when nothing is partitioned.
    pub(crate) fn split(
        &self,
        rows: &RecordBatch,
    ) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
        let stored = self.stored(rows)?;
        if self.folders.is_empty() || rows.num_rows() == 0 {
            return Ok(vec![(String::new(), stored)]);
        }
        let text = |(index, _): &(usize, String)| cast(rows.column(*index), &DataType::Utf8);
        let values: Vec<ArrayRef> = self.folders.iter().map(text).collect::<Result<_, _>>()?;
        let mut order = Vec::new();
        let mut members: HashMap<String, Vec<std::ops::Range<usize>>> = HashMap::new();
        for run in partition(&values)?.ranges() {
            let path = self.path(&values, run.start);
            let runs = members.entry(path.clone()).or_default();
            if runs.is_empty() {
                order.push(path);
            }
            runs.push(run);
        }
        let part = |path: String| {
            let runs = &members[&path];
            let rows = match runs.as_slice() {
                [run] => stored.slice(run.start, run.len()),
                runs => take_record_batch(&stored, &indices(runs))?,
            };
            Ok((path, rows))
        };
        order.into_iter().map(part).collect()
    }

    /// The columns that stay.
    pub(crate) fn stored(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        rows.project(&self.stored)?
            .with_schema(Arc::clone(&self.schema))
    }

    fn path(&self, values: &[ArrayRef], row: usize) -> String {
        let folder = |((_, name), values): (&(usize, String), &ArrayRef)| {
            let values: &StringArray = values.as_string();
            match values.is_valid(row) {
                true => format!("{name}={}", encoded(values.value(row))),
                false => format!("{name}={HIVE_NULL}"),
            }
        };
        let folders: Vec<String> = self.folders.iter().zip(values).map(folder).collect();
        folders.join("/")
    }
}

fn indices(runs: &[std::ops::Range<usize>]) -> UInt64Array {
    let rows = runs.iter().cloned().flatten();
    UInt64Array::from_iter_values(rows.map(|row| row as u64))
}

fn names_folders(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => names_folders(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Boolean | DataType::Date32 => true,
        other => other.is_integer(),
    }
}

/// As a folder spells it; `discover` reads it back.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SPELT).to_string()
}

const SPELT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::snapshot::discover::partitions;

    fn rows() -> RecordBatch {
        let text = |values: [Option<&str>; 5]| Arc::new(StringArray::from_iter(values)) as ArrayRef;
        let values = [Some("a/b"), Some("a/b"), None, Some("a/b"), Some("für.1=2")];
        let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 0, 0, 0, 20_000]));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5));
        RecordBatch::try_from_iter([("shop", text(values)), ("day", days), ("id", ids)]).unwrap()
    }

    fn split(by: &[&str]) -> Vec<(String, Vec<i64>)> {
        let by: Vec<String> = by.iter().map(|name| (*name).to_owned()).collect();
        let rows = rows();
        let partitioning = Partitioning::new(&rows.schema(), &by).unwrap();
        let parts = partitioning.split(&rows).unwrap();
        let ids = |rows: &RecordBatch| {
            assert_eq!(rows.num_columns(), 3 - by.len());
            rows["id"].as_primitive::<Int64Type>().values().to_vec()
        };
        parts
            .iter()
            .map(|(path, rows)| (path.clone(), ids(rows)))
            .collect()
    }

    #[test]
    fn rows_go_to_their_partition_in_order() {
        assert_eq!(split(&[]), [(String::new(), vec![0, 1, 2, 3, 4])]);
        let days = split(&["day"]);
        assert_eq!(days[0], ("day=1970-01-01".to_owned(), vec![0, 1, 2, 3]));
        assert_eq!(days[1], ("day=2024-10-04".to_owned(), vec![4]));
        let shops = split(&["day", "shop"]);
        let ids: Vec<_> = shops.iter().map(|(_, ids)| ids.clone()).collect();
        assert_eq!(ids, [vec![0, 1, 3], vec![2], vec![4]]);
    }

    #[test]
    fn discovery_reads_the_values_back() {
        let values = |(path, _): &(String, Vec<i64>)| {
            let mut values = partitions(&format!("{path}/part-0.parquet"));
            assert_eq!(values.len(), 1, "{path}");
            values.remove(0).1
        };
        let shops: Vec<_> = split(&["shop"]).iter().map(values).collect();
        let expected = [Some("a/b"), None, Some("für.1=2")];
        assert_eq!(shops, expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn what_can_t_partition_is_named() {
        let fields = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let values = vec![(
            "x",
            Arc::new(arrow::array::Float32Array::from(vec![1.0])) as ArrayRef,
        )];
        let floats = RecordBatch::try_from_iter(values).unwrap();
        for (rows, by, says) in [
            (&rows(), fields(&["days"]), "no column \"days\""),
            (&rows(), fields(&["day", "day"]), "twice"),
            (&rows(), fields(&["day", "id", "shop"]), "no column is left"),
            (&floats, fields(&["x"]), "\"x\" is Float32"),
        ] {
            let refused = Partitioning::new(&rows.schema(), &by).err().unwrap();
            assert!(refused.to_string().contains(says), "{refused}");
        }
    }
}
