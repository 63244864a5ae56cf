//! What a stock gRPC client sees: health, and frames as the last field of plain protobuf messages.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs::File, sync::Arc};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_batch::{Frame, Layout};
use dpp_proto::{
    listen::Listener,
    v1::{
        self, DescribeRequest, Job, OpenJobRequest, ReadRequest, ReadResponse, StatsRequest,
        TableSource, worker_client::WorkerClient,
    },
};
use dpp_worker::{Engine, server};
use prost::Message as _;
use tokio::sync::oneshot;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// A worker that drains and ends when dropped.
struct Served {
    channel: Channel,
    _stop: oneshot::Sender<()>,
}

async fn serve() -> Served {
    serve_from(Engine::start(Some(1)).unwrap()).await
}

async fn serve_from(engine: Engine) -> Served {
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), false)
        .await
        .unwrap();
    let endpoint = listener.address().endpoint().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server::serve(Arc::new(engine), listener, async {
        _ = stopped.await
    }));
    Served {
        channel: endpoint.connect().await.unwrap(),
        _stop: stop,
    }
}

fn write_table(rows: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let x: ArrayRef = Arc::new(Float32Array::from_iter_values((0..rows).map(f32::from)));
    let batch = RecordBatch::try_from_iter([("x", x)]).unwrap();
    let file = File::create(folder.path().join("part-0.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

fn plan() -> v1::Plan {
    let json = r#"{"nodes": [{"pattern": "*"}], "dense": [{"name": "*", "node": 0}]}"#;
    dpp_ops::Plan::from_json(json).unwrap().to_proto()
}

#[tokio::test]
async fn describe_open_read() {
    let (served, table) = (serve().await, write_table(1000));
    let mut client = WorkerClient::new(served.channel.clone());
    let source = TableSource {
        url: table.path().display().to_string(),
        ..Default::default()
    };
    let request = DescribeRequest {
        table: Some(source.clone()),
        plan: Some(plan()),
    };
    let mut messages = client.describe(request).await.unwrap().into_inner();
    let first = messages.message().await.unwrap().unwrap();
    let files = messages.message().await.unwrap().unwrap().files;
    assert_eq!(messages.message().await.unwrap(), None);
    assert_eq!(
        (files.len(), &files[0].row_group_rows[..]),
        (1, &[1000][..])
    );

    let read = ReadRequest {
        file: Some(files[0].clone()),
        to_row: 1000,
        selection: vec![10, 13, 990, 1000],
        ..Default::default()
    };
    let unknown = client
        .read(ReadRequest {
            job_hash: "none".into(),
            ..read.clone()
        })
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::FailedPrecondition);

    let job = Job {
        table: Some(source),
        snapshot_hash: first.snapshot_hash,
        plan: first.plan,
    };
    let job_hash = client
        .open_job(OpenJobRequest {
            job: Some(job),
            run: None,
        })
        .await
        .unwrap()
        .into_inner()
        .job_hash;
    let layout = Arc::new(Layout::from_json(&first.layout).unwrap());
    let mut messages = client
        .read(ReadRequest { job_hash, ..read })
        .await
        .unwrap()
        .into_inner();
    let (mut values, mut summary) = (Vec::new(), None);
    while let Some(message) = messages.message().await.unwrap() {
        assert!(summary.is_none(), "the summary is the last message");
        match message.summary {
            Some(last) => summary = Some(last),
            None => {
                let frame = Frame::decode(message.frame, &layout).unwrap();
                assert_eq!(frame.positions.start, values.len() as u64);
                let (numbers, _) = frame.batch.dense.as_chunks::<4>();
                values.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
        }
    }
    assert_eq!(
        values,
        [
            10., 11., 12., 990., 991., 992., 993., 994., 995., 996., 997., 998., 999.
        ]
    );
    assert_eq!(summary.unwrap().rows, 13);
    assert_eq!(
        client
            .stats(StatsRequest {})
            .await
            .unwrap()
            .into_inner()
            .total
            .unwrap()
            .rows,
        13
    );
}

#[tokio::test]
async fn errors_name_the_thing() {
    let (served, table) = (serve().await, write_table(5));
    let mut client = WorkerClient::new(served.channel.clone());
    let source = |url: String| {
        Some(TableSource {
            url,
            ..Default::default()
        })
    };
    let missing = table.path().join("nowhere").display().to_string();
    let status = client
        .describe(DescribeRequest {
            table: source(missing.clone()),
            plan: None,
        })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains(&missing), "{status}");
    let wrong = r#"{"nodes": [{"feature": "xx"}], "dense": [{"name": "xx", "node": 0}]}"#;
    let plan = Some(dpp_ops::Plan::from_json(wrong).unwrap().to_proto());
    let request = DescribeRequest {
        table: source(table.path().display().to_string()),
        plan,
    };
    let status = client.describe(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("xx"), "{status}");
}

#[tokio::test]
async fn a_plan_too_large_is_refused() {
    let (served, table) = (serve().await, write_table(5));
    let mut client = WorkerClient::new(served.channel.clone());
    let mut plan = plan();
    plan.nodes.resize((1 << 18) + 1, plan.nodes[0].clone());
    let table = Some(TableSource {
        url: table.path().display().to_string(),
        ..Default::default()
    });
    let asked = client.describe(DescribeRequest {
        table: table.clone(),
        plan: Some(plan.clone()),
    });
    let described = asked.await.unwrap_err();
    let job = Some(Job {
        table,
        plan: Some(plan),
        ..Default::default()
    });
    let opened = client.open_job(OpenJobRequest { job, run: None }).await;
    for status in [described, opened.unwrap_err()] {
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("262145 nodes"), "{status}");
    }
}

#[tokio::test]
async fn whole_batches_are_packed_when_asked_for() {
    let table = write_table(1000);
    let engine = Engine::start(Some(1)).unwrap().with_whole_batches(300);
    let served = serve_from(engine).await;
    let mut client = WorkerClient::new(served.channel.clone());
    let source = TableSource {
        url: table.path().display().to_string(),
        ..Default::default()
    };
    let request = DescribeRequest {
        table: Some(source.clone()),
        plan: Some(plan()),
    };
    let mut messages = client.describe(request).await.unwrap().into_inner();
    let first = messages.message().await.unwrap().unwrap();
    let files = messages.message().await.unwrap().unwrap().files;
    let job = Some(Job {
        table: Some(source),
        snapshot_hash: first.snapshot_hash,
        plan: first.plan,
    });
    let opened = client.open_job(OpenJobRequest { job, run: None }).await;
    let layout = Arc::new(Layout::from_json(&first.layout).unwrap());
    let read = ReadRequest {
        job_hash: opened.unwrap().into_inner().job_hash,
        file: Some(files[0].clone()),
        to_row: 1000,
        ..Default::default()
    };
    let mut messages = client.read(read).await.unwrap().into_inner();
    let mut rows = Vec::new();
    while let Some(message) = messages.message().await.unwrap() {
        if message.summary.is_none() {
            rows.push(Frame::decode(message.frame, &layout).unwrap().batch.rows);
        }
    }
    assert_eq!(rows, [300, 300, 300, 100]);
}

#[tokio::test]
async fn health_is_served() {
    let served = serve().await;
    let request = HealthCheckRequest {
        service: "dpp.v1.Worker".into(),
    };
    let answer = HealthClient::new(served.channel.clone())
        .check(request)
        .await
        .unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

/// A reader may stop copying at the payload: nothing follows it.
#[test]
fn the_payload_is_the_last_field_on_the_wire() {
    let payload = b"tensors".as_slice();
    let message = ReadResponse {
        placed: None,
        frame: payload.into(),
        summary: Some(v1::ReadSummary {
            rows: 3,
            ..Default::default()
        }),
    };
    assert!(message.encode_to_vec().ends_with(payload));
}
