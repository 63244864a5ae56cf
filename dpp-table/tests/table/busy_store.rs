//! A store that is busy for a while is waited for, and the waiting is counted.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, Int64Array};
use dpp_proto::v1::{Kind, TableSource};
use dpp_table::Table;

use crate::s3::{Front, S3};
use crate::support::{Folder, feature, read_counted, whole};

#[tokio::test]
async fn busy_answers_are_tried_again_and_counted() {
    let (s3, folder) = (S3::start(), Folder::new());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    folder.write_columns("part.parquet", vec![("a", ids)]);
    fs::create_dir(s3.bucket().join("table")).unwrap();
    fs::copy(
        folder.path("part.parquet"),
        s3.bucket().join("table/part.parquet"),
    )
    .unwrap();
    for status in [429, 503] {
        let refusals = Arc::new(AtomicI64::new(2));
        let source = TableSource {
            url: "s3://bucket/table".to_owned(),
            storage: s3.behind(Front::Refuses(Arc::clone(&refusals), status)),
            ..TableSource::default()
        };
        let table = Table::open(&source).unwrap();
        let description = table.describe().await.unwrap();
        let request = whole(&description.snapshot.files()[0], &[feature("a", Kind::Int)]);
        let (_, io) = read_counted(&table, request.clone()).await.unwrap();
        assert_eq!((io.requests, io.retries), (1, 0), "{status}");

        refusals.store(4, Ordering::Relaxed);
        let (batches, io) = read_counted(&table, request).await.unwrap();
        assert_eq!(batches[0].num_rows(), 1000);
        assert_eq!((io.requests, io.retries), (1, 4), "{status}");
    }
}
