//! The fleet over plain HTTP: the status page, the same as JSON, Prometheus metrics, and probes.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use dpp_proto::process::Exporter;

use crate::server::Service;

/// `/`, `/api/v1/status`, `/openapi.json`, `/metrics`, `/healthz` and `/readyz`.
pub(crate) fn router(service: Service, exporter: Option<Exporter>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/api/v1/status", get(status))
        .route("/openapi.json", get(|| async { json(OPENAPI.to_owned()) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(service)
        .route(
            "/metrics",
            get(move || async move { Exporter::answer(exporter.as_ref()) }),
        )
}

async fn status(State(service): State<Service>) -> Response {
    json(serde_json::to_string(&service.status()).expect("numbers and names are JSON"))
}

/// Trainers may be sent here at once; whoever scales by the answer waits until it is known.
async fn ready(State(service): State<Service>) -> (StatusCode, &'static str) {
    let known = service.required().borrow().is_some();
    if known {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "required workers are not known yet\n",
        )
    }
}

fn json(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

const PAGE: &str = include_str!("http/page.html");
const OPENAPI: &str = include_str!("http/openapi.json");
