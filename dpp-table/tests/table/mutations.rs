//! Damaged files, one bit or one cut at a time: rows or one error that names the file, soon, and never a panic.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Folder, data, memory_is_bounded, open, read, whole};
use arrow::array::*;
use arrow::datatypes::Int32Type;
use dpp_proto::fault::message_with_causes;
use dpp_proto::{Fault, Faulty};
use dpp_table::Error;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Reads all features of a file's first row group; how many rows there are.
async fn rows(url: &str) -> Result<usize, Error> {
    let table = open(url);
    let description = table.describe().await?;
    let file = &description.snapshot.files()[0];
    let Some(0) = file
        .row_group_rows
        .first()
        .map(|rows| rows.saturating_sub(1_000_000))
    else {
        return Ok(0); // a claim that nobody asks rows by
    };
    let batches = read(&table, whole(file, &description.schema.features)).await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

/// Reads every mutation of `original`; how many were refused.
async fn check(original: &[u8], mutations: impl Iterator<Item = Vec<u8>>) -> usize {
    let folder = Folder::new();
    let path = folder.path("damaged");
    fs::write(&path, original).unwrap();
    rows(path.to_str().unwrap())
        .await
        .expect("undamaged, it is read");
    let mut refused = 0;
    for mutation in mutations {
        fs::write(&path, mutation).unwrap();
        let begin = Instant::now();
        if let Err(error) = rows(path.to_str().unwrap()).await {
            let text = message_with_causes(&error);
            assert!(text.contains("damaged"), "{text}");
            assert_ne!(error.fault(), Fault::Internal, "{text}");
            refused += 1;
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(memory_is_bounded());
    }
    refused
}

fn flips(original: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..original.len()).step_by(3).map(|position| {
        let mut bytes = original.to_vec();
        bytes[position] ^= 1 << (position % 8);
        bytes
    })
}

fn cuts(original: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..original.len())
        .step_by(31)
        .map(|length| original[..length].to_vec())
}

/// Lists, maps, text and dictionaries under zstd.
fn written_here() -> Vec<u8> {
    let folder = Folder::new();
    let lists =
        (0..60).map(|row| (row % 5 > 0).then(|| (0..row % 4).map(Some).collect::<Vec<_>>()));
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
    for row in 0..60 {
        maps.keys().append_value(["a", "b", "c"][row % 3]);
        maps.values().append_value(row as f64);
        maps.append(true).unwrap();
    }
    let texts = (0..60).map(|row| (row % 2 == 0).then(|| format!("text {row}")));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "lists",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
        ),
        ("maps", Arc::new(maps.finish())),
        ("texts", Arc::new(StringArray::from_iter(texts))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    folder.write("part", &batch, properties.build());
    fs::read(folder.path("part")).unwrap()
}

#[tokio::test]
async fn flipped_bits_of_our_own_file() {
    let original = written_here();
    let refused = check(&original, flips(&original)).await;
    assert!(
        refused * 4 > original.len() / 3,
        "only {refused} were refused"
    );
}

#[tokio::test]
async fn flipped_bits_of_another_writers_file() {
    let Some(path) = data("parquet-testing/data/alltypes_plain.snappy.parquet") else {
        return;
    };
    let original = fs::read(path).unwrap();
    let refused = check(&original, flips(&original)).await;
    assert!(
        refused * 4 > original.len() / 3,
        "only {refused} were refused"
    );
}

#[tokio::test]
async fn truncated_files() {
    let original = written_here();
    let refused = check(&original, cuts(&original)).await;
    assert_eq!(refused, original.len().div_ceil(31));
}
