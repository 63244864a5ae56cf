//! The `dpp` binary.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    ExitCode::from(dpp_cli::main(env::args_os().collect()))
}
