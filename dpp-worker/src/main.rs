//! The `dpp-worker` binary.

use std::{env, io, process::ExitCode};

use dpp_proto::process;
use dpp_worker::{Registry, command};

fn main() -> io::Result<ExitCode> {
    let served = command::main(env::args_os(), Registry::standard());
    Ok(process::runtime()?.block_on(served))
}
