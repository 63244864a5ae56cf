//! The `dpp-fleet` binary under test, killed when the test ends, however it ends.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use dpp_proto::v1::{HeartbeatRequest, ListWorkersRequest, RankReport, Run, RunWork, StallSeconds};

pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Process {
        let child = binary().args(arguments).stdout(Stdio::piped()).spawn();
        Process(child.unwrap())
    }

    pub(crate) fn address(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("dpp-fleet listening on ");
        address
            .unwrap_or_else(|| panic!("unexpected line {line:?}"))
            .to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The binary, free of the surrounding `DPP_*` environment.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dpp-fleet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DPP_") {
            command.env_remove(name);
        }
    }
    command
}

/// A worker that has worked for `seconds` on a run called `run`, half busy, at a millisecond a row.
pub(crate) fn heartbeat(address: &str, run: &str, seconds: f64) -> HeartbeatRequest {
    HeartbeatRequest {
        worker_id: format!("id of {address}"),
        address: address.into(),
        slots: 2,
        active_reads: 1,
        runs: vec![RunWork {
            run: run.into(),
            rows: (seconds * 1000.0).round() as u64,
            slot_seconds: seconds,
        }],
        ..HeartbeatRequest::default()
    }
}

/// A rank that has gone on for `seconds`, received 1,000 rows in each, and waited half the time.
pub(crate) fn report(run: &str, rank: u64, seconds: f64) -> ListWorkersRequest {
    ListWorkersRequest {
        known_version: 0,
        report: Some(RankReport {
            loader_id: format!("{run}-{rank}"),
            run: Some(Run {
                name: run.into(),
                team: "ads".into(),
                priority: 1,
            }),
            rank,
            world_size: 1,
            rows: (seconds * 1000.0).round() as u64,
            elapsed_seconds: seconds,
            stalled: Some(StallSeconds {
                decode: seconds / 2.0,
                ..StallSeconds::default()
            }),
            epoch: 0,
            epoch_rows: 1_000_000,
            epoch_rows_consumed: (seconds * 1000.0).round() as u64,
        }),
    }
}
