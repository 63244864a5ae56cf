//! Spans of a real worker, as a collector receives them.

#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(dead_code, reason = "each test uses some of it")]
mod worker;

use std::{process::Stdio, sync::Arc};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span},
};
use parquet::file::properties::WriterProperties;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::worker::{WorkerProcess, drain, open_job, read, write_table};

/// Hands on what it receives.
struct Collector(mpsc::UnboundedSender<ResourceSpans>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for spans in request.into_inner().resource_spans {
            self.0.send(spans).unwrap();
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_hears_of_jobs_and_reads_and_what_they_did() {
    const ROWS: u16 = 20_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut received) = mpsc::unbounded_channel();
    let serving = Server::builder()
        .add_service(TraceServiceServer::new(Collector(sender)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);

    let values: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS).map(f32::from)));
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let table = write_table(&batch, WriterProperties::builder());
    let plan = r#"{"nodes": [{"feature": "x"}], "dense": [{"name": "x", "node": 0}]}"#;
    let worker = WorkerProcess::start_with(&["--otlp", &collector], Stdio::inherit());
    let mut client = worker.client().await;
    let job = open_job(&mut client, table.path().display().to_string(), plan).await;
    let messages = read(&mut client, &job, 0..ROWS.into(), 1000).await;
    assert_eq!(drain(messages.unwrap()).await.unwrap(), u64::from(ROWS));
    drop(client);
    terminate(worker); // which sends what is left

    let mut spans = Vec::new();
    while let Ok(of_worker) = received.try_recv() {
        let resource = of_worker.resource.unwrap();
        assert_eq!(text(&resource.attributes, "service.name"), "dpp-worker");
        spans.extend(
            of_worker
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans),
        );
    }
    serving.abort();
    let named =
        |name: &str| -> Vec<&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let (opened, reads) = (named("open_job"), named("read"));
    assert_eq!((opened.len(), reads.len()), (1, 1), "{spans:#?}");
    assert_eq!(text(&opened[0].attributes, "job"), job.0);
    let read = reads[0];
    assert_eq!(text(&read.attributes, "job"), job.0);
    assert_eq!(text(&read.attributes, "file"), "part-0.parquet");
    assert_eq!(number(&read.attributes, "rows"), i64::from(ROWS));
    assert!(number(&read.attributes, "bytes") > 0);
    assert!(number(&read.attributes, "sent_bytes") >= 4 * i64::from(ROWS));
    let rows = i64::from(ROWS);
    for (name, counted, least) in [
        ("fetch", "bytes", 1),
        ("decode", "rows", rows),
        ("transform", "bytes", 4 * rows),
    ] {
        let parts = named(name);
        let sum: i64 = parts
            .iter()
            .map(|part| number(&part.attributes, counted))
            .sum();
        assert!(sum >= least, "{name} {counted}: {sum}");
        for part in &parts {
            assert_eq!(
                part.parent_span_id, read.span_id,
                "{name} is a part of the read"
            );
            assert!(part.end_time_unix_nano <= read.end_time_unix_nano);
        }
    }
    assert!(
        named("wait_for_client")
            .iter()
            .all(|part| part.parent_span_id == read.span_id)
    );
}

fn terminate(mut worker: WorkerProcess) {
    let id = i32::try_from(worker.process.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    assert!(worker.process.wait().unwrap().success());
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> &'a Value {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    let found = found.unwrap_or_else(|| panic!("no {key} among {attributes:?}"));
    found.value.as_ref().unwrap().value.as_ref().unwrap()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    match value(attributes, key) {
        Value::StringValue(text) => text,
        other => panic!("{key} is {other:?}"),
    }
}

fn number(attributes: &[KeyValue], key: &str) -> i64 {
    match value(attributes, key) {
        Value::IntValue(number) => *number,
        other => panic!("{key} is {other:?}"),
    }
}
