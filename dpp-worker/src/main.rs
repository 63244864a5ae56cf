//! The `dpp-worker` binary.

use std::{env, process::ExitCode};

use dpp_worker::{Registry, command};

#[tokio::main]
async fn main() -> ExitCode {
    command::main(env::args_os(), Registry::standard()).await
}
