//! Very many files are listed and opened in bounded memory, and a known table starts without opening them. A process of
//! its own, because it measures the process's memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use dpp_proto::v1::{Feature, Kind, TableSource};
use dpp_table::{PieceRequest, Snapshot, Table};
use parquet::arrow::ArrowWriter;

const FILES: usize = 20_000;

/// Peak memory of this process, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn thousands_of_files_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed");
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("a", ids)]).unwrap();
    let file = File::create(&seed).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for file in 0..FILES {
        let day = folder.path().join(format!("table/ds={:03}", file / 100));
        fs::create_dir_all(&day).unwrap();
        fs::hard_link(&seed, day.join(format!("part-{file}"))).unwrap();
    }
    let url = folder.path().join("table").to_str().unwrap().to_owned();
    let table = Table::open(&TableSource {
        url: url.clone(),
        ..TableSource::default()
    })
    .unwrap();
    let (before, opened) = (peak_memory(), AtomicUsize::new(0));
    let count = |_, _| {
        opened.fetch_add(1, Ordering::Relaxed);
    };
    let snapshot = table.extend(None, &count).await.unwrap().snapshot;
    assert_eq!(
        (snapshot.files().len(), opened.into_inner()),
        (FILES, FILES)
    );
    // the footer cache holds 256 MiB; a future per file at once, or every footer, would need more
    let grown = peak_memory() - before;
    assert!(grown < 400 << 20, "{} MiB", grown >> 20);

    let kept = folder
        .path()
        .join("known.json")
        .to_str()
        .unwrap()
        .to_owned();
    let reference = snapshot.save(&kept, &[]).await.unwrap();
    assert_eq!(Snapshot::load(&reference, &[]).await.unwrap(), snapshot);
    let known = Table::open(&TableSource {
        url,
        snapshot: reference,
        ..TableSource::default()
    })
    .unwrap();
    let described = known.describe().await.unwrap();
    let file = &described.snapshot.files()[FILES / 2];
    let feature = Feature {
        name: "a".to_owned(),
        kind: Kind::Int.into(),
        width: 0,
    };
    let request = PieceRequest {
        file: file.clone(),
        rows: 0..3,
        selection: Vec::new(),
        features: [feature].into(),
        batch_rows: 10,
        most_held_bytes: u64::MAX,
    };
    let piece = known.fetch(request).await.unwrap();
    assert_eq!(piece.io().requests, 2, "one footer, one chunk");
}
