//! A worker process for the time of a run: this very program, so that both sides have the same code and allocator.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use clap::Args;
use dpp_client::Error;
use dpp_proto::listen::{Address, Listener};
use dpp_worker::{ByteSize, Engine, server};

use crate::{
    failed,
    machine::{cpu_seconds_of, peak_bytes},
};

/// How the worker of a run packs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Compute threads
    #[arg(long)]
    threads: usize,
    /// Most bytes of buffers
    #[arg(long)]
    memory_bytes: Option<u64>,
    /// Rows that are packed and sent at a time, instead of base batches
    #[arg(long)]
    whole_rows: Option<usize>,
}

/// Serves until it is killed.
pub(crate) async fn serve(arguments: Arguments) -> Result<String, Error> {
    let engine = Engine::start(Some(arguments.threads)).map_err(failed)?;
    let mut engine = engine.with_memory(arguments.memory_bytes.map(ByteSize));
    if let Some(rows) = arguments.whole_rows {
        engine = engine.with_whole_batches(rows);
    }
    let address = Address::Tcp("127.0.0.1:0".to_owned());
    let listener = Listener::bind(&address, false).await.map_err(failed)?;
    listener.announce("worker");
    let served = server::serve(Arc::new(engine), listener, std::future::pending()).await;
    served.map_err(failed)?;
    Ok(String::new())
}

/// A worker that ends with its run.
pub(crate) struct WorkerProcess {
    process: Child,
    pub(crate) address: String,
}

impl WorkerProcess {
    /// One that packs base batches, in so much memory.
    pub(crate) fn rebatched(threads: usize, megabytes: u64) -> Result<WorkerProcess, Error> {
        let bytes = (megabytes * super::MEGABYTE).to_string();
        WorkerProcess::start(threads, &["--memory-bytes", &bytes])
    }

    /// One that packs whole batches, in as much memory as they take.
    pub(crate) fn whole(threads: usize, batch_rows: u64) -> Result<WorkerProcess, Error> {
        WorkerProcess::start(threads, &["--whole-rows", &batch_rows.to_string()])
    }

    fn start(threads: usize, arguments: &[&str]) -> Result<WorkerProcess, Error> {
        let mut process = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["rebatch-worker", "--threads", &threads.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(failed)?;
        let address = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(WorkerProcess { process, address })
    }

    /// The most memory that it had so far.
    pub(crate) fn peak_bytes(&self) -> Result<u64, Error> {
        peak_bytes(self.process.id()).map_err(failed)
    }

    /// CPU seconds that it has used so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Error> {
        cpu_seconds_of(self.process.id()).map_err(failed)
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // gone already, then
        _ = self.process.kill();
        _ = self.process.wait();
    }
}
