//! Tables written and read back by the parquet crate.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    compute::concat_batches,
    datatypes::{Float32Type, Int64Type},
};
use clap::Parser;
use dpp_proto::v1;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn synth(destination: &Path, line: &str) -> Result<(), Error> {
    let words = ["synth", destination.to_str().unwrap()];
    let words = words.into_iter().chain(line.split_whitespace());
    run(Line::parse_from(words).arguments)
}

#[test]
fn rows_files_groups_and_partitions_are_as_asked() {
    let folder = TempDir::new().unwrap();
    let line = "--rows 5003 --files 4 --row-group-rows 1000 --days 2 --dense 3 --sparse 3";
    synth(folder.path(), line).unwrap();
    let paths: Vec<_> = files_below(folder.path()).into_keys().collect();
    assert_eq!(
        paths,
        [
            "ds=2026-01-01/part-00000.parquet",
            "ds=2026-01-01/part-00001.parquet",
            "ds=2026-01-02/part-00002.parquet",
            "ds=2026-01-02/part-00003.parquet",
        ]
    );
    let builder = reader(&folder.path().join(&paths[0]));
    let groups = builder.metadata().row_groups();
    let rows: Vec<_> = groups.iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [1000, 251]);
    let table = read(folder.path());
    assert_eq!(table.num_rows(), 5003);
    let ids = table["request_id"]
        .as_primitive::<Int64Type>()
        .values()
        .to_vec();
    assert_eq!(ids, (0..5003).collect::<Vec<i64>>());
    let times = table["ts"].as_primitive::<Int64Type>().values();
    assert!(times.is_sorted());
    assert_eq!(times[5002] / 86_400 - times[0] / 86_400, 1);
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let folder = TempDir::new().unwrap();
    let shape = "--rows 6000 --files 3 --dense 2 --sparse 4";
    let write = |name: &str, more: &str| {
        let destination = folder.path().join(name);
        synth(&destination, &format!("{shape} {more}")).unwrap();
        files_below(&destination)
    };
    let first = write("first", "--seed 7 --threads 1");
    assert_eq!(first, write("again", "--seed 7 --threads 3"));
    let other = write("other", "--seed 8");
    assert!(first.iter().all(|(path, bytes)| other[path] != *bytes));
}

#[test]
fn coverage_and_lengths_are_near_what_the_shape_says() {
    let folder = TempDir::new().unwrap();
    synth(folder.path(), "--rows 20000 --files 2 --dense 3 --sparse 3").unwrap();
    let table = read(folder.path());
    let coverage = |name: &str| 1.0 - table[name].null_count() as f64 / 20_000.0;
    near(coverage("f_0"), 0.99, 0.01);
    near(coverage("f_2"), 0.55, 0.02);
    near(coverage("id_0"), 1.0, 1e-9);
    // coverage 0.4, and a tenth of the others is empty, not null
    near(coverage("id_2"), 0.46, 0.02);
    let sequence = table["seq_0"].as_list::<i32>();
    near(sequence.values().len() as f64 / 20_000.0, 0.9 * 20.0, 0.6);
    let single = table["id_1"].as_list::<i32>();
    assert!((0..20_000).all(|row| single.value_length(row) <= 1));
    let pairs = table["scored"]
        .as_list::<i32>()
        .values()
        .as_struct()
        .clone();
    let scores = pairs
        .column(1)
        .as_primitive::<Float32Type>()
        .values()
        .to_vec();
    assert!(!scores.is_empty() && scores.iter().all(|score| *score > 0.0 && *score <= 1.0));
}

#[test]
fn ids_are_skewed_and_sequences_share_them() {
    let folder = TempDir::new().unwrap();
    synth(folder.path(), "--rows 4000 --files 1 --dense 0 --sparse 4").unwrap();
    let table = read(folder.path());
    let first = counts(&table, "seq_0");
    let most = *first.values().max().unwrap();
    let total: u64 = first.values().sum();
    assert!(
        most * 50 > total,
        "the most frequent id has {most} of {total}"
    );
    assert!(first.len() > 1000, "{} ids", first.len());
    let second = counts(&table, "seq_1");
    assert!(second.keys().any(|id| first.contains_key(id)));
    assert!(counts(&table, "id_0").len() < 10);
}

