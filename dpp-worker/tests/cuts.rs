//! Frames end where the asker's batches do, once rows are known to make frames of a good size so, and hold the same rows wherever they end.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs::File, ops::Range, sync::Arc};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use dpp_batch::{Batch, Layout, Rows, concat};
use dpp_ops::Plan;
use dpp_proto::v1::{Cuts, Job, ReadRequest, Shuffle, TableSource};
use dpp_worker::{Engine, engine::ReadEvent};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

const ROWS: u64 = 8000;
/// Of a length and an id each: 300 rows are more than 100 KB, 1,000 more than 256 KiB, 8,000 less than 4 MiB.
const KEYS: u64 = 30;

fn table() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let column = |key: u64| -> ArrayRef {
        let ids = (0..ROWS).map(|row| (row % 5 != key % 5).then_some((row * key).cast_signed()));
        Arc::new(ids.collect::<Int64Array>())
    };
    let columns = (0..KEYS).map(|key| (format!("C{key}"), column(key), true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = File::create(folder.path().join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    folder
}

/// Every id hashed, 0 for null.
fn plan() -> Plan {
    let (mut nodes, mut sparse) = (Vec::new(), Vec::new());
    for key in 0..KEYS {
        let (feature, filled, hashed) = (3 * key, 3 * key + 1, 3 * key + 2);
        nodes.push(format!(
            r#"{{"feature": "C{key}"}}, {{"op": "fill_null", "inputs": [{feature}], "value": 0}},
            {{"op": "sigrid_hash", "inputs": [{filled}], "salt": 0, "max_value": 1000}}"#
        ));
        sparse.push(format!(r#"{{"name": "C{key}", "node": {hashed}}}"#));
    }
    let (nodes, sparse) = (nodes.join(","), sparse.join(","));
    let plan = format!(r#"{{"nodes": [{nodes}], "sparse": [{sparse}]}}"#);
    Plan::from_json(&plan).unwrap()
}

/// A job on the table, open.
struct Opened {
    engine: Arc<Engine>,
    read: ReadRequest,
    layout: Arc<Layout>,
}

impl Opened {
    async fn on(table: &TempDir) -> Opened {
        let engine = Arc::new(Engine::start(Some(1)).unwrap());
        let source = TableSource {
            url: table.path().display().to_string(),
            ..Default::default()
        };
        let described = engine.describe(&source, Some(plan().to_proto())).await;
        let described = described.unwrap();
        let (plan, layout) = described.plan.unwrap();
        let job = Job {
            table: Some(source),
            snapshot_hash: described.snapshot.hash().to_owned(),
            plan: Some(plan),
        };
        let read = ReadRequest {
            job_hash: engine.open_job(&job).await.unwrap(),
            file: Some(described.snapshot.files()[0].clone()),
            to_row: ROWS,
            ..Default::default()
        };
        Opened {
            engine,
            read,
            layout,
        }
    }

    /// Which positions the frames of a read have, and their rows as one batch.
    async fn frames(&self, cuts: Option<Cuts>, window: u64) -> (Vec<Range<u64>>, Batch) {
        let shuffle = (window > 0).then_some(Shuffle {
            seed: 7,
            window_rows: window,
        });
        let request = ReadRequest {
            cuts,
            shuffle,
            ..self.read.clone()
        };
        let mut events = self.engine.read(request).unwrap();
        let (mut positions, mut parts) = (Vec::new(), Vec::new());
        while let ReadEvent::Frame(frame) = events.recv().await.unwrap().unwrap() {
            positions.push(frame.positions);
            let rows = frame.batch.rows;
            parts.push(Rows::new(frame.batch).take(rows));
        }
        (positions, concat(&self.layout, &parts))
    }
}

#[tokio::test]
async fn frames_end_where_batches_do() {
    let table = table();
    let opened = Opened::on(&table).await;
    let cuts = Cuts {
        first: 300,
        each: 1000,
    };
    let own = opened.frames(Some(cuts), 0).await;
    let ends =
        |positions: &[Range<u64>]| -> Vec<u64> { positions.iter().map(|it| it.end).collect() };
    // nobody knew yet how large rows are
    assert_eq!(opened.frames(None, 0).await, own);
    let as_asked = opened.frames(Some(cuts), 0).await;
    let expected = [300, 1300, 2300, 3300, 4300, 5300, 6300, 7300, 8000];
    assert_eq!(ends(&as_asked.0), expected);
    assert_eq!(as_asked.1.fingerprint(), own.1.fingerprint());
    let mixed = opened.frames(None, 500).await.1.fingerprint();
    let as_asked = opened.frames(Some(cuts), 500).await;
    assert!(expected.iter().all(|end| ends(&as_asked.0).contains(end)));
    assert_eq!(as_asked.1.fingerprint(), mixed);
}

#[tokio::test]
async fn frames_of_no_good_size_are_not_made() {
    let table = table();
    let opened = Opened::on(&table).await;
    let own = opened.frames(None, 0).await;
    let huge = 1 << 40;
    for (first, each) in [(3, 10), (0, 0), (9, 0), (huge, huge), (u64::MAX, 1000)] {
        let asked = opened.frames(Some(Cuts { first, each }), 0).await;
        assert_eq!(asked, own, "{first}, then every {each}");
    }
}
