//! Snapshots at a URL: written once, extended, agreed on, and read instead of footers.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use dpp_proto::v1::comparison::{Operator, Value};
use dpp_proto::v1::predicate::Predicate as Form;
use dpp_proto::v1::{Comparison, Kind, Predicate, TableSource};
use dpp_proto::{Fault, Faulty};
use dpp_table::{Error, Snapshot, SnapshotPlace, Table};

use crate::s3::{Front, S3};
use crate::support::{Folder, feature, read, whole};

fn ids(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Files 0 .. `files` of three rows.
fn table_of(files: i64) -> Folder {
    let folder = Folder::new();
    for file in 0..files {
        add(&folder, file);
    }
    folder
}

fn add(folder: &Folder, file: i64) {
    let values = (file * 3)..(file * 3 + 3);
    folder.write_columns(&format!("ds={file}/part.parquet"), vec![("a", ids(values))]);
}

fn with_snapshot(url: &str, snapshot: &str) -> Table {
    Table::open(&TableSource {
        url: url.to_owned(),
        snapshot: snapshot.to_owned(),
        ..TableSource::default()
    })
    .unwrap()
}

/// Describes the table again, given `base`; and how many footers that took.
async fn extended(table: &Table, base: Option<&Snapshot>) -> (Snapshot, usize) {
    let opened = AtomicUsize::new(0);
    let count = |done, of| {
        assert!(done <= of);
        opened.fetch_add(1, Ordering::Relaxed);
    };
    let description = table.extend(base, &count).await.unwrap();
    (description.snapshot, opened.into_inner())
}

/// Makes every footer unreadable. Lengths and times stay.
fn spoil_footers(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            spoil_footers(&path);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[end - 8..].fill(0);
        fs::write(&path, bytes).unwrap();
    }
}

/// Saves the table's snapshot in `kept` and returns what refers to it.
async fn saved(table: &Table, kept: &Folder) -> String {
    let description = table.describe().await.unwrap();
    let url = kept.path("known.json");
    description
        .snapshot
        .save(url.to_str().unwrap(), &[])
        .await
        .unwrap()
}

#[tokio::test]
async fn a_known_table_is_described_without_opening_a_file() {
    let (folder, kept) = (table_of(3), Folder::new());
    let listed = folder.table().describe().await.unwrap();
    let reference = saved(&folder.table(), &kept).await;
    assert!(reference.starts_with(&format!("{}@", listed.snapshot.hash())));
    spoil_footers(&folder.path(""));

    let table = with_snapshot(&folder.url(), &reference);
    let described = table.describe().await.unwrap();
    assert_eq!(described.snapshot, listed.snapshot);
    assert_eq!(described.schema, listed.schema);
    let file = &described.snapshot.files()[1];
    let error = read(&table, whole(file, &[feature("a", Kind::Int)]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ds=1/part.parquet"), "{error}");
}

#[tokio::test]
async fn new_files_are_ignored_missing_and_changed_ones_named() {
    let (folder, kept) = (table_of(3), Folder::new());
    let reference = saved(&folder.table(), &kept).await;
    add(&folder, 3);
    fs::remove_file(folder.path("ds=0/part.parquet")).unwrap();
    folder.write_columns("ds=1/part.parquet", vec![("a", ids(0..9))]);

    let table = with_snapshot(&folder.url(), &reference);
    let files = table.describe().await.unwrap().snapshot.into_files();
    assert_eq!(files.len(), 3);
    let wanted = [feature("a", Kind::Int)];
    let error = read(&table, whole(&files[0], &wanted)).await.unwrap_err();
    assert!(matches!(&error, Error::FileGone { path } if path.ends_with("ds=0/part.parquet")));
    let error = read(&table, whole(&files[1], &wanted)).await.unwrap_err();
    assert!(matches!(&error, Error::Changed { path, .. } if path.ends_with("ds=1/part.parquet")));
    assert_eq!(
        read(&table, whole(&files[2], &wanted)).await.unwrap()[0].num_rows(),
        3
    );
}

#[tokio::test]
async fn a_copied_table_is_the_same_snapshot_and_filters_prune_it() {
    let (folder, kept, copy) = (table_of(3), Folder::new(), Folder::new());
    let reference = saved(&folder.table(), &kept).await;
    for file in 0..3 {
        let path = format!("ds={file}/part.parquet");
        fs::create_dir(copy.path(&format!("ds={file}"))).unwrap();
        fs::copy(folder.path(&path), copy.path(&path)).unwrap();
    }
    drop(folder);
    let source = TableSource {
        url: copy.url(),
        snapshot: reference,
        filter: Some(at_least("ds", 2)),
        ..TableSource::default()
    };
    let table = Table::open(&source).unwrap();
    let described = table.describe().await.unwrap();
    assert_eq!(described.schema.partition_columns, ["ds"]);
    let [file] = described.snapshot.files() else {
        panic!("one partition is kept")
    };
    assert_eq!(file.path, "ds=2/part.parquet");
    read(&table, whole(file, &[feature("a", Kind::Int)]))
        .await
        .unwrap();
}

#[tokio::test]
async fn known_files_are_not_opened_again() {
    let (folder, kept) = (table_of(3), Folder::new());
    let url = format!("{}/", kept.url());
    let (first, opened) = extended(&folder.table(), None).await;
    assert_eq!(opened, 3);
    let reference = first.save(&url, &[]).await.unwrap();
    assert_eq!(Snapshot::load(&reference, &[]).await.unwrap(), first);

    add(&folder, 3);
    fs::remove_file(folder.path("ds=0/part.parquet")).unwrap();
    folder.write_columns("ds=1/part.parquet", vec![("a", ids(0..9))]);
    let place = SnapshotPlace::open(&url, &[]).unwrap();
    let base = place.newest().await.unwrap().unwrap();
    // as another process would: nothing is cached
    let (second, opened) = extended(&folder.table(), Some(&base)).await;
    assert_eq!(opened, 2, "the new file, and the one written again");
    assert_eq!(second, extended(&folder.table(), None).await.0);
    second.save(&url, &[]).await.unwrap();
    assert_eq!(place.newest().await.unwrap().unwrap(), second);
    assert_eq!(extended(&folder.table(), Some(&second)).await.1, 0);
}

#[tokio::test]
async fn kinds_are_held_against_known_files_and_not_against_gone_ones() {
    let folder = table_of(2);
    let (base, _) = extended(&folder.table(), None).await;
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    folder.write_columns("ds=2/part.parquet", vec![("a", text)]);
    let error = folder
        .table()
        .extend(Some(&base), &|_, _| ())
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("ds=0/part.parquet") && error.contains("ds=2/part.parquet"),
        "{error}"
    );

    for gone in [0, 1] {
        fs::remove_dir_all(folder.path(&format!("ds={gone}"))).unwrap();
    }
    let (alone, opened) = extended(&folder.table(), Some(&base)).await;
    assert_eq!((alone.files().len(), opened), (1, 1));
}

#[tokio::test]
async fn a_url_holds_one_snapshot_for_ever() {
    let (folder, kept) = (table_of(1), Folder::new());
    let reference = saved(&folder.table(), &kept).await;
    assert_eq!(saved(&folder.table(), &kept).await, reference);
    add(&folder, 1);
    let url = kept.path("known.json").to_str().unwrap().to_owned();
    let later = folder.table().describe().await.unwrap().snapshot;
    let error = later.save(&url, &[]).await.unwrap_err();
    assert!(matches!(error, Error::SnapshotTaken { .. }), "{error}");
    let error = Snapshot::load(&format!("{}@{url}", later.hash()), &[])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OtherSnapshot { .. }), "{error}");
    let short = Snapshot::load(&reference.replace(&reference[12..64], ""), &[]).await;
    assert_eq!(short.unwrap().num_rows(), 3);
    let error = Snapshot::load(&format!("{url}.none"), &[])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoSnapshot { .. }), "{error}");
    fs::write(kept.path("torn.json"), "{").unwrap();
    let torn = kept.path("torn.json").to_str().unwrap().to_owned();
    assert_eq!(
        Snapshot::load(&torn, &[]).await.unwrap_err().fault(),
        Fault::Corrupt
    );
}

