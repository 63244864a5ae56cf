//! A read names its file below the job's table, and no way of writing the name leads elsewhere.

#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(dead_code, reason = "each test uses some of it")]
mod worker;

use std::{fs, process::Stdio, sync::Arc};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use parquet::file::properties::WriterProperties;

use crate::worker::{WorkerProcess, drain, open_job, read, write_table};

const PLAN: &str = r#"{"nodes": [{"feature": "x"}], "dense": [{"name": "x", "node": 0}]}"#;

#[tokio::test]
async fn names_of_files_lead_nowhere_else() {
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values([1.0, 2.0, 3.0]));
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    // the same bytes beside the table as in it: a name that led there would be read
    let folder = write_table(&batch, WriterProperties::builder());
    for below in ["ads", "secret"] {
        let below = folder.path().join(below);
        fs::create_dir(&below).unwrap();
        fs::copy(
            folder.path().join("part-0.parquet"),
            below.join("part-0.parquet"),
        )
        .unwrap();
    }
    let allowed = folder.path().join("ads").display().to_string();
    let worker = WorkerProcess::start_with(&["--allow", &allowed], Stdio::null());
    let mut client = worker.client().await;
    let (job, file) = open_job(&mut client, allowed.clone(), PLAN).await;
    let named = |path: &str| {
        let file = dpp_proto::v1::SnapshotFile {
            path: path.to_owned(),
            ..file.clone()
        };
        (job.clone(), file)
    };
    let secret = folder.path().join("secret/part-0.parquet");
    for path in [
        "../secret/part-0.parquet",
        "./../secret/part-0.parquet",
        "%2e%2e/secret/part-0.parquet",
        "..%2fsecret%2fpart-0.parquet",
        "..\\secret\\part-0.parquet",
        "x/../../secret/part-0.parquet",
        "/../secret/part-0.parquet",
        &secret.display().to_string(),
        &format!("file://{}", secret.display()),
        "\0",
        "",
    ] {
        let refused = match read(&mut client, &named(path), 0..3, 3).await {
            Ok(messages) => drain(messages).await,
            Err(status) => Err(status),
        };
        let refused = refused.expect_err(path);
        eprintln!("{path:?}: {refused}");
    }
    let rows = drain(
        read(&mut client, &named("part-0.parquet"), 0..3, 3)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(rows.unwrap(), 3, "the worker goes on");
}
