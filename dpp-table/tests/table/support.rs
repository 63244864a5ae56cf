//! What the tests share: tables in temporary folders, and reading them through the public door.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use dpp_proto::v1::{Feature, Kind, SnapshotFile, TableSource};
use dpp_table::{Error, PieceRequest, ReadCounters, Table};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// A table in a temporary folder.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, batch: &RecordBatch, properties: WriterProperties) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }

    /// Writes columns as one file of default properties.
    pub(crate) fn write_columns(&self, relative: &str, columns: Vec<(&str, ArrayRef)>) {
        let columns = columns
            .into_iter()
            .map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        self.write(relative, &batch, WriterProperties::default());
    }

    pub(crate) fn url(&self) -> String {
        self.0.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn table(&self) -> Table {
        open(&self.url())
    }
}

pub(crate) fn open(url: &str) -> Table {
    Table::open(&TableSource {
        url: url.to_owned(),
        ..TableSource::default()
    })
    .unwrap()
}

pub(crate) fn feature(name: &str, kind: Kind) -> Feature {
    vector_feature(name, kind, 0)
}

pub(crate) fn vector_feature(name: &str, kind: Kind, width: u32) -> Feature {
    Feature {
        name: name.to_owned(),
        kind: kind.into(),
        width,
    }
}

/// A request for all of a file's first row group.
pub(crate) fn whole(file: &SnapshotFile, features: &[Feature]) -> PieceRequest {
    PieceRequest {
        file: file.clone(),
        rows: 0..file.row_group_rows[0],
        selection: vec![],
        features: features.into(),
        batch_rows: 1000,
        most_held_bytes: u64::MAX,
    }
}

/// A request for some rows.
pub(crate) fn some(
    file: &SnapshotFile,
    features: &Arc<[Feature]>,
    rows: Range<u64>,
    selection: &[Range<u64>],
) -> PieceRequest {
    PieceRequest {
        file: file.clone(),
        rows,
        selection: selection.to_vec(),
        features: Arc::clone(features),
        batch_rows: 7,
        most_held_bytes: u64::MAX,
    }
}

pub(crate) async fn read(table: &Table, request: PieceRequest) -> Result<Vec<RecordBatch>, Error> {
    read_counted(table, request)
        .await
        .map(|(batches, _)| batches)
}

pub(crate) async fn read_counted(
    table: &Table,
    request: PieceRequest,
) -> Result<(Vec<RecordBatch>, ReadCounters), Error> {
    let batch_rows = request.batch_rows;
    let piece = table.fetch(request).await?;
    let io = piece.io();
    let batches = piece.decode()?.collect::<Result<Vec<_>, _>>()?;
    assert!(
        batches
            .iter()
            .all(|batch| (1..=batch_rows).contains(&batch.num_rows()))
    );
    Ok((batches, io))
}

/// Whether this process, whatever tests it ran so far, has stayed below the 1 GiB that bad input may take.
pub(crate) fn memory_is_bounded() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib < 1 << 20
}

/// A place in the folder of real data; `None`, said loudly, when nobody told where that is.
#[expect(clippy::print_stderr, reason = "says loudly what was not tested")]
pub(crate) fn data(relative: &str) -> Option<PathBuf> {
    let path = std::env::var_os("DPP_TEST_DATA").map(|folder| Path::new(&folder).join(relative));
    if path.is_none() {
        eprintln!("NOT TESTED: reading {relative}; set DPP_TEST_DATA to the folder of real tables");
    }
    path
}

/// All rows of one feature of a table's first row group, as one array.
pub(crate) async fn column(table: &Table, wanted: Feature) -> ArrayRef {
    columns(table, &[wanted]).await.remove(0)
}

/// All rows of some features of a table's first row group.
pub(crate) async fn columns(table: &Table, wanted: &[Feature]) -> Vec<ArrayRef> {
    let description = table.describe().await.unwrap();
    let file = &description.snapshot.files()[0];
    let batches = read(table, whole(file, wanted)).await.unwrap();
    let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
    batch.columns().to_vec()
}

/// The values of an id_list column.
pub(crate) fn id_lists(array: &ArrayRef) -> Vec<Option<Vec<i64>>> {
    let ids = |list: ArrayRef| list.as_primitive::<Int64Type>().values().to_vec();
    let lists = array.as_list::<i32>().iter();
    lists.map(|list| list.map(ids)).collect()
}