#[tokio::test]
async fn ranks_that_meet_at_a_url_read_the_same_files() {
    let (folder, s3) = (table_of(1), S3::start());
    let source = TableSource {
        url: folder.url(),
        storage: s3.options(),
        snapshot: "s3://bucket/runs/1.json".to_owned(),
        ..TableSource::default()
    };
    let first = Table::open(&source).unwrap().describe().await.unwrap();
    let ranks = (1..6).map(|file| {
        add(&folder, file);
        let table = Table::open(&source).unwrap();
        async move { table.describe().await.unwrap() }
    });
    for description in futures::future::join_all(ranks).await {
        assert_eq!(description.snapshot, first.snapshot);
    }
    let fresh = TableSource {
        snapshot: "s3://bucket/runs/2.json".to_owned(),
        ..source
    };
    let racing = (0..4).map(|_| Table::open(&fresh).unwrap());
    let racing = racing.map(|table| async move { table.describe().await.unwrap().snapshot });
    let found = futures::future::join_all(racing).await;
    assert!(
        found
            .iter()
            .all(|snapshot| snapshot == &found[0] && snapshot.files().len() == 6)
    );
    assert_eq!(
        fs::read_dir(s3.bucket().join("runs"))
            .unwrap()
            .flatten()
            .filter(is_object)
            .count(),
        2
    );
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_noticed() {
    let (folder, s3) = (table_of(1), S3::start());
    let options = s3.behind(Front::IgnoresConditions);
    let snapshot = folder.table().describe().await.unwrap().snapshot;
    let error = snapshot
        .save("s3://bucket/runs/1.json", &options)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::IgnoresConditions { .. }),
        "{error:?}"
    );
    snapshot
        .save("s3://bucket/runs/1.json", &s3.options())
        .await
        .unwrap();
}

/// The server keeps notes of its own beside the objects.
fn is_object(entry: &fs::DirEntry) -> bool {
    !entry.file_name().to_string_lossy().starts_with('.')
}

fn at_least(column: &str, number: i64) -> Predicate {
    Predicate {
        predicate: Some(Form::Comparison(Comparison {
            column: column.to_owned(),
            operator: Operator::GreaterOrEqual.into(),
            value: Some(Value::Integer(number)),
        })),
    }
}
