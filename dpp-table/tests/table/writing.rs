//! Tables rewritten, resumed and compared, through the public door.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{fs, thread};

use arrow::array::*;
use arrow::datatypes::{Int32Type, Int64Type};
use dpp_proto::v1::TableSource;
use dpp_proto::{Fault, Faulty};
use dpp_table::{
    Codec, Difference, Error, RewriteSettings, Rewritten, Table, Verdict, WriteSettings, rewrite,
    verify,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use tokio::runtime;

use crate::support::{Folder, open};

/// 2,000 rows in two partitions: numbers, lists, texts, a time, and a map of features.
fn source() -> Folder {
    let folder = Folder::new();
    for day in 0..2_i64 {
        let rows = 0..1000_i64;
        let dense = Float32Array::from_iter(
            rows.clone()
                .map(|row| (row % 7 != 0).then(|| (row * (day + 3)) as f32 / 3.0)),
        );
        let ids =
            ListArray::from_iter_primitive::<Int64Type, _, _>(rows.clone().map(|row| {
                (row % 5 != 0).then(|| (0..row % 4).map(move |id| Some(row * 31 + id)))
            }));
        let texts =
            StringArray::from_iter(rows.clone().map(|row| Some(format!("shop {}", row % 9))));
        let times = TimestampMillisecondArray::from_iter_values(
            rows.clone().map(|row| day * 86_400_000 + row),
        );
        let mut map = MapBuilder::new(None, Int32Builder::new(), Float32Builder::new());
        for row in rows {
            for key in 0..3 {
                if row % (key + 2) == 0 {
                    map.keys().append_value(i32::try_from(key).unwrap() + 10);
                    map.values().append_value((row + key) as f32);
                }
            }
            map.append(true).unwrap();
        }
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("dense", Arc::new(dense), true),
            ("ids", Arc::new(ids), true),
            ("shop", Arc::new(texts), true),
            ("time", Arc::new(times), true),
            ("features", Arc::new(map.finish()), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let groups = WriterProperties::builder().set_max_row_group_row_count(Some(300));
        folder.write(
            &format!("ds=2026-01-0{}/part-0.parquet", day + 1),
            &batch,
            groups.build(),
        );
    }
    folder
}

fn place(url: &str) -> TableSource {
    TableSource {
        url: url.to_owned(),
        ..TableSource::default()
    }
}

async fn written(
    source: &Table,
    to: &Folder,
    settings: &RewriteSettings,
) -> Result<Rewritten, Error> {
    rewrite(source, &place(&to.url()), settings, Arc::new(|_| ())).await
}

async fn compared(a: &Table, b: &Table) -> Verdict {
    verify(a, b, true, 64 << 20, &|_| ()).await.unwrap()
}

fn measured() -> RewriteSettings {
    RewriteSettings {
        measure: true,
        ..RewriteSettings::default()
    }
}

#[tokio::test]
async fn a_rewritten_table_has_the_same_rows_checksums_and_page_index() {
    let (from, to) = (source(), Folder::new());
    let settings = RewriteSettings {
        order: ["time", "features[11]"].map(str::to_owned).to_vec(),
        ..measured()
    };
    let done = written(&from.table(), &to, &settings).await.unwrap();
    assert_eq!((done.rows, done.files, done.resumed_files), (2000, 2, 0));
    assert!(
        done.measured.contains_key("dense, FLOAT"),
        "{:?}",
        done.measured
    );
    let same = compared(&from.table(), &to.table()).await;
    assert_eq!(
        same,
        Verdict::Same {
            rows: 2000,
            features: 8
        }
    );
    let file = fs::File::open(to.path("ds=2026-01-01/part-0.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata();
    let names = metadata.file_metadata().schema().get_fields();
    let names: Vec<&str> = names.iter().map(|field| field.name()).collect();
    let others = ["dense", "ids", "shop", "features[10]", "features[12]"];
    assert_eq!(names[..2], ["time", "features[11]"]);
    assert_eq!(names[2..], others);
    assert_eq!(metadata.num_row_groups(), 1);
    for column in metadata.row_group(0).columns() {
        assert!(column.offset_index_offset().is_some());
        assert_eq!(
            column.statistics().is_some(),
            column.column_path().string() == "time"
        );
    }
}

/// A flipped bit in any page is found by our reader, and so every page has its checksum.
#[tokio::test]
async fn every_page_has_a_checksum() {
    let (from, to) = (source(), Folder::new());
    let settings = RewriteSettings {
        write: WriteSettings {
            codec: Codec::None,
            ..WriteSettings::default()
        },
        ..RewriteSettings::default()
    };
    written(&from.table(), &to, &settings).await.unwrap();
    let path = to.path("ds=2026-01-01/part-0.parquet");
    let whole = fs::read(&path).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    for column in reader.metadata().row_group(0).columns() {
        let (start, length) = column.byte_range();
        let mut damaged = whole.clone();
        damaged[usize::try_from(start + length - 1).unwrap()] ^= 1;
        fs::write(&path, damaged).unwrap();
        let error = verify(&from.table(), &to.table(), true, 64 << 20, &|_| ())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }
}

#[tokio::test]
async fn what_differs_is_named_with_file_row_and_both_values() {
    let (from, to) = (source(), Folder::new());
    written(&from.table(), &to, &RewriteSettings::default())
        .await
        .unwrap();
    // the same partition and rows, one value changed
    let changed = |value: f32| {
        let rows = 0..1000_i64;
        let values = rows.map(|row| if row == 617 { value } else { row as f32 });
        let folder = Folder::new();
        folder.write_columns(
            "ds=1/a",
            vec![("x", Arc::new(Float32Array::from_iter_values(values)) as _)],
        );
        folder
    };
    let verdict = compared(&changed(1.0).table(), &changed(2.5).table()).await;
    let Verdict::Different(difference) = verdict else {
        panic!("{verdict:?}");
    };
    let Difference::Value {
        feature,
        first,
        second,
    } = *difference
    else {
        panic!("{difference:?}");
    };
    assert_eq!((feature.as_str(), first.row, second.row), ("x", 617, 617));
    assert_eq!(
        (first.value.as_str(), second.value.as_str()),
        ("1.0", "2.5")
    );
    assert!(second.file.ends_with("ds=1/a"), "{}", second.file);
    let fewer = compared(
        &from.table(),
        &open(to.path("ds=2026-01-01").to_str().unwrap()),
    )
    .await;
    let rows = Difference::Rows {
        first: 2000,
        second: 1000,
    };
    assert_eq!(fewer, Verdict::Different(Box::new(rows)));
}

#[tokio::test]
async fn null_and_empty_lists_are_told_apart_on_demand() {
    let lists = |first: Option<Vec<Option<i32>>>| {
        let folder = Folder::new();
        let rows = [first, Some(vec![Some(1)])];
        let column = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        folder.write_columns("a", vec![("ids", Arc::new(column) as _)]);
        folder
    };
    let (null, empty) = (lists(None), lists(Some(vec![])));
    let verdict = async |exact| {
        verify(&null.table(), &empty.table(), exact, 64 << 20, &|_| ())
            .await
            .unwrap()
    };
    assert_eq!(
        verdict(false).await,
        Verdict::Same {
            rows: 2,
            features: 1
        }
    );
    assert!(matches!(verdict(true).await, Verdict::Different(_)));
}

#[tokio::test]
async fn a_broken_run_is_gone_on_with_and_nothing_else_is() {
    let (from, to) = (source(), Folder::new());
    let table = from.table();
    written(&table, &to, &measured()).await.unwrap();
    let occupied = written(&table, &to, &measured()).await.unwrap_err();
    assert!(matches!(occupied, Error::Occupied { .. }), "{occupied}");
    assert!(occupied.to_string().contains("--resume"), "{occupied}");
    let missing = to.path("ds=2026-01-02/part-0.parquet");
    let before = fs::read(&missing).unwrap();
    fs::remove_file(&missing).unwrap();
    fs::write(to.path("ds=2026-01-02/.writing-part-0.parquet"), "half").unwrap();
    let resume = |settings: RewriteSettings| RewriteSettings {
        resume: true,
        ..settings
    };
    let done = written(&table, &to, &resume(measured())).await.unwrap();
    assert_eq!((done.files, done.resumed_files), (2, 1));
    assert_eq!(
        fs::read(&missing).unwrap(),
        before,
        "a resumed run writes the same bytes"
    );
    assert_eq!(fs::read_dir(to.path("ds=2026-01-02")).unwrap().count(), 1);
    let other = resume(RewriteSettings {
        flatten: false,
        ..measured()
    });
    let error = written(&table, &to, &other).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Changed);
    assert!(error.to_string().contains("--layout"), "{error}");
}

#[tokio::test]
async fn a_run_that_fails_leaves_no_half_file() {
    let (from, to) = (source(), Folder::new());
    let path = from.path("ds=2026-01-02/part-0.parquet");
    let mut damaged = fs::read(&path).unwrap();
    let middle = damaged.len() / 3;
    damaged[middle..middle + 2000].fill(0xA5);
    fs::write(&path, damaged).unwrap();
    written(&from.table(), &to, &RewriteSettings::default())
        .await
        .unwrap_err();
    let left: Vec<_> = fs::read_dir(to.path("ds=2026-01-02"))
        .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
        .unwrap_or_default();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[tokio::test]
async fn row_groups_end_by_bytes_and_by_memory() {
    let (from, to) = (Folder::new(), Folder::new());
    let values =
        (0..400_000_i64).map(|row| row.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
    from.write_columns(
        "a",
        vec![("id", Arc::new(Int64Array::from_iter_values(values)) as _)],
    );
    let settings = RewriteSettings {
        write: WriteSettings {
            codec: Codec::None,
            row_group_bytes: 1 << 20,
            ..WriteSettings::default()
        },
        ..RewriteSettings::default()
    };
    written(&from.table(), &to, &settings).await.unwrap();
    let reader = SerializedFileReader::new(fs::File::open(to.path("a")).unwrap()).unwrap();
    let groups = reader.metadata().row_groups();
    assert!(
        (3..=5).contains(&groups.len()),
        "{} row groups",
        groups.len()
    );
    assert!(matches!(
        compared(&from.table(), &to.table()).await,
        Verdict::Same { .. }
    ));
    let few = RewriteSettings {
        write: WriteSettings {
            memory_bytes: 1 << 20,
            ..WriteSettings::default()
        },
        ..RewriteSettings::default()
    };
    let error = written(&from.table(), &Folder::new(), &few)
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid, "{error}");
}

/// Were pages looked for, a thread for each column would wait for windows, which none would be left to read.
#[test]
fn three_threads_that_may_wait_rewrite_a_large_row_group_without_a_page_index() {
    const ROWS: u32 = 600_000;
    let folder = Folder::new();
    let column = |salt: i64| -> ArrayRef {
        let values = (0..i64::from(ROWS))
            .map(|row| (row + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
        Arc::new(Int64Array::from_iter_values(values))
    };
    let columns = ["a", "b", "c", "d"].into_iter().zip(0..);
    let columns = columns.map(|(name, salt)| (name, column(salt)));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let unindexed = WriterProperties::builder()
        .set_offset_index_disabled(true)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .build();
    folder.write("part", &batch, unindexed);
    let settings = RewriteSettings {
        write: WriteSettings {
            memory_bytes: 128 << 20,
            ..WriteSettings::default()
        },
        ..measured()
    };
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(3).build();
        let to = Folder::new();
        let rewritten = runtime
            .unwrap()
            .block_on(written(&folder.table(), &to, &settings));
        done.send(rewritten.unwrap().rows).unwrap();
    });
    let rows = is_done.recv_timeout(Duration::from_secs(60));
    assert_eq!(rows, Ok(u64::from(ROWS)));
}

#[tokio::test]
async fn progress_counts_every_row() {
    let (from, to) = (source(), Folder::new());
    let rows = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&rows);
    let watch = Arc::new(move |more| {
        counted.fetch_add(more, Ordering::Relaxed);
    });
    rewrite(
        &from.table(),
        &place(&to.url()),
        &RewriteSettings::default(),
        watch,
    )
    .await
    .unwrap();
    assert_eq!(rows.load(Ordering::Relaxed), 2000);
}
