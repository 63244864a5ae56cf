//! `dpp serve`: the worker and the fleet, as their own binaries run them.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use dpp_ops::Registry;
use dpp_proto::process::{LogFormat, SERVICE_LOG, start_log, start_traced_log};

use crate::error::Error;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    service: Service,

    /// How log lines look; what is logged follows DPP_LOG (info, dpp_fleet=debug, …)
    #[arg(
        long,
        global = true,
        value_enum,
        env = "DPP_LOG_FORMAT",
        default_value = "human"
    )]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Service {
    /// Turn rows into frames for trainers (as dpp-worker)
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(Box<dpp_worker::command::Arguments>),
    /// Know the workers that are there, tell trainers, and say how many are required (as dpp-fleet)
    #[command(after_help = FLEET_EXAMPLES)]
    Fleet(Box<dpp_fleet::command::Arguments>),
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let format = arguments.log_format;
    crate::runtime()?.block_on(async {
        match arguments.service {
            Service::Worker(worker) => {
                let _traces = start_traced_log(format, "dpp-worker", worker.otlp.as_deref())?;
                dpp_worker::command::run(*worker, Registry::standard()).await?;
            }
            Service::Fleet(fleet) => {
                start_log(format, SERVICE_LOG)?;
                dpp_fleet::command::run(*fleet, worker_command()).await?;
            }
        }
        Ok(())
    })
}

/// What makes a worker on this machine: this program, or the `dpp` beside the interpreter that runs us.
fn worker_command() -> Vec<OsString> {
    let here = std::env::current_exe().unwrap_or_default();
    let beside = here.with_file_name("dpp");
    let program = if beside.is_file() {
        beside
    } else {
        "dpp".into()
    };
    [program.into(), "serve".into(), "worker".into()].into()
}

const EXAMPLES: &str = "\
Examples:
  dpp serve fleet --listen 127.0.0.1:7400
  dpp serve worker --fleet fleet://127.0.0.1:7400";

const WORKER_EXAMPLES: &str = "\
Examples:
  dpp serve worker
  dpp serve worker --listen 127.0.0.1:0 --fleet fleet://127.0.0.1:7400
  dpp serve worker --listen unix:/tmp/dpp.sock --memory 2GiB";

const FLEET_EXAMPLES: &str = "\
Examples:
  dpp serve fleet
  dpp serve fleet --local-workers 0..4      # and look at http://127.0.0.1:7400
  dpp serve fleet --local-workers 1..4 -- --threads 1
  dpp serve fleet --listen 127.0.0.1:0      # prints the port that it got
  dpp serve fleet --listen 0.0.0.0:7400 --insecure --log-format json";
