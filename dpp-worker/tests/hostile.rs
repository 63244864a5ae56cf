//! What comes to a worker from those who mean no good, or know no better: each is refused, the streams of others go on, and memory
//! stays where it is.

#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(dead_code, reason = "each test uses some of it")]
mod worker;

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::Duration,
};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_proto::v1::{
    DescribeRequest, Job, OpenJobRequest, TableSource, worker_client::WorkerClient,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use parquet::file::properties::WriterProperties;
use rustix::process::{Resource, getrlimit, setrlimit};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Bytes, Service as _, http},
    transport::{Channel, Endpoint},
};

use crate::worker::{OpenJob, WorkerProcess, drain, open_job, read, write_table};

const ROWS: u16 = 50_000;
/// Connections at a time.
const CROWD: usize = 10_000;
const PLAN: &str = r#"{"nodes": [{"feature": "x"}], "dense": [{"name": "x", "node": 0}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_and_other_streams_go_on() {
    let values: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS).map(f32::from)));
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let table = write_table(&batch, WriterProperties::builder());
    let url = table.path().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let worker = WorkerProcess::start_logging("128MiB", File::create(&log).unwrap().into());
    let mut client = worker.client().await;
    let job = open_job(&mut client, url.clone(), PLAN).await;
    let under_way = read(&mut client, &job, 0..ROWS.into(), 1000).await.unwrap();
    goes_on(&mut client, &job, "nothing yet").await;
    let before = worker.peak_bytes();

    for length in [1, 24, 1000, 100_000] {
        closed(&worker.address, &garbage(length));
        goes_on(&mut client, &job, "garbage").await;
    }
    let too_long = [PREFACE, b"\xff\xff\xff\x01\x04\0\0\0\x01", &[0; 1000]].concat();
    closed(&worker.address, &too_long);
    closed(
        &worker.address,
        b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
    );
    // held open, in the middle of a frame, of a header, of nothing
    let half_frame = [PREFACE, b"\0\0\x64\x01\x04\0\0\0\x01half"].concat();
    let held = [&half_frame[..], b"GET / HTTP/1.1\r\nhost: a", b"", b"PRI"].map(|said| {
        let mut connection = TcpStream::connect(&worker.address).unwrap();
        connection.write_all(said).unwrap();
        connection
    });
    goes_on(&mut client, &job, "half frames").await;
    malformed_messages_have_a_status(&worker.address).await;
    goes_on(&mut client, &job, "malformed messages").await;
    what_can_not_be_meant_has_a_status(&mut client, &url).await;
    goes_on(&mut client, &job, "senseless requests").await;
    let crowd = many_connections(&worker.address).await;
    if crowd.len() < CROWD {
        eprintln!(
            "NOT TESTED: {CROWD} connections, only {}: a process may have no more files here",
            crowd.len()
        );
    }
    goes_on(&mut client, &job, "a crowd").await;
    drop((held, crowd));

    assert_eq!(drain(under_way).await.unwrap(), u64::from(ROWS));
    let (peak, log) = (worker.peak_bytes(), std::fs::read_to_string(log).unwrap());
    eprintln!("peak {} MiB, {} MiB before", peak >> 20, before >> 20);
    assert!(peak < before + (96 << 20), "{peak} {before}");
    for line in [
        "failed serving connection",
        "refused",
        "more memory than",
        "gopher",
    ] {
        assert!(
            log.contains(line),
            "no line with {line:?} in the log: {log}"
        );
    }
}

/// A client that was there before reads rows.
async fn goes_on(client: &mut WorkerClient<Channel>, job: &OpenJob, while_what: &str) {
    let reading = async {
        drain(read(client, job, 0..1000, 1000).await.unwrap())
            .await
            .unwrap()
    };
    let rows = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert_eq!(rows.expect(while_what), 1000, "{while_what}");
}

/// Says it, and hears the worker hang up.
fn closed(address: &str, said: &[u8]) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // it may have hung up before all was said
    let _ = connection.write_all(said);
    let _ = connection.shutdown(Shutdown::Write);
    let heard = connection.read_to_end(&mut Vec::new());
    let has_hung_up = |error: &std::io::Error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        )
    };
    assert!(heard.as_ref().err().is_none_or(has_hung_up), "{heard:?}");
}

/// The same bytes every time, none of which means anything.
fn garbage(length: u32) -> Vec<u8> {
    let mixed = (0..length).map(|at| (at ^ 0x5bd1).wrapping_mul(0x9e37_79b1));
    mixed.map(|mixed| mixed.to_le_bytes()[2]).collect()
}

/// A message's length may be any number, and its bytes anything.
async fn malformed_messages_have_a_status(address: &str) {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut channel = endpoint.connect().await.unwrap();
    let whole = [&[0, 0, 0, 3, 232][..], &garbage(1000)].concat();
    for method in ["Describe", "OpenJob", "Read"] {
        for (bytes, code) in [
            (&b"\0\xff\xff\xff\xff"[..], Code::OutOfRange),
            (b"\0\0\0\0\x64short", Code::Internal),
            (b"\x01\0\0\0\x01x", Code::Internal),
            (&whole, Code::Internal),
            (
                b"",
                if method == "Read" {
                    Code::InvalidArgument
                } else {
                    Code::Internal
                },
            ),
        ] {
            let body = Body::new(Full::new(Bytes::copy_from_slice(bytes)));
            let request = http::Request::post(format!("/dpp.v1.Worker/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(body)
                .unwrap();
            std::future::poll_fn(|context| channel.poll_ready(context))
                .await
                .unwrap();
            let status = status(channel.call(request).await.unwrap()).await;
            assert_eq!(
                status.code(),
                code,
                "{method} {} bytes: {status:?}",
                bytes.len()
            );
        }
    }
}

/// An answer's status, from its headers or what follows its body.
async fn status(answer: http::Response<Body>) -> Status {
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let body = answer.into_body().collect().await.unwrap();
    Status::from_header_map(body.trailers().unwrap()).unwrap()
}

async fn what_can_not_be_meant_has_a_status(client: &mut WorkerClient<Channel>, url: &str) {
    let unknown = ("none".to_owned(), Default::default());
    let refused = read(client, &unknown, 0..10, 10).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");

    let table = |url: &str| {
        Some(TableSource {
            url: url.to_owned(),
            ..Default::default()
        })
    };
    for url in ["gopher://host/table", "http://169.254.169.254/", ""] {
        let request = DescribeRequest {
            table: table(url),
            plan: None,
        };
        let refused = client.describe(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{url:?}: {refused}");
    }

    let mut plan = dpp_ops::Plan::from_json(PLAN).unwrap().to_proto();
    plan.nodes.resize(1_000_000, plan.nodes[0].clone());
    let job = Some(Job {
        table: table(url),
        plan: Some(plan),
        ..Default::default()
    });
    let refused = client.open_job(OpenJobRequest { job, run: None }).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

/// Ten thousand connections that say nothing, or as many as the system lets a process have.
async fn many_connections(address: &str) -> Vec<tokio::net::TcpStream> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let most = files.maximum.unwrap_or(u64::MAX).saturating_sub(500);
    let count = usize::try_from(most).map_or(CROWD, |most| most.min(CROWD));
    let connecting = (0..count).map(|_| tokio::net::TcpStream::connect(address));
    let connected = stream::iter(connecting).buffer_unordered(64);
    connected.try_collect().await.unwrap()
}

/// What HTTP/2 begins with, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
