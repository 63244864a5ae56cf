//! Runs on one worker share its threads by priority, whatever each of them asks for at a time.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_ops::Plan;
use dpp_proto::v1::{DescribeRequest, Job, ReadRequest, SnapshotFile, TableSource};
use dpp_worker::{Engine, engine::ReadEvent};
use parquet::arrow::ArrowWriter;
use tokio::task::JoinSet;

const PLAN: &str = r#"{"nodes": [{"pattern": "*"}, {"op": "log1p", "inputs": [0]}], "dense": [{"name": "*", "node": 1}]}"#;
const COLUMNS: u64 = 64;
const ROWS: u64 = 4_000;
/// Rows of all runs together, after which shares are compared.
const ENOUGH: u64 = 600_000;

/// A run that has so many reads under way all the time.
#[derive(Clone, Copy)]
struct Run {
    name: &'static str,
    priority: u32,
    reads: usize,
}

fn write_table() -> tempfile::TempDir {
    let columns = (0..COLUMNS).map(|column| {
        let values = (0..ROWS).map(|row| (row * column % 1_009) as f32);
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("x{column}"), array)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

/// Rows that each run got when both together had enough, on a worker of one thread.
async fn served(runs: [Run; 2]) -> [u64; 2] {
    let table = write_table();
    let engine = Arc::new(Engine::start(Some(1)).unwrap());
    let source = TableSource {
        url: table.path().display().to_string(),
        ..Default::default()
    };
    let asked = DescribeRequest {
        table: Some(source.clone()),
        plan: Some(Plan::from_json(PLAN).unwrap().to_proto()),
    };
    let described = engine.describe(&source, asked.plan).await.unwrap();
    let job = Job {
        table: Some(source),
        snapshot_hash: described.snapshot.hash().to_owned(),
        plan: Some(described.plan.unwrap().0),
    };
    let job = engine.open_job(&job).await.unwrap();
    let file = &described.snapshot.files()[0];
    let rows = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let mut reads = JoinSet::new();
    for (run, rows) in runs.iter().zip(&rows) {
        for _ in 0..run.reads {
            let request = request(*run, &job, file);
            reads.spawn(read_on(engine.clone(), request, rows.clone()));
        }
    }
    let now = || [&rows[0], &rows[1]].map(|rows| rows.load(Ordering::Relaxed));
    let enough = async {
        while now().iter().sum::<u64>() < ENOUGH {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        now()
    };
    tokio::time::timeout(Duration::from_secs(60), enough)
        .await
        .expect("rows come")
}

fn request(run: Run, job: &str, file: &SnapshotFile) -> ReadRequest {
    ReadRequest {
        job_hash: job.to_owned(),
        file: Some(file.clone()),
        to_row: ROWS,
        run: run.name.to_owned(),
        priority: run.priority,
        ..Default::default()
    }
}

/// Reads the same rows again and again.
async fn read_on(engine: Arc<Engine>, request: ReadRequest, rows: Arc<AtomicU64>) {
    loop {
        let mut events = engine.read(request.clone()).unwrap();
        while let Some(event) = events.recv().await {
            if let ReadEvent::Frame(frame) = event.unwrap() {
                rows.fetch_add(frame.batch.rows as u64, Ordering::Relaxed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_many_reads_starves_nobody() {
    let [greedy, modest] = served([
        Run {
            name: "greedy",
            priority: 0,
            reads: 60,
        },
        Run {
            name: "modest",
            priority: 0,
            reads: 3,
        },
    ])
    .await;
    eprintln!("greedy {greedy}, modest {modest} rows");
    assert!(modest * 3 > greedy, "{modest} beside {greedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_by_priority() {
    let run = |name, priority| Run {
        name,
        priority,
        reads: 16,
    };
    let [first, second] = served([run("first", 3), run("second", 0)]).await;
    eprintln!("priority 3: {first}, priority 0: {second} rows");
    let ratio = first as f64 / second as f64;
    assert!((2.0..8.0).contains(&ratio), "{ratio}");
}
