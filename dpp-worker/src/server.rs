//! The engine behind gRPC: requests become calls, frames become messages.

use std::{pin::Pin, sync::Arc, time::Duration};

use dpp_proto::{
    DESCRIPTORS, Faulty as _,
    access::{Admitted, Gate, Role},
    intake::{self, Intake},
    listen::{self, Address, Listener},
    process::Exporter,
    shared::{self, Arenas},
    stream::{Message, ReadMethod, Reads},
    v1::{
        DescribeRequest, DescribeResponse, OpenJobRequest, OpenJobResponse, ReadRequest,
        ReadResponse, StatsRequest, StatsResponse,
        worker_server::{Worker, WorkerServer},
    },
};
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    service::{Routes, interceptor::InterceptedService},
    transport::server::UdsConnectInfo,
};

use crate::{
    Engine, Error, Rights,
    engine::{Description, ReadEvent},
    http::{self, Leaving},
};

/// Serves until `shutdown` completes; then readiness goes first, and reads under way may finish.
///
/// # Errors
/// [`listen::Error::Serve`] when the transport fails.
pub async fn serve(
    engine: Arc<Engine>,
    listener: Listener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    serve_to(Gate::default(), engine, listener, None, shutdown).await
}

/// As [`serve`], to whom `gate` lets in, and then what their tokens claim. Probes and metrics over plain HTTP, which tell nothing of
/// tables, are for whoever reaches the listener; `exporter` is what `/metrics` shows.
///
/// # Errors
/// As [`serve`].
pub async fn serve_to(
    gate: Gate,
    engine: Arc<Engine>,
    listener: Listener,
    exporter: Option<Exporter>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let leaving = Leaving::default();
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<WorkerServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were encoded by our own build");
    let limits = limits(&engine);
    let arenas = arenas(&engine, &listener).await;
    let service = Service {
        arenas: arenas.clone(),
        engine,
    };
    let worker = WorkerServer::new(service.clone())
        .max_decoding_message_size(MOST_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX);
    let worker = Reads::new(service, worker, MOST_REQUEST_BYTES);
    let worker = InterceptedService::new(Intake::new(worker, limits), gate);
    let routes = Routes::from(http::router(leaving.clone(), exporter))
        .add_service(worker)
        .add_service(health_service.max_decoding_message_size(intake::SMALL))
        .add_service(reflection.max_decoding_message_size(intake::SMALL));
    let router = listener
        .server()?
        .accept_http1(true)
        .max_concurrent_streams(MOST_STREAMS)
        .add_routes(routes);
    let shutdown = async {
        shutdown.await;
        leaving.begin();
        if let Some(arenas) = arenas {
            arenas.close();
        }
        health.set_not_serving::<WorkerServer<Service>>().await;
    };
    Ok(listen::serve(router, listener, shutdown, DRAIN).await?)
}

/// The `Worker` service.
#[derive(Clone)]
struct Service {
    engine: Arc<Engine>,
    /// What trainers of this machine are given, where they can ask for it.
    arenas: Option<Arc<Arenas>>,
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Worker for Service {
    type DescribeStream = Messages<DescribeResponse>;
    type ReadStream = Messages<ReadResponse>;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<Self::DescribeStream>, Status> {
        let rights = rights(&request)?;
        let DescribeRequest { table, plan } = request.into_inner();
        let source = table.ok_or_else(|| Status::invalid_argument("describe names a table"))?;
        let described = self.engine.describe_for(&rights, &source, plan).await;
        let described = described.map_err(refuse)?;
        Ok(Response::new(
            stream::iter(description_messages(described))
                .map(Ok)
                .boxed(),
        ))
    }

    async fn open_job(
        &self,
        request: Request<OpenJobRequest>,
    ) -> Result<Response<OpenJobResponse>, Status> {
        let rights = rights(&request)?;
        let job = request
            .into_inner()
            .job
            .ok_or_else(|| Status::invalid_argument("open_job carries a job"))?;
        let job_hash = self
            .engine
            .open_job_for(&rights, &job)
            .await
            .map_err(refuse)?;
        Ok(Response::new(OpenJobResponse { job_hash }))
    }

    /// [`Reads`] answers before it comes to this.
    async fn read(&self, _: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        Err(Status::internal("a read passed by those who answer it"))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Ok(Response::new(self.engine.stats()))
    }
}

impl ReadMethod for Service {
    type Messages = BoxStream<'static, Result<Message, Status>>;

