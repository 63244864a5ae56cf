//! The worker over plain HTTP, on the port of its calls: probes and Prometheus metrics. Nothing of tables is told here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use dpp_proto::process::Exporter;

/// Whether the worker takes new reads. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving(Arc<AtomicBool>);

impl Leaving {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `/metrics`, `/healthz` and `/readyz`.
pub(crate) fn router(leaving: Leaving, exporter: Option<Exporter>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(leaving)
        .route(
            "/metrics",
            get(move || async move { Exporter::answer(exporter.as_ref()) }),
        )
}

async fn ready(State(leaving): State<Leaving>) -> (StatusCode, &'static str) {
    if leaving.0.load(Ordering::Relaxed) {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "leaving: reads under way finish\n",
        )
    } else {
        (StatusCode::OK, "ok\n")
    }
}
