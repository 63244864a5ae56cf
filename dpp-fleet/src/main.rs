//! The `dpp-fleet` binary.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::Parser;
use dpp_fleet::command;
use dpp_proto::process::{self, LogFormat, SERVICE_LOG, exit, start_log};

/// Knows the workers that are there, tells trainers, and says how many are required.
#[derive(Parser)]
#[command(name = "dpp-fleet", version, after_help = EXAMPLES)]
struct Command {
    #[command(flatten)]
    arguments: command::Arguments,

    /// How log lines look; what is logged follows DPP_LOG (info, dpp_fleet=debug, …)
    #[arg(long, value_enum, env = "DPP_LOG_FORMAT", default_value = "human")]
    log_format: LogFormat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command: Command = process::parse(std::env::args_os()).unwrap_or_else(|asked| asked.exit());
    let served = async {
        start_log(command.log_format, SERVICE_LOG)?;
        command::run(command.arguments, vec![worker()]).await
    };
    exit("dpp-fleet", served.await)
}

/// `dpp-worker` beside this program, or wherever the shell finds it.
fn worker() -> OsString {
    let here = std::env::current_exe().unwrap_or_default();
    let beside = here.with_file_name("dpp-worker");
    if beside.is_file() {
        beside.into()
    } else {
        Path::new("dpp-worker").into()
    }
}

const EXAMPLES: &str = "\
Examples:
  dpp-fleet
  dpp-fleet --listen 127.0.0.1:0            # prints the port that it got
  dpp-fleet --local-workers 0..4 -- --threads 1
  dpp-fleet --listen 0.0.0.0:7400 --insecure --log-format json";