#[test]
fn the_label_has_its_base_rate_and_follows_dense_features_and_ids() {
    let folder = TempDir::new().unwrap();
    synth(folder.path(), "--rows 40000 --files 2 --base-rate 0.2").unwrap();
    let table = read(folder.path());
    let labels: Vec<f64> = table["label"]
        .as_primitive::<Float32Type>()
        .values()
        .iter()
        .map(|label| f64::from(*label))
        .collect();
    let rate = labels.iter().sum::<f64>() / labels.len() as f64;
    near(rate, 0.2, 0.02);
    let dense = |name: &str| {
        let column = table[name].as_primitive::<Float32Type>();
        let log = |value: Option<f32>| value.map_or(1.5, |value| f64::from(value).ln_1p());
        column.iter().map(log).collect::<Vec<_>>()
    };
    assert!(correlation(&dense("f_0"), &labels) > 0.1);
    assert!(correlation(&dense("f_1"), &labels).abs() < 0.03);
    // the mean label of an id, learned on even rows, tells about odd ones
    let tells =
        ["id_3", "id_6", "id_1", "id_4"].map(|name| mean_label_tells(&table, name, &labels));
    assert!(tells[0] > 0.05 && tells[1] > 0.05, "{tells:?}");
    assert!(tells[2].abs() < 0.04 && tells[3].abs() < 0.04, "{tells:?}");
}

#[test]
fn the_other_presets_have_their_columns() {
    let folder = TempDir::new().unwrap();
    let (w1, w2) = (folder.path().join("w1"), folder.path().join("w2"));
    synth(&w1, "--preset w1 --rows 3000 --files 2 --codec lz4").unwrap();
    let table = read(&w1);
    let names: Vec<_> = table
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names.len(), 40);
    assert_eq!(
        (&*names[0], &*names[13], &*names[39]),
        ("label", "I13", "C26")
    );
    assert_eq!(table["C2"].null_count(), 0);
    assert!(table["C4"].null_count() > 0);
    synth(
        &w2,
        "--preset w2 --rows 500 --files 1 --dense 20 --sparse 10 --codec none",
    )
    .unwrap();
    let table = read(&w2);
    assert_eq!(table.num_columns(), 30);
    near(table["D3"].null_count() as f64 / 500.0, 0.4, 0.08);
    near(table["S9"].null_count() as f64 / 500.0, 0.44, 0.08);
}

#[test]
fn a_destination_is_never_replaced_by_surprise() {
    let folder = TempDir::new().unwrap();
    let line = "--rows 20 --files 2 --dense 1 --sparse 1";
    let days = format!("{line} --days 2 --overwrite");
    synth(folder.path(), &days).unwrap();
    let refused = synth(folder.path(), line).unwrap_err().to_string();
    assert!(refused.contains("--overwrite"), "{refused}");
    fs::write(
        folder
            .path()
            .join("ds=2026-01-01/.writing-part-00000.parquet"),
        "half",
    )
    .unwrap();
    synth(folder.path(), &format!("{line} --overwrite")).unwrap();
    let paths: Vec<_> = files_below(folder.path()).into_keys().collect();
    assert_eq!(paths, ["part-00000.parquet", "part-00001.parquet"]);
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let refused = synth(folder.path(), &days).unwrap_err().to_string();
    assert!(refused.contains("thesis.txt"), "{refused}");
    assert_eq!(files_below(folder.path()).len(), 3);
}

#[test]
fn only_this_machine_is_written_to() {
    for remote in [
        "s3://bucket/table",
        "https://host/table",
        "file://host/table",
    ] {
        let refused = synth(Path::new(remote), "--rows 1").unwrap_err();
        assert!(refused.to_string().contains(remote), "{refused}");
    }
    let folder = TempDir::new().unwrap();
    let url = format!("file://{}/table", folder.path().display());
    synth(Path::new(&url), "--rows 3 --dense 1 --sparse 1 --files 1").unwrap();
    assert_eq!(read(&folder.path().join("table")).num_rows(), 3);
}

