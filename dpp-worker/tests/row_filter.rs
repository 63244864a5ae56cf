//! Reads of a job whose plan has a row filter: exactly the rows that meet it, in the order of the read, and of what is not
//! needed for them as little as the pages allow.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs::File, sync::Arc};

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
use dpp_batch::{ExtraData, Frame};
use dpp_proto::v1::{self, Job, ReadRequest, TableSource};
use dpp_worker::{Engine, engine::ReadEvent};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

const ROWS: u64 = 20_000;
const WIDE: usize = 30;

/// `day` counts up with the row, `x` cycles, `w0` … are wide noise; pages of 500 rows.
fn write_table() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let day: ArrayRef = Arc::new(
        (0..ROWS)
            .map(|row| Some(row.cast_signed() / 200))
            .collect::<Int64Array>(),
    );
    let x: ArrayRef = Arc::new(
        (0..ROWS)
            .map(|row| (!row.is_multiple_of(7)).then_some((row % 10) as f32))
            .collect::<Float32Array>(),
    );
    let mut columns = vec![("day".to_owned(), day), ("x".to_owned(), x)];
    for wide in 0..WIDE {
        let noise =
            (0..ROWS).map(|row| Some(((row * 2_654_435_761 + wide as u64) % 1_000_003) as f32));
        columns.push((
            format!("w{wide}"),
            Arc::new(noise.collect::<Float32Array>()),
        ));
    }
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(500)
        .set_dictionary_enabled(false)
        .build();
    let file = File::create(folder.path().join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

struct Opened {
    engine: Arc<Engine>,
    job_hash: String,
    file: v1::SnapshotFile,
    _table: tempfile::TempDir,
}

async fn open(row_filter: &str) -> Opened {
    let table = write_table();
    let engine = Arc::new(Engine::start(Some(1)).unwrap());
    let source = TableSource {
        url: table.path().display().to_string(),
        ..Default::default()
    };
    let json = format!(
        r#"{{"nodes": [{{"pattern": "w*"}}, {{"row_id": true}}], "dense": [{{"node": 0}}], "extras": [{{"name": "row", "node": 1}}]{row_filter}}}"#
    );
    let plan = dpp_ops::Plan::from_json(&json).unwrap().to_proto();
    let described = engine.describe(&source, Some(plan)).await.unwrap();
    let (plan, _) = described.plan.unwrap();
    let job = Job {
        table: Some(source),
        snapshot_hash: described.snapshot.hash().to_owned(),
        plan: Some(plan),
    };
    Opened {
        job_hash: engine.open_job(&job).await.unwrap(),
        file: described.snapshot.files()[0].clone(),
        engine,
        _table: table,
    }
}

impl Opened {
    async fn read(&self, request: ReadRequest) -> (Vec<Frame>, v1::ReadSummary) {
        let mut events = self.engine.read(ReadRequest {
            job_hash: self.job_hash.clone(),
            file: Some(self.file.clone()),
            to_row: ROWS,
            ..request
        });
        let events = events.as_mut().unwrap();
        let mut frames = Vec::new();
        loop {
            match events.recv().await.unwrap().unwrap() {
                ReadEvent::Frame(frame) => frames.push(frame),
                ReadEvent::Summary(summary) => return (frames, summary),
            }
        }
    }
}

fn rows(frames: &[Frame]) -> Vec<i64> {
    let rows = frames
        .iter()
        .flat_map(|frame| match &frame.batch.extras[0].data {
            ExtraData::Fixed(values) => values.typed_data::<i64>().to_vec(),
            ExtraData::Variable { .. } => unreachable!("row ids are ints"),
        });
    rows.collect()
}

fn check_positions(frames: &[Frame], end: u64) {
    let mut next = 0;
    for frame in frames {
        assert_eq!(frame.positions.start, next);
        next = frame.positions.end;
        assert!(frame.batch.rows as u64 <= frame.positions.end - frame.positions.start);
    }
    assert_eq!(next, end);
}

const SOME: &str = r#", "where": {"any_of": [{"column": "day", "operator": "==", "value": 40}, {"all_of": [{"column": "x", "operator": ">", "value": 8}, {"not": {"column": "day", "operator": "<", "value": 99}}]}]}"#;

fn kept(row: u64) -> bool {
    row / 200 == 40 || (!row.is_multiple_of(7) && row % 10 > 8 && row / 200 >= 99)
}

#[tokio::test]
async fn exactly_the_rows_that_meet_it_in_the_order_of_the_read() {
    let (all, some) = (open("").await, open(SOME).await);
    let shuffle = Some(v1::Shuffle {
        seed: 7,
        window_rows: 300,
    });
    for selection in [vec![], vec![5, 9_000, 9_100, 20_000]] {
        for shuffle in [None, shuffle] {
            let request = ReadRequest {
                selection: selection.clone(),
                shuffle,
                ..Default::default()
            };
            let expected = rows(&all.read(request.clone()).await.0);
            let (frames, summary) = some.read(request).await;
            let expected: Vec<i64> = expected
                .into_iter()
                .filter(|&row| kept(row as u64))
                .collect();
            assert_eq!(rows(&frames), expected);
            assert_eq!(summary.rows, expected.len() as u64);
            let picked = if selection.is_empty() { ROWS } else { 19_895 };
            check_positions(&frames, picked);
        }
    }
}

#[tokio::test]
async fn one_day_in_a_hundred_reads_few_of_the_bytes() {
    let (all, day) = (
        open("").await,
        open(r#", "where": {"column": "day", "operator": "==", "value": 40}"#).await,
    );
    let whole = all.read(ReadRequest::default()).await.1;
    let (frames, part) = day.read(ReadRequest::default()).await;
    assert_eq!(rows(&frames), (8_000..8_200).collect::<Vec<i64>>());
    assert!(
        part.wanted_bytes * 100 <= whole.wanted_bytes * 30,
        "{} of {} bytes",
        part.wanted_bytes,
        whole.wanted_bytes
    );
}

#[tokio::test]
async fn rows_that_nobody_keeps_are_covered_all_the_same() {
    let none = open(r#", "where": {"column": "day", "operator": ">", "value": 1000}"#).await;
    let (frames, summary) = none.read(ReadRequest::default()).await;
    check_positions(&frames, ROWS);
    assert_eq!((rows(&frames), summary.rows), (vec![], 0));
}
