//! A store that sends its readers elsewhere is not followed, wherever that is: nobody there is asked for anything.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use arrow::array::{ArrayRef, Int64Array};
use dpp_proto::v1::{Kind, TableSource};
use dpp_proto::{Fault, Faulty as _};
use dpp_table::{Error, Table};

use crate::s3::{Front, S3};
use crate::support::{Folder, feature, read_counted, whole};

#[tokio::test]
async fn redirects_are_errors_that_name_where_they_lead() {
    let (s3, folder) = (S3::start(), Folder::new());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    folder.write_columns("part.parquet", vec![("a", ids)]);
    fs::create_dir(s3.bucket().join("table")).unwrap();
    let (from, to) = (
        folder.path("part.parquet"),
        s3.bucket().join("table/part.parquet"),
    );
    fs::copy(from, to).unwrap();

    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let there = format!("http://{}", elsewhere.local_addr().unwrap());
    for status in [301, 302, 303, 307, 308] {
        for to in [
            format!("{there}/secret?key=value"),
            "/latest/meta-data".to_owned(),
        ] {
            let left = Arc::new(AtomicI64::new(0));
            let table = Table::open(&TableSource {
                url: "s3://bucket/table".to_owned(),
                storage: s3.behind(Front::SendsOn(left.clone(), status, to.clone())),
                ..TableSource::default()
            })
            .unwrap();
            check(table.describe().await.unwrap_err(), &to, &there);

            left.store(1000, std::sync::atomic::Ordering::Relaxed);
            let description = table.describe().await.unwrap();
            let request = whole(&description.snapshot.files()[0], &[feature("a", Kind::Int)]);
            left.store(0, std::sync::atomic::Ordering::Relaxed);
            check(
                read_counted(&table, request).await.unwrap_err(),
                &to,
                &there,
            );
        }
    }
    let asked = elsewhere.accept().map(|(_, who)| who);
    assert_eq!(
        asked.unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nobody came"
    );
}

fn check(error: Error, to: &str, there: &str) {
    let said = error.to_string();
    assert!(matches!(error, Error::Elsewhere { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Denied, "asking again would not help");
    let named = if to.starts_with(there) {
        there
    } else {
        "another path"
    };
    assert!(
        said.contains("s3://bucket/table") && said.contains(named),
        "{said}"
    );
    assert!(
        !said.contains("value"),
        "a query may hold a signature: {said}"
    );
}
