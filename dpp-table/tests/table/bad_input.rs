//! What is wrong is said once, by name, and nothing panics or hangs.

use std::fs;
use std::sync::Arc;

use crate::support::{Folder, data, feature, open, read, some, whole};
use arrow::array::*;
use dpp_proto::v1::{Feature, Kind, StorageOption, TableSource};
use dpp_proto::{Fault, Faulty};
use dpp_table::{Error, PieceRequest, Table};

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn table_of_one_file() -> Folder {
    let folder = Folder::new();
    folder.write_columns(
        "ds=1/part.parquet",
        vec![("a", ints(&[1, 2, 3])), ("b", ints(&[4, 5, 6]))],
    );
    folder
}

#[track_caller]
fn check(error: Error, fault: Fault, says: &[&str]) {
    let text = dpp_proto::fault::message_with_causes(&error);
    assert_eq!(error.fault(), fault, "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

async fn describe_error(folder: &Folder) -> Error {
    folder.table().describe().await.unwrap_err()
}

async fn read_error(table: &Table, request: PieceRequest) -> Error {
    read(table, request).await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_parquet_is_named() {
    let folder = table_of_one_file();
    fs::write(folder.path("ds=1/readme.md"), "hello, I am no table").unwrap();
    check(
        describe_error(&folder).await,
        Fault::Corrupt,
        &["ds=1/readme.md", "Parquet"],
    );
    fs::write(folder.path("ds=1/readme.md"), "PAR1").unwrap();
    check(
        describe_error(&folder).await,
        Fault::Corrupt,
        &["ds=1/readme.md", "short"],
    );
}

#[tokio::test]
async fn truncated_files_are_named() {
    let folder = table_of_one_file();
    let path = folder.path("ds=1/part.parquet");
    let bytes = fs::read(&path).unwrap();
    for length in [bytes.len() - 1, bytes.len() / 2, 11, 4, 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        check(
            describe_error(&folder).await,
            Fault::Corrupt,
            &["ds=1/part.parquet"],
        );
    }
    // the end without the beginning
    fs::write(&path, &bytes[bytes.len() - 20..]).unwrap();
    check(
        describe_error(&folder).await,
        Fault::Corrupt,
        &["part.parquet", "truncated"],
    );
}

#[tokio::test]
async fn encrypted_footers_are_said_to_be() {
    let folder = Folder::new();
    fs::write(folder.path("x"), b"PARE....\x04\0\0\0PARE").unwrap();
    check(describe_error(&folder).await, Fault::Denied, &["encrypted"]);
}

#[tokio::test]
async fn empty_and_missing_tables_are_said_to_be() {
    let folder = Folder::new();
    check(
        describe_error(&folder).await,
        Fault::NotFound,
        &["empty", &folder.url()],
    );
    folder.write_columns("none", vec![("a", ints(&[]))]);
    check(
        describe_error(&folder).await,
        Fault::NotFound,
        &["empty", "no rows"],
    );
    let gone = open("/nowhere/at/all").describe().await.unwrap_err();
    check(gone, Fault::NotFound, &["/nowhere/at/all"]);
    fs::write(folder.path("file"), "").unwrap();
    let empty = open(&format!("{}/file", folder.url()))
        .describe()
        .await
        .unwrap_err();
    check(empty, Fault::NotFound, &["no bytes"]);
}

#[tokio::test]
async fn a_single_file_is_a_table() {
    let folder = table_of_one_file();
    let table = open(&format!("{}/ds=1/part.parquet", folder.url()));
    let description = table.describe().await.unwrap();
    assert_eq!(description.schema.partition_columns, Vec::<String>::new());
    let file = &description.snapshot.files()[0];
    let batches = read(&table, whole(file, &[feature("a", Kind::Int)]))
        .await
        .unwrap();
    assert_eq!(batches[0].num_rows(), 3);
}

#[tokio::test]
async fn an_endpoint_nobody_answers_is_an_error_soon() {
    let option = |key: &str, value: &str| StorageOption {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    // a port that was free a moment ago and refuses connections
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let source = TableSource {
        url: "s3://bucket/table".to_owned(),
        storage: vec![
            option("endpoint", &format!("http://127.0.0.1:{port}")),
            option("allow_http", "true"),
            option("region", "nowhere"),
            option("access_key_id", "me"),
            option("secret_access_key", "hunter2"),
        ],
        ..TableSource::default()
    };
    let table = Table::open(&source).unwrap();
    assert!(!format!("{table:?}").contains("hunter2"));
    let answer = tokio::time::timeout(std::time::Duration::from_secs(15), table.describe());
    let error = answer.await.expect("an error within 15 s").unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
    check(error, Fault::Unavailable, &["s3://bucket/table"]);
}

#[tokio::test]
async fn changed_and_deleted_files_are_told_apart() {
    let folder = table_of_one_file();
    let path = folder.path("ds=1/part.parquet");
    let table = folder.table();
    let file = table
        .describe()
        .await
        .unwrap()
        .snapshot
        .into_files()
        .remove(0);
    let request = || whole(&file, &[feature("a", Kind::Int)]);
    read(&table, request()).await.unwrap();

    let original = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &original).unwrap();
    read(&table, request())
        .await
        .expect("written again with the same content");

    folder.write_columns(
        "ds=1/part.parquet",
        vec![("b", ints(&[4, 5, 6])), ("a", ints(&[1, 2, 3]))],
    );
    let changed = ["ds=1/part.parquet", "changed"];
    check(
        read_error(&table, request()).await,
        Fault::Changed,
        &changed,
    );
    check(
        read_error(&folder.table(), request()).await,
        Fault::Changed,
        &changed,
    );

    fs::remove_file(&path).unwrap();
    check(
        read_error(&table, request()).await,
        Fault::NotFound,
        &["ds=1/part.parquet"],
    );
    check(
        read_error(&folder.table(), request()).await,
        Fault::NotFound,
        &["ds=1/part.parquet"],
    );
}

#[tokio::test]
async fn damaged_pages_are_an_error_of_their_piece() {
    let folder = table_of_one_file();
    let path = folder.path("ds=1/part.parquet");
    let original = fs::read(&path).unwrap();
    let file = folder
        .table()
        .describe()
        .await
        .unwrap()
        .snapshot
        .into_files()
        .remove(0);
    let mut failed = 0;
    for position in 4..60 {
        let mut bytes = original.clone();
        bytes[position] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let table = folder.table();
        if let Err(error) = read(&table, whole(&file, &[feature("a", Kind::Int)])).await {
            check(error, Fault::Corrupt, &["ds=1/part.parquet"]);
            failed += 1;
        }
    }
    assert!(failed > 10, "only {failed} damaged files were noticed");
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let folder = table_of_one_file();
    let table = folder.table();
    let file = table
        .describe()
        .await
        .unwrap()
        .snapshot
        .into_files()
        .remove(0);
    let features: Arc<[Feature]> = Arc::new([feature("a", Kind::Int)]);
    for (rows, selection) in [
        (0..4, vec![]),
        (3..3, vec![]),
        (0..3, vec![1..2, 0..1]),
        (0..3, vec![0..2, 1..3]),
        (1..3, vec![0..2]),
        (0..2, vec![1..3]),
    ] {
        let error = read_error(&table, some(&file, &features, rows.clone(), &selection)).await;
        check(error, Fault::Invalid, &["part.parquet", "rows"]);
    }
    let nothing = some(&file, &features, 1..1, &[]);
    assert_eq!(read(&table, nothing).await.unwrap().len(), 0);
    let mut request = whole(&file, &features);
    request.batch_rows = 0;
    check(
        read_error(&table, request).await,
        Fault::Invalid,
        &["batch_rows"],
    );
    let unkind = whole(&file, &[feature("a", Kind::Unspecified)]);
    check(
        read_error(&table, unkind).await,
        Fault::Invalid,
        &["a has no kind"],
    );
    let other = whole(&file, &[feature("a", Kind::Dense)]);
    check(
        read_error(&table, other).await,
        Fault::Invalid,
        &["a is int", "dense in the request"],
    );
    let mut outside = whole(&file, &features);
    outside.file.path = "../secret".to_owned();
    check(
        read_error(&table, outside).await,
        Fault::Invalid,
        &["../secret"],
    );
}

#[tokio::test]
async fn an_integer_that_does_not_fit_names_feature_and_file() {
    let folder = Folder::new();
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
    folder.write_columns("part", vec![("big", large)]);
    let table = folder.table();
    let file = table
        .describe()
        .await
        .unwrap()
        .snapshot
        .into_files()
        .remove(0);
    let error = read_error(&table, whole(&file, &[feature("big", Kind::Int)])).await;
    check(error, Fault::Corrupt, &["feature big", "part", "int"]);
}

#[tokio::test]
async fn conflicting_kinds_name_both_files() {
    let folder = Folder::new();
    let float: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    folder.write_columns("one", vec![("x", ints(&[1]))]);
    folder.write_columns("two", vec![("x", float)]);
    check(
        describe_error(&folder).await,
        Fault::Invalid,
        &["feature x", "/one", "/two", "dense", "int"],
    );
}

/// Four kilobytes that become gigabytes are refused before they do.
#[tokio::test]
async fn a_decompression_bomb_is_an_error() {
    let Some(path) = data("parquet-testing/data/large_string_map.brotli.parquet") else {
        return;
    };
    let table = open(path.to_str().unwrap());
    let description = table.describe().await.unwrap();
    let file = &description.snapshot.files()[0];
    let wanted = feature("arr[any]", Kind::Int);
    let error = read_error(&table, whole(file, &[wanted])).await;
    check(
        error,
        Fault::Corrupt,
        &["large_string_map", "bytes uncompressed"],
    );
}
