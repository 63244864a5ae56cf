//! Spans, as OpenTelemetry has them, for a collector that somebody names. Nothing is traced where nobody does.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::LogError;

/// Spans on their way to a collector: those left are sent when this is dropped.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends what `service` does to the collector at `url` by gRPC, in the background. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LogError::Collector`] when `url` is none.
    pub(super) fn to(url: &str, service: &'static str) -> Result<Traces, LogError> {
        let wrong = |reason: String| LogError::Collector {
            url: url.to_owned(),
            reason,
        };
        if !url.starts_with("http://") {
            return Err(wrong("it is no http:// address".to_owned()));
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(url)
            .with_timeout(SENT_WITHIN)
            .build();
        let exporter = exporter.map_err(|error| wrong(error.to_string()))?;
        let ourselves = Resource::builder().with_service_name(service).build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(ourselves)
            .build();
        Ok(Traces(Some(provider)))
    }

    /// What makes spans of tracing's.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let provider = self.0.as_ref()?;
        let ours = Targets::new().with_target("dpp_worker", LevelFilter::DEBUG);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("dpp"))
            .with_location(false)
            .with_threads(false);
        Some(layer.with_filter(ours))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // the collector is gone, then, and so is what it was to hear
            let _ = provider.shutdown_with_timeout(SENT_WITHIN);
        }
    }
}

/// A collector is beside us; one that is not must not hold up an end.
const SENT_WITHIN: Duration = Duration::from_secs(3);