fn near(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value}, not {expected}"
    );
}

fn reader(path: &Path) -> ParquetRecordBatchReaderBuilder<fs::File> {
    ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap()
}

/// All rows, files by path.
fn read(folder: &Path) -> RecordBatch {
    let mut batches = Vec::new();
    for path in files_below(folder).keys() {
        let batch = reader(&folder.join(path)).build().unwrap();
        batches.extend(batch.map(Result::unwrap));
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Relative path → bytes.
fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner)).unwrap() {
            let entry = entry.unwrap();
            let path = inner.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.to_str().unwrap().to_owned(),
                    fs::read(entry.path()).unwrap(),
                );
            }
        }
    }
    found
}

fn counts(table: &RecordBatch, name: &str) -> BTreeMap<i64, u64> {
    let mut counts = BTreeMap::new();
    let values = table[name]
        .as_list::<i32>()
        .values()
        .as_primitive::<Int64Type>();
    for id in values.values() {
        *counts.entry(*id).or_default() += 1;
    }
    counts
}

/// Correlation, over odd rows, of the label with the mean label that the row's id has in even rows.
fn mean_label_tells(table: &RecordBatch, name: &str, labels: &[f64]) -> f64 {
    let lists = table[name].as_list::<i32>();
    let first = |row: usize| {
        let ids = lists.value(row);
        let ids = ids.as_primitive::<Int64Type>();
        (!ids.is_empty()).then(|| ids.value(0))
    };
    let mut learned: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for row in (0..labels.len()).step_by(2) {
        if let Some(id) = first(row) {
            let (sum, count) = learned.entry(id).or_default();
            *sum += labels[row];
            *count += 1.0;
        }
    }
    let odd = (1..labels.len()).step_by(2);
    let (guesses, labels): (Vec<_>, Vec<_>) = odd
        .filter_map(|row| {
            let (sum, count) = learned.get(&first(row)?)?;
            Some((sum / count, labels[row]))
        })
        .unzip();
    correlation(&guesses, &labels)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let covariance: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a - mean_a) * (b - mean_b))
        .sum();
    let square = |values: &[f64], mean: f64| {
        values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
    };
    covariance / (square(a, mean_a) * square(b, mean_b)).sqrt()
}

#[test]
fn both_layouts_hold_the_same_rows() {
    let folder = TempDir::new().unwrap();
    let (flat, maps) = (folder.path().join("flat"), folder.path().join("map"));
    let line = "--preset w2 --rows 300 --files 2 --dense 5 --sparse 4";
    synth(&flat, line).unwrap();
    synth(&maps, &format!("{line} --layout map")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let column = |url: &Path, name: &str| {
        let feature = v1::Feature {
            name: name.to_owned(),
            kind: if name.contains(['D', 'd']) {
                v1::Kind::Dense
            } else {
                v1::Kind::IdList
            }
            .into(),
            width: 0,
        };
        let source = v1::TableSource {
            url: url.to_str().unwrap().to_owned(),
            ..Default::default()
        };
        let rows = runtime.block_on(async {
            let table = dpp_table::Table::open(&source).unwrap();
            let file = table.describe().await.unwrap().snapshot.files()[0].clone();
            let request = dpp_table::PieceRequest {
                rows: 0..file.row_group_rows[0],
                file,
                selection: Vec::new(),
                features: [feature].into(),
                batch_rows: 1000,
                most_held_bytes: u64::MAX,
            };
            let pieces = table.fetch(request).await.unwrap().decode().unwrap();
            pieces.collect::<Result<Vec<_>, _>>().unwrap()
        });
        concat_batches(&rows[0].schema(), &rows)
            .unwrap()
            .column(0)
            .clone()
    };
    for (flat_name, map_name) in [("D0", "dense[0]"), ("D4", "dense[4]"), ("S3", "sparse[3]")] {
        let same = column(&flat, flat_name);
        assert!(same.null_count() > 0 && same.null_count() < same.len());
        assert_eq!(&same, &column(&maps, map_name), "{flat_name}");
    }
}
