//! Rows as they come, written as tables and read back.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::error::ArrowError;
use dpp_proto::v1::{Kind, TableSource};
use dpp_proto::{Fault, Faulty};
use dpp_table::{Error, TableSettings, Verdict, WriteSettings, Written, verify, write_table};
use futures::stream;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::{Folder, feature, read, whole};

/// `rows` rows from `first` on: an id, a day that changes every `run` rows, a list and a float with nulls.
fn rows(first: i64, rows: i64, run: i64) -> RecordBatch {
    let range = first..first + rows;
    let days = range
        .clone()
        .map(|row| Some(format!("2026-11-{:02}", row / run % 3 + 1)));
    let lists = range
        .clone()
        .map(|row| (row % 5 != 0).then(|| (0..row % 4).map(move |id| Some(row * 31 + id))));
    let floats = range
        .clone()
        .map(|row| (row % 7 != 0).then_some(row as f32 / 3.0));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(range)), true),
        ("ds", Arc::new(StringArray::from_iter(days)), true),
        (
            "ids",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
            true,
        ),
        ("dense", Arc::new(Float32Array::from_iter(floats)), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn place(url: &str) -> TableSource {
    TableSource {
        url: url.to_owned(),
        ..TableSource::default()
    }
}

async fn write(
    to: &Folder,
    batches: Vec<RecordBatch>,
    settings: &TableSettings,
) -> Result<Written, Error> {
    let schema = batches[0].schema();
    give(to, batches.into_iter().map(Ok).collect(), schema, settings).await
}

async fn give(
    to: &Folder,
    batches: Vec<Result<RecordBatch, ArrowError>>,
    schema: SchemaRef,
    settings: &TableSettings,
) -> Result<Written, Error> {
    let rows = stream::iter(batches);
    write_table(rows, schema, &place(&to.url()), settings, Arc::new(|_| ())).await
}

fn by_day() -> TableSettings {
    TableSettings {
        partition_by: vec!["ds".to_owned()],
        ..TableSettings::default()
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true => found.extend(files(&path).iter().map(|file| format!("{name}/{file}"))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

fn reader(path: &Path) -> SerializedFileReader<fs::File> {
    SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap()
}

#[tokio::test]
async fn rows_come_back_in_order_with_checksums_and_chosen_encodings() {
    let (to, plain) = (Folder::new(), Folder::new());
    let batches = vec![rows(0, 9000, 10), rows(9000, 1, 10), rows(9001, 11_000, 10)];
    let settings = TableSettings {
        measure: true,
        ..TableSettings::default()
    };
    let heard = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&heard);
    let watch = Arc::new(move |more| {
        counted.fetch_add(more, Ordering::Relaxed);
    });
    let given = stream::iter(batches.clone().into_iter().map(Ok));
    let schema = batches[0].schema();
    let done = write_table(given, schema, &place(&to.url()), &settings, watch)
        .await
        .unwrap();
    assert_eq!((done.rows, done.files), (20_001, 1));
    assert_eq!(heard.load(Ordering::Relaxed), 20_001);
    assert!(
        done.measured.contains_key("dense, FLOAT"),
        "{:?}",
        done.measured
    );
    assert_eq!(files(&to.path("")), ["part-00000.parquet"]);
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    plain.write("a", &all, WriterProperties::default());
    let same = verify(&plain.table(), &to.table(), true, 64 << 20, &|_| ())
        .await
        .unwrap();
    let expected = Verdict::Same {
        rows: 20_001,
        features: 4,
    };
    assert_eq!(same, expected);
    let path = to.path("part-00000.parquet");
    let (start, length) = reader(&path).metadata().row_group(0).column(0).byte_range();
    let mut damaged = fs::read(&path).unwrap();
    damaged[usize::try_from(start + length - 1).unwrap()] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = verify(&plain.table(), &to.table(), true, 64 << 20, &|_| ()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

#[tokio::test]
async fn mixed_rows_find_their_partitions() {
    let to = Folder::new();
    let batches = vec![rows(0, 5000, 1), rows(5000, 700, 2)];
    let done = write(&to, batches.clone(), &by_day()).await.unwrap();
    assert_eq!((done.rows, done.files), (5700, 3));
    let parts = [1, 2, 3].map(|day| format!("ds=2026-11-0{day}/part-00000.parquet"));
    assert_eq!(files(&to.path("")), parts);
    let table = to.table();
    let described = table.describe().await.unwrap();
    assert_eq!(described.schema.partition_columns, ["ds"]);
    let mut all = Vec::new();
    for file in described.snapshot.files() {
        let day: i64 = file.path["ds=2026-11-".len()..][..2].parse().unwrap();
        let found = read(&table, whole(file, &[feature("id", Kind::Int)]))
            .await
            .unwrap();
        let ids = found
            .iter()
            .flat_map(|rows| rows["id"].as_primitive::<Int64Type>().values());
        let ids: Vec<i64> = ids.copied().collect();
        assert!(ids.is_sorted());
        let run = |id: i64| if id < 5000 { 1 } else { 2 };
        assert!(ids.iter().all(|id| id / run(*id) % 3 + 1 == day));
        all.extend(ids);
    }
    all.sort_unstable();
    assert_eq!(all, (0..5700).collect::<Vec<_>>());
}

/// Little memory, many partitions at once and short files: row groups end early, files are finished and begun anew, and
/// every row is there.
#[tokio::test]
async fn files_and_row_groups_end_by_bytes() {
    let to = Folder::new();
    let settings = TableSettings {
        write: WriteSettings {
            row_group_bytes: 40_000,
            memory_bytes: WriteSettings::LEAST_MEMORY_BYTES,
            ..WriteSettings::default()
        },
        file_bytes: 100_000,
        ..TableSettings::default()
    };
    let batches: Vec<_> = (0..10)
        .map(|part| rows(part * 10_000, 10_000, 100))
        .collect();
    let done = write(&to, batches.clone(), &settings).await.unwrap();
    assert!(done.files > 3, "{done:?}");
    let paths = files(&to.path(""));
    assert_eq!(paths.len() as u64, done.files);
    for path in &paths[..paths.len() - 1] {
        let groups = reader(&to.path(path)).metadata().num_row_groups();
        assert!((2..=8).contains(&groups), "{path} has {groups} row groups");
    }
    let plain = Folder::new();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();
    plain.write("a", &all, WriterProperties::default());
    let same = verify(&plain.table(), &to.table(), true, 64 << 20, &|_| ())
        .await
        .unwrap();
    assert!(
        matches!(same, Verdict::Same { rows: 100_000, .. }),
        "{same:?}"
    );
}

#[tokio::test]
async fn more_partitions_than_files_may_be_open() {
    let to = Folder::new();
    let settings = TableSettings {
        write: WriteSettings {
            memory_bytes: WriteSettings::LEAST_MEMORY_BYTES,
            ..WriteSettings::default()
        },
        partition_by: vec!["shop".to_owned()],
        ..TableSettings::default()
    };
    let batch = |first: i64| {
        let ids = first..first + 4000;
        let shops = ids.clone().map(|id| id % 40);
        let columns: [(&str, ArrayRef); 2] = [
            ("shop", Arc::new(Int64Array::from_iter_values(shops))),
            ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let done = write(
        &to,
        (0..3).map(|part| batch(part * 4000)).collect(),
        &settings,
    )
    .await;
    let done = done.unwrap();
    assert!(done.files > 40, "{done:?}");
    assert_eq!(
        to.table().describe().await.unwrap().snapshot.num_rows(),
        12_000
    );
}

#[tokio::test]
async fn no_rows_make_no_file() {
    let to = Folder::new();
    let done = write(&to, vec![rows(0, 0, 1)], &by_day()).await.unwrap();
    assert_eq!((done.rows, done.files), (0, 0));
    assert_eq!(files(&to.path("")), Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_fail_leave_no_half_file() {
    let to = Folder::new();
    let batch = rows(0, 3000, 1);
    let broken = Err(ArrowError::ExternalError("the source broke off".into()));
    let given = vec![Ok(batch.clone()), broken];
    let error = give(&to, given, batch.schema(), &by_day())
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid);
    let text = dpp_proto::fault::message_with_causes(&error);
    assert!(text.contains("the source broke off"), "{text}");
    assert_eq!(files(&to.path("")), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_t_be_written_is_named() {
    let to = Folder::new();
    let batch = rows(0, 10, 1);
    write(&to, vec![batch.clone()], &TableSettings::default())
        .await
        .unwrap();
    let occupied = write(&to, vec![batch.clone()], &TableSettings::default()).await;
    let occupied = occupied.unwrap_err();
    assert!(matches!(occupied, Error::Occupied { .. }), "{occupied}");
    let twice =
        RecordBatch::try_from_iter([("x", batch["id"].clone()), ("x", batch["id"].clone())]);
    let error = write(
        &Folder::new(),
        vec![twice.unwrap()],
        &TableSettings::default(),
    )
    .await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("two columns are called \"x\"")
    );
    let other = rows(0, 10, 1).project(&[1, 0, 2, 3]).unwrap();
    let given = vec![Ok(batch.clone()), Ok(other)];
    let error = give(
        &Folder::new(),
        given,
        batch.schema(),
        &TableSettings::default(),
    )
    .await;
    assert_eq!(error.unwrap_err().fault(), Fault::Invalid);
}
