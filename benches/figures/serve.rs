//! The services of a figure, as processes of this very program: `dpp serve fleet` and `dpp serve worker`, built with it.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use clap::{Args, Subcommand};
use dpp_client::Error;
use dpp_ops::Registry;

use crate::{failed, machine, transport};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    service: Service,
}

#[derive(Subcommand)]
enum Service {
    Worker(Box<dpp_worker::command::Arguments>),
    Fleet(Box<dpp_fleet::command::Arguments>),
    Frames(transport::ServerArguments),
}

/// Serves until it is told to end.
pub(crate) async fn serve(arguments: Arguments) -> Result<String, Error> {
    match arguments.service {
        Service::Worker(worker) => {
            let served = dpp_worker::command::run(*worker, Registry::standard()).await;
            served.map_err(failed)?;
        }
        Service::Frames(frames) => transport::serve(frames).await?,
        Service::Fleet(fleet) => {
            let this = std::env::current_exe().map_err(failed)?;
            let worker: Vec<OsString> = vec![this.into(), "serve".into(), "worker".into()];
            dpp_fleet::command::run(*fleet, worker)
                .await
                .map_err(failed)?;
        }
    }
    Ok(String::new())
}

/// A running service; it is asked to end when dropped, and whatever it started ends with it.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    /// Open, so that it can say its last words.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `serve` with these arguments, and waits until it listens.
    pub(crate) fn start(arguments: &str) -> Result<Process, Error> {
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("serve")
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut said = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut said).map_err(failed)?;
        let address = said.trim().rsplit(' ').next().unwrap_or_default();
        let address = address.to_owned();
        if address.is_empty() {
            return Err(failed(format!("serve {arguments}: it does not listen")));
        }
        Ok(Process {
            child,
            address,
            _stdout: stdout,
        })
    }

    /// CPU seconds that it has used so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Error> {
        machine::cpu_seconds_of(self.child.id()).map_err(failed)
    }

    /// Most memory so far that no file backs.
    pub(crate) fn peak_anonymous_bytes(&self) -> Result<u64, Error> {
        machine::peak_anonymous_bytes(self.child.id()).map_err(failed)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok();
        if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
            // gone already, then
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
