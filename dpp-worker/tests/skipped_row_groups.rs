//! Row groups whose statistics say that no row meets the row filter are not read: the frames are those of the same table
//! without statistics, whatever the filter.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs::File, path::Path, sync::Arc};

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use dpp_batch::{ExtraData, Frame};
use dpp_proto::v1::{self, Job, ReadRequest, TableSource};
use dpp_worker::{Engine, engine::ReadEvent};
use parquet::{
    arrow::ArrowWriter,
    file::properties::{EnabledStatistics, WriterProperties},
};
use proptest::{prelude::*, test_runner::TestCaseError};
use tokio::runtime::Runtime;

const GROUPS: i32 = 12;
const GROUP_ROWS: i32 = 50;
const ROWS: i32 = GROUPS * GROUP_ROWS;

/// Values rise from group to group; some groups hold nulls, NaN, zeros of both signs or nothing but nulls. Texts share a
/// beginning that is longer than statistics keep.
fn rows() -> RecordBatch {
    let group = |row: i32| row / GROUP_ROWS;
    let is_null = |row: i32| group(row) == 5 || group(row) % 3 == 1 && row % 4 == 0;
    let int = (0..ROWS).map(|row| (!is_null(row)).then_some(10 * group(row) + row % 15));
    let real = |row: i32| match (group(row), row % 5) {
        (2 | 7, 0) => f32::NAN,
        (0, 1) => -0.0,
        (0, _) => 0.0,
        (group, place) => group as f32 * 10.0 + place as f32,
    };
    let dense = (0..ROWS).map(|row| (!is_null(row)).then(|| real(row)));
    let double = (0..ROWS).map(|row| Some(f64::from(group(row)) + f64::from(row % 7) / 7.0));
    let text = (0..ROWS).map(|row| Some(format!("{}{:03}", "x".repeat(100), row)));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("int", Arc::new(int.collect::<Int32Array>()), true),
        ("dense", Arc::new(dense.collect::<Float32Array>()), true),
        ("double", Arc::new(double.collect::<Float64Array>()), true),
        ("text", Arc::new(text.collect::<StringArray>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn write(folder: &Path, statistics: EnabledStatistics) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS as usize))
        .set_statistics_truncate_length(Some(8))
        .set_statistics_enabled(statistics)
        .build();
    let file = File::create(folder.join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows().schema(), Some(properties)).unwrap();
    writer.write(&rows()).unwrap();
    writer.close().unwrap();
}

