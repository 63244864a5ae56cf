//! What a worker holds of requests is bounded: however little of one becomes much, and however many come at once.

#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(dead_code, reason = "each test uses some of it")]
mod worker;

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_proto::v1::{
    Feature, Job, Kind, Node, Op, OpenJobRequest, Output, Parameter, Plan, StatsRequest,
    TableSource, Value, node, value, worker_client::WorkerClient,
};
use futures::future::join_all;
use http_body_util::{BodyExt as _, Full};
use parquet::file::properties::WriterProperties;
use prost::Message as _;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Bytes, Service as _, http},
    transport::{Channel, Endpoint},
};

use crate::worker::{OpenJob, WorkerProcess, drain, open_job, read, write_table};

const PLAN: &str = r#"{"nodes": [{"feature": "x"}], "dense": [{"name": "x", "node": 0}]}"#;
const ROWS: u16 = 20_000;
const CONNECTIONS: usize = 16;
/// What requests may take, however many there are: those that arrive, their copy while they are decoded, what they become.
const MOST_MORE: u64 = 48 << 20;
/// With the largest plan compiled, and others kept for those who read.
const MOST_MORE_OPEN: u64 = 96 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_unfold_take_little_and_reads_go_on() {
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS).map(f32::from)));
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let table = write_table(&batch, WriterProperties::builder());
    let url = table.path().display().to_string();
    let worker = WorkerProcess::start_with(&["--memory", "128MiB"], Stdio::null());
    let mut client = worker.client().await;
    let job = open_job(&mut client, url.clone(), PLAN).await;
    for _ in 0..4 {
        drain(read(&mut client, &job, 0..ROWS.into(), 1000).await.unwrap())
            .await
            .unwrap();
    }
    let before = worker.peak_bytes();
    let ended = Arc::new(AtomicBool::new(false));
    let going_on = tokio::spawn(go_on(client.clone(), job, ended.clone()));
    for (name, request) in hostile() {
        let connections = (0..CONNECTIONS).map(|_| refused(&worker.address, &request));
        let codes = join_all(connections).await;
        let peak = worker.peak_bytes();
        eprintln!(
            "{name}, {} bytes: {:?}, {} MiB more",
            request.len(),
            codes[0],
            (peak - before) >> 20
        );
        let busy = [Code::Unavailable, Code::DeadlineExceeded];
        let says_so = |code: &Code| busy.contains(code) || *code == codes[0];
        assert!(codes.iter().all(says_so), "{name}: {codes:?}");
        assert!(
            [Code::InvalidArgument, Code::OutOfRange, Code::Internal].contains(&codes[0]),
            "{name}: {codes:?}"
        );
        assert!(peak < before + MOST_MORE, "{name}: {peak} {before}");
    }
    ended.store(true, Ordering::Relaxed);
    let turns = going_on.await.unwrap();
    assert!(turns > 3, "reads went on: {turns}");
    for features in [10_000, 2_500, 2_501, 2_502, 2_503] {
        opens(&mut client, &url, plan(features)).await;
        let peak = worker.peak_bytes();
        eprintln!("{features} features: {} MiB more", (peak - before) >> 20);
        assert!(peak < before + MOST_MORE_OPEN, "{peak} {before}");
    }
    let known = client
        .stats(StatsRequest {})
        .await
        .unwrap()
        .into_inner()
        .jobs;
    assert!(
        (1..=3).contains(&known),
        "large jobs are forgotten: {known}"
    );
}

/// One client reads the same rows again and again, each time within seconds. How often it did.
async fn go_on(mut client: WorkerClient<Channel>, job: OpenJob, ended: Arc<AtomicBool>) -> u32 {
    let mut turns = 0;
    while !ended.load(Ordering::Relaxed) {
        let reading = async {
            let messages = read(&mut client, &job, 0..1000, 1000).await.unwrap();
            assert_eq!(drain(messages).await.unwrap(), 1000);
        };
        let reading = tokio::time::timeout(Duration::from_secs(10), reading);
        reading.await.expect("rows of another client");
        turns += 1;
    }
    turns
}

