//! What every process of ours does the same: how it is configured, where its log goes, what its metrics show, where it waits, and its last words.

mod config;
mod traces;
mod waiting;

use std::{
    io::{IsTerminal as _, stderr},
    process::ExitCode,
};

use clap::ValueEnum;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, ParseError},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub use self::{
    config::{ConfigFile, parse},
    traces::Traces,
    waiting::runtime,
};
use crate::{Fault, Faulty, fault::message_with_causes};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Where to log or trace to, as it can't be meant.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A `DPP_LOG` that is no filter.
    #[error(
        "DPP_LOG={wanted:?} is no filter, {reason}: write a level (error, warn, info, debug, trace, off), or dpp_worker=debug,warn"
    )]
    Filter {
        /// As the environment has it.
        wanted: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A collector that can't be sent to.
    #[error(
        "traces can't go to {url:?}, {reason}: give http://host:port of an OpenTelemetry collector that takes gRPC"
    )]
    Collector {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Faulty for LogError {
    fn fault(&self) -> Fault {
        Fault::Invalid
    }
}

/// What services log: connections that could not be served as well, which say nothing else anywhere.
pub const SERVICE_LOG: &str = "info,tonic::transport::server=debug";

/// Logs to standard error at `level`, unless `DPP_LOG` (info, dpp_worker=debug, …) says otherwise.
///
/// Does nothing when the process logs already: whoever installed a subscriber keeps theirs.
///
/// # Errors
/// `DPP_LOG` is set and says nothing that can be meant.
pub fn start_log(format: LogFormat, level: &str) -> Result<(), LogError> {
    start(format, level, &Traces::default())
}

/// As [`start_log`] for a service, whose spans go to the collector at `otlp` if there is one. Must be called within a tokio runtime.
///
/// # Errors
/// As [`start_log`], and `otlp` is no address of a collector.
pub fn start_traced_log(
    format: LogFormat,
    service: &'static str,
    otlp: Option<&str>,
) -> Result<Traces, LogError> {
    let traces = otlp.map(|url| Traces::to(url, service)).transpose()?;
    let traces = traces.unwrap_or_default();
    start(format, SERVICE_LOG, &traces)?;
    Ok(traces)
}

fn start(format: LogFormat, level: &str, traces: &Traces) -> Result<(), LogError> {
    let filter = match std::env::var("DPP_LOG") {
        Ok(wanted) => filter(&wanted)?,
        Err(_) => EnvFilter::new(level),
    };
    let lines = fmt::layer()
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    let lines = match format {
        LogFormat::Human => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(traces.layer())
        .try_init();
    Ok(())
}

/// What `wanted` asks for. A word without `=` must be a level: as the name of a module it would silence all others.
fn filter(wanted: &str) -> Result<EnvFilter, LogError> {
    let wrong = |reason: String| LogError::Filter {
        wanted: wanted.to_owned(),
        reason,
    };
    let words = wanted.split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty() && !word.contains(['=', '['])) {
        if word.parse::<LevelFilter>().is_err() {
            return Err(wrong(format!("{word} is no level")));
        }
    }
    wanted
        .parse()
        .map_err(|error: ParseError| wrong(error.to_string()))
}

/// What `/metrics` shows.
#[derive(Clone, Debug)]
pub struct Exporter(PrometheusHandle);

impl Exporter {
    /// Makes Prometheus the process's recorder; `None` when it has another one. Only binaries do this.
    pub fn install() -> Option<Exporter> {
        PrometheusBuilder::new()
            .install_recorder()
            .ok()
            .map(Exporter)
    }

    /// Answers `/metrics`: all metrics of the process, as Prometheus reads them.
    pub fn answer(exporter: Option<&Exporter>) -> http::Response<String> {
        let mut response = http::Response::new(String::new());
        match exporter {
            Some(Exporter(metrics)) => {
                metrics.run_upkeep();
                *response.body_mut() = metrics.render();
                let headers = response.headers_mut();
                headers.insert(http::header::CONTENT_TYPE, AS_TEXT);
            }
            None => {
                *response.status_mut() = http::StatusCode::NOT_FOUND;
                *response.body_mut() = "this process sends its metrics elsewhere\n".to_owned();
            }
        }
        response
    }
}

const AS_TEXT: http::HeaderValue =
    http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The exit status of a process called `name`; an error is printed as one line first.
#[expect(clippy::print_stderr, reason = "a process's last words")]
pub fn exit(name: &str, result: Result<(), impl Faulty>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: error: {}", message_with_causes(&error));
            ExitCode::from(error.fault().exit_status())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_said() {
        for meant in [
            "info",
            "WARN",
            "off",
            "",
            "dpp_worker=debug",
            "dpp_worker=debug,warn",
            "[read]=trace,error",
        ] {
            assert!(filter(meant).is_ok(), "{meant}");
        }
        for wrong in [
            "dpp_worker",
            "infoo",
            "verbose",
            "warn,dpp",
            "dpp_worker=loud",
        ] {
            let said = filter(wrong).unwrap_err().to_string();
            assert!(said.contains(wrong) && said.contains("DPP_LOG"), "{said}");
        }
    }
}
