//! A real table of 71 daily partitions, from the folder that DPP_TEST_DATA names.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::{Folder, data, feature, memory_is_bounded, open, read, whole};
use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use dpp_proto::v1::comparison::{Operator, Value};
use dpp_proto::v1::predicate::Predicate as Form;
use dpp_proto::v1::{Comparison, Feature, Kind, Predicate, TableSource};
use dpp_table::Table;

async fn label_sum_and_rows(table: &Table) -> (f64, usize) {
    let features: &[Feature] = &[
        feature("label", Kind::Dense),
        feature("last_skus", Kind::IdList),
    ];
    let (mut sum, mut rows) = (0.0, 0);
    for file in table.describe().await.unwrap().snapshot.files() {
        assert_eq!(file.row_group_rows.len(), 1);
        for batch in read(table, whole(file, features)).await.unwrap() {
            let labels = batch.column(0).as_primitive::<Float32Type>();
            sum += labels.iter().flatten().map(f64::from).sum::<f64>();
            rows += batch.num_rows();
        }
    }
    (sum, rows)
}

#[tokio::test]
async fn every_row_of_the_shop_is_read() {
    let Some(path) = data("jd/flat") else { return };
    let table = open(path.to_str().unwrap());
    let description = table.describe().await.unwrap();
    assert_eq!(description.snapshot.files().len(), 71);
    assert_eq!(description.snapshot.num_rows(), 89_187);
    assert_eq!(description.schema.partition_columns, ["ds"]);
    let mut kinds = BTreeMap::<_, usize>::new();
    for feature in &description.schema.features {
        *kinds.entry(feature.kind()).or_default() += 1;
    }
    let expected = [
        (Kind::Dense, 6),
        (Kind::Int, 1),
        (Kind::IdList, 8),
        (Kind::IdScoreList, 1),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
    let (sum, rows) = label_sum_and_rows(&table).await;
    assert_eq!(rows, 89_187);
    assert!(
        (sum / rows as f64 - 0.017).abs() < 0.001,
        "label mean {}",
        sum / rows as f64
    );
}

#[tokio::test]
async fn the_hash_does_not_know_the_place() {
    let Some(path) = data("jd/flat/ds=2016-02-01/part-0.parquet") else {
        return;
    };
    let folders = [Folder::new(), Folder::new()];
    let mut hashes = Vec::new();
    for folder in &folders {
        std::fs::create_dir(folder.path("ds=2016-02-01")).unwrap();
        std::fs::copy(&path, folder.path("ds=2016-02-01/part-0.parquet")).unwrap();
        hashes.push(
            folder
                .table()
                .describe()
                .await
                .unwrap()
                .snapshot
                .hash()
                .to_owned(),
        );
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0].len(), 64);
}

#[tokio::test]
async fn days_are_chosen_by_filter() {
    let Some(path) = data("jd/flat") else { return };
    let source = TableSource {
        url: path.to_str().unwrap().to_owned(),
        filter: Some(Predicate {
            predicate: Some(Form::Comparison(Comparison {
                column: "ds".to_owned(),
                operator: Operator::Less.into(),
                value: Some(Value::Text("2016-02-03".to_owned())),
            })),
        }),
        ..TableSource::default()
    };
    let description = Table::open(&source).unwrap().describe().await.unwrap();
    let paths: Vec<_> = description
        .snapshot
        .files()
        .iter()
        .map(|file| &file.path)
        .collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
}

#[tokio::test]
async fn a_table_of_800_columns_written_by_spark_is_read() {
    let Some(path) = data("wide/fengdian.parquet") else {
        return;
    };
    let table = open(path.to_str().unwrap());
    let description = table.describe().await.unwrap();
    assert_eq!(description.snapshot.num_rows(), 996);
    let features = &description.schema.features;
    assert!(features.len() > 800, "{} features", features.len());
    let file = &description.snapshot.files()[0];
    let batches = read(&table, whole(file, features)).await.unwrap();
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        996
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn describing_71_files_is_quick() {
    let Some(path) = data("jd/flat") else { return };
    let begin = Instant::now();
    open(path.to_str().unwrap()).describe().await.unwrap();
    eprintln!("described 71 files in {:?}", begin.elapsed());
}

/// Rows, or one error that names the file: never a panic that reaches us, never a hang.
#[tokio::test]
async fn conformance_files_are_read_or_refused_by_name() {
    for folder in ["data", "data/aes256", "bad_data"] {
        let Some(path) = data(&format!("parquet-testing/{folder}")) else {
            return;
        };
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let begin = Instant::now();
                check_read_or_refused(path.to_str().unwrap()).await;
                assert!(begin.elapsed() < Duration::from_secs(10), "{path:?}");
                assert!(memory_is_bounded(), "{path:?}");
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "what is refused, for whoever looks")]
async fn check_read_or_refused(path: &str) {
    let name = path.rsplit_once('/').unwrap().1;
    let table = open(path);
    let outcome = match table.describe().await {
        Ok(description) => {
            let file = &description.snapshot.files()[0];
            read(&table, whole(file, &description.schema.features))
                .await
                .map(|_| ())
        }
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        let text = dpp_proto::fault::message_with_causes(&error);
        assert!(text.contains(name), "{text}");
        eprintln!("{:?} {text}", dpp_proto::Faulty::fault(&error));
    }
}