/// Comparisons of every kind, joined in every way, as JSON.
fn filters() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let number = prop_oneof![
        (-20..150_i32).prop_map(|value| value.to_string()),
        (-20.0..150.0_f64).prop_map(|value| format!("{value:?}")),
    ];
    let column = prop::sample::select(vec!["int", "dense", "double"]);
    let of_number = (column, operator.clone(), number)
        .prop_map(|(column, operator, value)| comparison(column, operator, &value));
    let of_text = (operator, 0..ROWS).prop_map(|(operator, row)| {
        let value = format!("\"{}{row:03}\"", "x".repeat(100));
        comparison("text", operator, &value)
    });
    let of_null = prop::sample::select(vec!["int", "dense", "double", "text"])
        .prop_map(|column| format!(r#"{{"is_null": "{column}"}}"#));
    let leaf = prop_oneof![4 => of_number, 1 => of_text, 1 => of_null];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4).prop_map(|some| some.join(", "));
        prop_oneof![
            some.clone()
                .prop_map(|all| format!(r#"{{"all_of": [{all}]}}"#)),
            some.prop_map(|any| format!(r#"{{"any_of": [{any}]}}"#)),
            inner.prop_map(|one| format!(r#"{{"not": {one}}}"#)),
        ]
    })
}

fn comparison(column: &str, operator: &str, value: &str) -> String {
    format!(r#"{{"column": "{column}", "operator": "{operator}", "value": {value}}}"#)
}

struct Side {
    folder: tempfile::TempDir,
}

impl Side {
    fn new(statistics: EnabledStatistics) -> Side {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), statistics);
        Side { folder }
    }

    /// Every frame of every row group, its positions and tensors, and the stored bytes of what they took.
    async fn read(&self, engine: &Arc<Engine>, filter: &str) -> (Vec<Seen>, u64) {
        let source = TableSource {
            url: self.folder.path().display().to_string(),
            ..Default::default()
        };
        let plan = format!(
            r#"{{"nodes": [{{"feature": "dense"}}, {{"row_id": true}}], "dense": [{{"name": "dense", "node": 0}}],
                "extras": [{{"name": "row", "node": 1}}], "where": {filter}}}"#
        );
        let plan = dpp_ops::Plan::from_json(&plan).unwrap().to_proto();
        let described = engine.describe(&source, Some(plan)).await.unwrap();
        let (plan, _) = described.plan.unwrap();
        let job = Job {
            table: Some(source),
            snapshot_hash: described.snapshot.hash().to_owned(),
            plan: Some(plan),
        };
        let job_hash = engine.open_job(&job).await.unwrap();
        let file = described.snapshot.files()[0].clone();
        let (mut frames, mut wanted) = (Vec::new(), 0);
        for group in 0..GROUPS as u64 {
            let rows = group * GROUP_ROWS as u64;
            let (more, summary) =
                read(engine, &job_hash, &file, rows..rows + GROUP_ROWS as u64).await;
            frames.extend(more);
            wanted += summary.wanted_bytes;
        }
        (frames, wanted)
    }
}

async fn read(
    engine: &Arc<Engine>,
    job_hash: &str,
    file: &v1::SnapshotFile,
    rows: std::ops::Range<u64>,
) -> (Vec<Seen>, v1::ReadSummary) {
    let mut events = engine
        .read(ReadRequest {
            job_hash: job_hash.to_owned(),
            file: Some(file.clone()),
            from_row: rows.start,
            to_row: rows.end,
            ..Default::default()
        })
        .unwrap();
    let mut frames = Vec::new();
    loop {
        match events.recv().await.unwrap().unwrap() {
            ReadEvent::Frame(frame) => frames.push(seen(&frame)),
            ReadEvent::Summary(summary) => return (frames, summary),
        }
    }
}

/// A frame's positions, and the bytes of its dense tensor and row ids.
type Seen = (std::ops::Range<u64>, Vec<u8>, Vec<u8>);

fn seen(frame: &Frame) -> Seen {
    let ExtraData::Fixed(row_ids) = &frame.batch.extras[0].data else {
        unreachable!("row ids are ints");
    };
    let dense = frame.batch.dense.as_slice().to_vec();
    (frame.positions.clone(), dense, row_ids.as_slice().to_vec())
}

#[test]
fn what_is_skipped_changes_no_frame() {
    let sides = [EnabledStatistics::Chunk, EnabledStatistics::None].map(Side::new);
    let runtime = Runtime::new().unwrap();
    let engine = runtime.block_on(async { Arc::new(Engine::start(Some(1)).unwrap()) });
    let settings = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(settings);
    let fewer = std::cell::Cell::new(0);
    let checked = runner.run(&filters(), |filter| {
        let (skipping, plain) = runtime.block_on(async {
            (
                sides[0].read(&engine, &filter).await,
                sides[1].read(&engine, &filter).await,
            )
        });
        prop_assert_eq!(skipping.0, plain.0);
        prop_assert!(
            skipping.1 <= plain.1 || skipping.1 - plain.1 < 4096,
            "{} {}",
            skipping.1,
            plain.1
        );
        fewer.set(fewer.get() + u32::from(skipping.1 * 2 < plain.1));
        Ok::<_, TestCaseError>(())
    });
    checked.unwrap();
    assert!(
        fewer.get() > 15,
        "only {} of 150 filters were read with half of the bytes",
        fewer.get()
    );
}

/// One group of twelve has what is asked for, and the others are not read.
#[test]
fn a_group_in_twelve_takes_a_twelfth() {
    let sides = [EnabledStatistics::Chunk, EnabledStatistics::None].map(Side::new);
    let runtime = Runtime::new().unwrap();
    let engine = runtime.block_on(async { Arc::new(Engine::start(Some(1)).unwrap()) });
    let filter = comparison("double", ">=", "11");
    let (frames, wanted) = runtime.block_on(sides[0].read(&engine, &filter));
    let (expected, whole) = runtime.block_on(sides[1].read(&engine, &filter));
    assert_eq!(frames, expected);
    assert!(wanted * 6 < whole, "{wanted} of {whole} bytes");
}