    fn read(&self, request: Request<ReadRequest>) -> Result<Self::Messages, Status> {
        let (rights, client) = (rights(&request)?, client(&request));
        let request = request.into_inner();
        let arenas = self.arenas.as_ref();
        let writer = arenas.and_then(|arenas| arenas.writer(&request.shared_memory));
        let events = self
            .engine
            .read_for(&rights, &client, request)
            .map_err(refuse)?;
        let messages = ReceiverStream::new(events);
        let messages = messages.map(|event| event.map(message).map_err(refuse));
        Ok(match writer {
            Some(writer) => writer.messages(messages).boxed(),
            None => messages.boxed(),
        })
    }
}

fn message(event: ReadEvent) -> Message {
    match event {
        ReadEvent::Frame(frame) => Message::Frame(frame.pieces().into_iter().collect()),
        ReadEvent::Summary(summary) => Message::Summary(summary),
    }
}

/// Memory for trainers of this machine: they come by a Unix socket.
async fn arenas(engine: &Engine, listener: &Listener) -> Option<Arc<Arenas>> {
    let Address::Unix(path) = listener.address() else {
        return None;
    };
    let bytes = engine.shared_memory();
    if bytes < shared::LEAST_BYTES {
        return None;
    }
    match Arenas::listen(&path, bytes).await {
        Ok(arenas) => Some(Arc::new(arenas)),
        Err(error) => {
            tracing::warn!(%error, "sharing no memory: frames go by the socket alone");
            None
        }
    }
}

/// What the caller may read.
fn rights<T>(request: &Request<T>) -> Result<Rights, Status> {
    let admitted = Admitted::of(request)?;
    admitted.must_be(Role::Trainer)?;
    Ok(Rights::of(&admitted))
}

/// What requests under way may take, beside what reads hold.
fn limits(engine: &Engine) -> intake::Limits {
    let memory = engine.memory_limit().unwrap_or(u64::MAX) / REQUESTS_IN_MEMORY;
    let memory = memory.clamp(LEAST_FOR_REQUESTS, MOST_FOR_REQUESTS);
    intake::Limits {
        most_bytes: MOST_REQUEST_BYTES,
        most_memory: usize::try_from(memory).unwrap_or(usize::MAX),
        advice: "leave out of the plan what is not needed, or give the worker more --memory, of which a request takes a quarter",
    }
}

/// Names the connection, or at least the process or the run, that a request came from.
fn client(request: &Request<ReadRequest>) -> String {
    let process = || {
        let connection = request.extensions().get::<UdsConnectInfo>()?;
        let process = connection.peer_cred?.pid()?;
        Some(format!("process {process}"))
    };
    let address = request.remote_addr().map(|address| address.to_string());
    let run = || format!("run {}", request.get_ref().run);
    address.or_else(process).unwrap_or_else(run)
}

/// The first message carries everything but files; files follow in messages far below gRPC's default limit of 4 MiB.
fn description_messages(described: Description) -> Vec<DescribeResponse> {
    let (plan, layout) = described.plan.unzip();
    let first = DescribeResponse {
        schema: Some(described.schema),
        plan,
        layout: layout
            .map(|layout| layout.to_json().into())
            .unwrap_or_default(),
        snapshot_hash: described.snapshot.hash().to_owned(),
        files: Vec::new(),
    };
    let files = described.snapshot.files().chunks(FILES_PER_MESSAGE);
    let rest = files.map(|files| DescribeResponse {
        files: files.to_vec(),
        ..Default::default()
    });
    std::iter::once(first).chain(rest).collect()
}

fn refuse(error: Error) -> Status {
    match error {
        // No worker would do better, and this one has not failed.
        Error::MadeWay => return Status::aborted(error.to_string()),
        Error::UnknownJob { .. } | Error::Full { .. } | Error::Busy { .. } => {
            tracing::debug!(%error, "refused; the client asks again")
        }
        _ => tracing::warn!(%error, "refused"),
    }
    error.to_status()
}

/// A plan of 20,000 features with a number of values for each.
const MOST_REQUEST_BYTES: usize = 16 << 20;
/// A plan of ten thousand features and what is done with each.
const LEAST_FOR_REQUESTS: u64 = 32 << 20;
const MOST_FOR_REQUESTS: u64 = 256 << 20;
const REQUESTS_IN_MEMORY: u64 = 4;
/// Reads that one trainer may have under way on a connection, and then some: one it needs must never wait for others.
const MOST_STREAMS: u32 = 16_384;
const FILES_PER_MESSAGE: usize = 4096;
/// Reads under way may finish for this long after a signal.
const DRAIN: Duration = Duration::from_secs(20);
