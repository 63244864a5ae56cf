//! The fleet behind gRPC, with health and reflection, and behind plain HTTP on the same port.
//!
//! Requests enter over a bound listener, meet the fleet under one short lock, and are answered from memory.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use dpp_proto::{
    DESCRIPTORS, Faulty as _,
    access::{Admitted, Gate, Role},
    intake::{self, Intake},
    keda,
    listen::{self, Listener},
    process::Exporter,
    v1::{
        DrainRequest, DrainResponse, HeartbeatRequest, HeartbeatResponse, ListWorkersRequest,
        ListWorkersResponse, StatusRequest, StatusResponse, WorkerEntry,
        fleet_server::{Fleet as FleetCalls, FleetServer},
    },
};
use tokio::sync::watch;
use tonic::{
    Request, Response, Status,
    service::{Routes, interceptor::InterceptedService},
};
use tracing::warn;

use crate::{
    Error,
    fleet::{Fleet, Settings},
    http, metrics,
    scaler::Scaler,
};

/// Serves until `shutdown` completes, then answers what is under way and returns.
///
/// Calls still open a few seconds later (health watchers, say) are cut. `exporter` is what `/metrics` shows.
///
/// # Errors
/// [`listen::Error::Serve`] when the transport fails.
pub async fn serve(
    listener: Listener,
    service: Service,
    exporter: Option<Exporter>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    serve_to(Gate::default(), listener, service, exporter, shutdown).await
}

/// As [`serve`], the fleet's own calls to whom `gate` lets in. Health, reflection, KEDA's calls and plain HTTP, which change
/// nothing, are for whoever reaches the listener.
///
/// # Errors
/// As [`serve`].
pub async fn serve_to(
    gate: Gate,
    listener: Listener,
    service: Service,
    exporter: Option<Exporter>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    metrics::describe();
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<FleetServer<Service>>().await;
    let calls = Intake::new(FleetServer::new(service.clone()), LIMITS);
    let scaler =
        keda::external_scaler_server::ExternalScalerServer::new(Scaler::new(service.clone()))
            .max_decoding_message_size(intake::SMALL);
    let routes = Routes::from(http::router(service.clone(), exporter))
        .add_service(InterceptedService::new(calls, gate))
        .add_service(scaler)
        .add_service(health_service.max_decoding_message_size(intake::SMALL))
        .add_service(reflection().max_decoding_message_size(intake::SMALL));
    let router = listener.server()?.accept_http1(true).add_routes(routes);
    let shutdown = async {
        shutdown.await;
        health.set_not_serving::<FleetServer<Service>>().await;
    };
    tokio::select! {
        served = listen::serve(router, listener, shutdown, DRAIN) => Ok(served?),
        () = service.decide_for_ever() => unreachable!("it never ends"),
    }
}

/// The fleet, the clock it is asked with, and who wants to hear what it decides. Clones share them.
#[derive(Clone, Debug)]
pub struct Service(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    fleet: Mutex<Fleet>,
    started: Instant,
    heartbeat: Duration,
    required: watch::Sender<Option<u32>>,
}

impl Service {
    /// A service that knows nobody yet.
    pub fn new(settings: Settings) -> Service {
        let heartbeat = settings.registry.heartbeat_every;
        let began = SystemTime::now().duration_since(UNIX_EPOCH);
        // Any number that the service before this one has not used.
        let version = began.map_or(1, |since| since.as_secs() << 20);
        Service(Arc::new(Shared {
            fleet: Mutex::new(Fleet::new(settings, version)),
            started: Instant::now(),
            heartbeat,
            required: watch::Sender::new(None),
        }))
    }

    /// Workers required, and every change; `None` while that is not known.
    pub fn required(&self) -> watch::Receiver<Option<u32>> {
        self.0.required.subscribe()
    }

    /// How often workers beat, and decisions are made.
    pub fn heartbeat_every(&self) -> Duration {
        self.0.heartbeat
    }

    /// Runs, workers, and what is required.
    pub fn status(&self) -> StatusResponse {
        let now = self.now();
        self.fleet().status(now)
    }

    /// Workers that are there.
    pub(crate) fn workers(&self) -> Vec<WorkerEntry> {
        let now = self.now();
        self.fleet().workers(now)
    }

    /// A worker on this machine is known to be gone.
    pub(crate) fn forget(&self, worker_id: &str) {
        self.fleet().forget(worker_id);
    }

    /// Asks workers to leave.
    pub(crate) fn drain(&self, workers: Vec<String>) -> DrainResponse {
        self.fleet().drain(DrainRequest { workers })
    }

    async fn decide_for_ever(&self) {
        let mut beat = tokio::time::interval(self.0.heartbeat);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let now = self.now();
            let mut fleet = self.fleet();
            let decision = fleet.tick(now).clone();
            let (workers, ranks) = fleet.sizes();
            drop(fleet);
            metrics::decided(&decision, workers, ranks);
            self.0.required.send_if_modified(|required| {
                std::mem::replace(required, decision.required) != decision.required
            });
        }
    }

    fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The fleet stays consistent between its methods, so a panic elsewhere does not spoil it.
    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.0.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl FleetCalls for Service {
    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        Admitted::of(&request)?.must_be(Role::Worker)?;
        let now = self.now();
        let taken = self.fleet().heartbeat(request.get_ref(), now);
        metrics::heartbeat(taken.is_ok());
        taken
            .map(Response::new)
            .map_err(|error| refuse(&error, "heartbeat"))
    }

    async fn list_workers(
        &self,
        request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        Admitted::of(&request)?;
        let now = self.now();
        let listed = self.fleet().list(request.into_inner(), now);
        metrics::list();
        listed
            .map(Response::new)
            .map_err(|error| refuse(&error, "report"))
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        Admitted::of(&request)?;
        Ok(Response::new(Service::status(self)))
    }

    async fn drain(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<DrainResponse>, Status> {
        Admitted::of(&request)?.must_be(Role::Operator)?;
        let drained = Service::drain(self, request.into_inner().workers);
        tracing::info!(workers = ?drained.draining, "asked to leave");
        Ok(Response::new(drained))
    }
}

fn refuse(error: &Error, what: &str) -> Status {
    warn!(%error, "refused a {what}");
    error.to_status()
}

fn reflection() -> tonic_reflection::server::v1::ServerReflectionServer<
    impl tonic_reflection::server::v1::ServerReflection,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were encoded by our own build")
}

/// A heartbeat has some kilobytes; the largest call asks 20,000 workers to leave.
const LIMITS: intake::Limits = intake::Limits {
    most_bytes: 2 << 20,
    most_memory: 16 << 20,
    advice: "name fewer workers or runs at a time",
};
/// Calls are answered from memory: whatever is still open after this long is waiting for us, not we for it.
const DRAIN: Duration = Duration::from_secs(3);
