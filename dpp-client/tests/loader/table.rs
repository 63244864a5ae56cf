//! A small table whose every value is a function of the row's position, so that any row can be checked alone.

use std::{fs::File, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch, StringArray},
    datatypes::Int64Type,
};
use dpp_batch::{Batch, ExtraData};
use dpp_client::RowOrigin;
use dpp_proto::v1;
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

pub(crate) struct TestTable {
    folder: tempfile::TempDir,
    file_rows: Vec<u64>,
    row_group_rows: u64,
}

const ROW_GROUP_ROWS: u64 = 100;

impl TestTable {
    /// One file for every entry of `file_rows`, in row groups of 100.
    pub(crate) fn write(file_rows: &[u64]) -> TestTable {
        TestTable::write_in_groups(file_rows, ROW_GROUP_ROWS)
    }

    pub(crate) fn write_in_groups(file_rows: &[u64], row_group_rows: u64) -> TestTable {
        let folder = tempfile::tempdir().unwrap();
        let mut first = 0;
        for (index, &rows) in file_rows.iter().enumerate() {
            let batch = rows_of(first..first + rows);
            let file = File::create(folder.path().join(format!("part-{index}.parquet"))).unwrap();
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(row_group_rows as usize))
                .build();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            first += rows;
        }
        TestTable {
            folder,
            file_rows: file_rows.to_vec(),
            row_group_rows,
        }
    }

    pub(crate) fn source(&self) -> v1::TableSource {
        v1::TableSource {
            url: self.folder.path().display().to_string(),
            ..Default::default()
        }
    }

    /// Position in the snapshot of a stored row.
    pub(crate) fn row_at(&self, origin: &RowOrigin) -> u64 {
        self.file_rows[..origin.file].iter().sum::<u64>()
            + origin.row_group as u64 * self.row_group_rows
            + origin.row
    }

    /// Every value of `batch` is that of its row.
    pub(crate) fn check_values(&self, batch: &Batch, rows: &[u64]) {
        assert_eq!(batch.rows, rows.len());
        let dense: Vec<f32> = rows.iter().map(|&row| score(row).unwrap_or(0.0)).collect();
        assert_eq!(batch.dense.typed_data::<f32>(), dense);
        let lengths: Vec<i32> = rows
            .iter()
            .map(|&row| i32::try_from(ids(row).len()).unwrap())
            .collect();
        assert_eq!(batch.sparse.lengths.typed_data::<i32>(), lengths);
        assert_eq!(
            batch.sparse.values.typed_data::<i64>(),
            rows.iter().flat_map(|&row| ids(row)).collect::<Vec<_>>()
        );
        let [row_id, name] = &batch.extras[..] else {
            panic!("two extras")
        };
        let ExtraData::Fixed(row_ids) = &row_id.data else {
            panic!("row ids are fixed")
        };
        assert_eq!(
            row_ids.typed_data::<i64>(),
            rows.iter()
                .map(|&row| row.cast_signed())
                .collect::<Vec<_>>()
        );
        let ExtraData::Variable { bytes, .. } = &name.data else {
            panic!("names are text")
        };
        assert_eq!(
            bytes.as_slice(),
            rows.iter()
                .map(|&row| name_of(row))
                .collect::<String>()
                .as_bytes()
        );
    }
}

/// Dense, sparse, an exact row id and a text.
pub(crate) fn plan() -> v1::Plan {
    let json = r#"{
        "nodes": [{"feature": "score"}, {"feature": "ids"}, {"row_id": true}, {"feature": "name"}],
        "dense": [{"name": "score", "node": 0}],
        "sparse": [{"name": "ids", "node": 1}],
        "extras": [{"name": "row", "node": 2}, {"name": "name", "node": 3}]
    }"#;
    dpp_ops::Plan::from_json(json).unwrap().to_proto()
}

/// The same, of the rows that meet a condition.
pub(crate) fn plan_where(condition: &str) -> v1::Plan {
    let condition = dpp_ops::condition::from_json("where", condition).unwrap();
    v1::Plan {
        row_filter: Some(condition),
        ..plan()
    }
}

/// The same dense feature `width` times over: rows of `4 * width` bytes.
pub(crate) fn wide_plan(width: usize) -> v1::Plan {
    let outputs: Vec<String> = (0..width)
        .map(|i| format!(r#"{{"name": "score_{i}", "node": 0}}"#))
        .collect();
    let json = format!(
        r#"{{"nodes": [{{"feature": "score"}}], "dense": [{}]}}"#,
        outputs.join(",")
    );
    dpp_ops::Plan::from_json(&json).unwrap().to_proto()
}

fn rows_of(rows: std::ops::Range<u64>) -> RecordBatch {
    let lists = rows.clone().map(|row| Some(ids(row).into_iter().map(Some)));
    let columns: [(&str, ArrayRef); 4] = [
        (
            "score",
            Arc::new(Float32Array::from_iter(rows.clone().map(score))),
        ),
        (
            "ids",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
        ),
        (
            "unused",
            Arc::new(Int64Array::from_iter_values(
                rows.clone().map(u64::cast_signed),
            )),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(rows.map(name_of))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .unwrap()
}

fn score(row: u64) -> Option<f32> {
    (!row.is_multiple_of(3)).then_some(row as f32 / 8.0)
}

fn ids(row: u64) -> Vec<i64> {
    (0..row % 4)
        .map(|at| (row * 10 + at).cast_signed())
        .collect()
}

fn name_of(row: u64) -> String {
    format!("row {row};")
}