/// Requests to open a job, as large as they may be, of what becomes most.
fn hostile() -> Vec<(&'static str, Bytes)> {
    let nodes = |node: &[u8], count| in_plan([&[2 << 3 | 2], node].concat().repeat(count));
    // its name is empty, and its value not there
    let parameters = within(&[2, 3], [3 << 3 | 2, 0].repeat(4_000_000));
    let inputs = within(&[2, 3, 2], vec![0; 5_000_000]);
    let conditions = (0..20_000).fold(Vec::new(), |inner, _| prefixed(4, inner));
    vec![
        ("8 million nodes of two bytes", nodes(&[0], 8_000_000)),
        ("as many as are taken", nodes(&[0], 170_000)),
        (
            "300,000 nodes",
            nodes(b"\x0e\x0a\x0c\x0a\x0afeature_01", 300_000),
        ),
        ("4 million parameters", in_plan(parameters)),
        ("5 million inputs", in_plan(inputs)),
        ("a name", within(&[2, 1], vec![b'x'; 16_000_000]).into()),
        ("conditions in conditions", in_plan(prefixed(9, conditions))),
        ("17 MiB", vec![0; 17 << 20].into()),
    ]
}

fn in_plan(plan: Vec<u8>) -> Bytes {
    within(&[1, 3], plan).into()
}

/// Bytes as fields of these numbers, each within the one before.
fn within(numbers: &[u8], bytes: Vec<u8>) -> Vec<u8> {
    let inside_out = numbers.iter().rev();
    inside_out.fold(bytes, |inner, number| prefixed(*number, inner))
}

fn prefixed(number: u8, bytes: Vec<u8>) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
    field.extend(bytes);
    field
}

fn request(plan: &Plan, url: &str) -> Bytes {
    let request = OpenJobRequest {
        job: Some(Job {
            table: Some(TableSource {
                url: url.to_owned(),
                ..TableSource::default()
            }),
            plan: Some(plan.clone()),
            ..Job::default()
        }),
        run: None,
    };
    request.encode_to_vec().into()
}

/// The code with which a call is refused, on a connection of its own.
async fn refused(address: &str, message: &Bytes) -> Code {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut channel = endpoint.connect().await.unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], message].concat();
    let request = http::Request::post("/dpp.v1.Worker/OpenJob")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(body))))
        .unwrap();
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .unwrap();
    let answer = channel.call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status.code();
    }
    let body = answer.into_body().collect().await.unwrap();
    let status = Status::from_header_map(body.trailers().unwrap());
    status.unwrap().code()
}

async fn opens(client: &mut WorkerClient<Channel>, url: &str, plan: Plan) {
    let bytes = request(&plan, url);
    let request = OpenJobRequest::decode(bytes).unwrap();
    client.open_job(request).await.unwrap();
}

/// So many features, each filled, clamped and its logarithm taken.
fn plan(features: usize) -> Plan {
    let mut plan = Plan::default();
    for feature in 0..features {
        let name = format!("feature_{feature:05}");
        let first = u32::try_from(plan.nodes.len()).unwrap();
        plan.nodes.push(Node {
            node: Some(node::Node::Feature(Feature {
                name: name.clone(),
                kind: Kind::Dense.into(),
                width: 0,
            })),
        });
        let real = |name: &str| Parameter {
            name: name.to_owned(),
            value: Some(Value {
                value: Some(value::Value::Real(0.0)),
            }),
        };
        let ops = [
            ("fill_null", vec![real("value")]),
            ("clamp", vec![real("min")]),
            ("log1p", vec![]),
        ];
        for (input, (op, parameters)) in (first..).zip(ops) {
            plan.nodes.push(Node {
                node: Some(node::Node::Op(Op {
                    name: op.to_owned(),
                    inputs: vec![input],
                    parameters,
                })),
            });
        }
        plan.dense.push(Output {
            name,
            node: first + 3,
        });
    }
    plan
}
