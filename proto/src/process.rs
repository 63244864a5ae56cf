//! What every process of ours does the same: where its log goes, and its last words.

use std::{
    io::{IsTerminal as _, stderr},
    process::ExitCode,
};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::{Faulty, fault::message_with_causes};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Logs to standard error at `level`, unless `DPP_LOG` (info, dpp_worker=debug, …) says otherwise.
///
/// Does nothing when the process logs already: whoever installed a subscriber keeps theirs.
pub fn start_log(format: LogFormat, level: &str) {
    let filter = filter(level);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    let _ = match format {
        LogFormat::Human => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

/// What `DPP_LOG` asks for, or `level`; one that can't be read is said, not swallowed.
#[expect(clippy::print_stderr, reason = "the log does not run yet")]
fn filter(level: &str) -> EnvFilter {
    let Ok(wanted) = std::env::var("DPP_LOG") else {
        return EnvFilter::new(level);
    };
    wanted.parse().unwrap_or_else(|error| {
        eprintln!("DPP_LOG={wanted:?} is no filter ({error}); write info or dpp_worker=debug,warn. Logging at {level}.");
        EnvFilter::new(level)
    })
}

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
