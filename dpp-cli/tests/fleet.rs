//! A fleet with real workers and a real run: it starts and stops workers, is looked at, killed and restarted.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod dpp;
#[path = "dpp/service.rs"]
mod service;

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dpp::{command, dpp, text},
    service::Service,
};

const PATIENCE: Duration = Duration::from_secs(60);
const FAST: &str = "--heartbeat-seconds 0.2 --scale-down-seconds 1";
const PLAN: &str = r#"{"nodes": [
    {"pattern": "f_*"}, {"op": "fill_null", "inputs": [0], "value": 0.0}, {"op": "log1p", "inputs": [1]},
    {"pattern": "id_*"}, {"op": "sigrid_hash", "inputs": [3], "salt": 0, "max_value": 10000},
    {"feature": "label"}],
  "dense": [{"node": 2}], "sparse": [{"node": 4}], "labels": [{"name": "label", "node": 5}]}"#;

impl Service {
    fn fleet(address: &str, more: &str) -> Service {
        Service::start(command(&format!(
            "serve fleet --listen {address} {FAST} {more}"
        )))
    }

    fn status(&self) -> Value {
        let output = dpp(&format!(
            "fleet top --json --fleet fleet://{}",
            self.address
        ));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The first status for which `holds`.
    fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not {what}: {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address.clone()
    }
}

fn signal(name: &str, id: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// How long ago a process was started: by the kernel's clock, in its ticks of 10 ms.
fn age_seconds(id: u32) -> f64 {
    let up = fs::read_to_string("/proc/uptime").unwrap();
    let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let started: f64 = after_name.split(' ').nth(19).unwrap().parse().unwrap();
    up - started / 100.0
}

fn workers(status: &Value) -> usize {
    status["workers"].as_array().unwrap().len()
}

/// A table and its plan.
fn job() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let (table, plan) = (folder.path().join("table"), folder.path().join("plan.json"));
    let made = dpp(&format!(
        "table synth {} --rows 20000 --files 5 --row-group-rows 2000 --dense 4 --sparse 6",
        table.display()
    ));
    assert!(made.status.success(), "{}", text(&made.stderr));
    fs::write(&plan, PLAN).unwrap();
    let line = format!(
        "run --json --batch-size 500 --table {} --plan {}",
        table.display(),
        plan.display()
    );
    (folder, line)
}

fn checksum(output: &std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["checksum"].as_str().unwrap().to_owned()
}

#[test]
fn local_workers_come_with_a_run_and_go_after_it() {
    let (_folder, run) = job();
    let expected = checksum(&dpp(&run));
    let mut fleet = Service::fleet("127.0.0.1:0", "--local-workers 0..2 -- --threads 1");
    let status = fleet.wait("known", |status| status["scale"]["required_workers"] == 0);
    assert_eq!(status["scale"]["verdict"], "idle");
    assert_eq!(workers(&status), 0);
    let service = format!("--service fleet://{}", fleet.address);
    assert_eq!(checksum(&dpp(&format!("{run} {service}"))), expected);
    fleet.wait("empty again", |status| workers(status) == 0);
    fleet.terminate();
}

#[test]
fn a_local_worker_that_is_killed_is_replaced_and_all_leave_with_the_fleet() {
    let mut fleet = Service::fleet("127.0.0.1:0", "--local-workers 2..2 -- --threads 1");
    let first = fleet.wait("two workers", |status| workers(status) == 2);
    let ids = |status: &Value| -> Vec<u32> {
        let workers = status["workers"].as_array().unwrap().iter();
        let id = |worker: &Value| {
            worker["worker_id"]
                .as_str()?
                .rsplit_once('#')?
                .1
                .parse()
                .ok()
        };
        workers.map(|worker| id(worker).unwrap()).collect()
    };
    let before = ids(&first);
    // One that dies younger is replaced later.
    fleet.wait("grown up", |_| age_seconds(before[0]) > 2.0);
    signal("KILL", before[0]);
    let after = fleet.wait("a new one", |status| {
        let now = ids(status);
        now.len() == 2 && now.iter().any(|id| !before.contains(id))
    });
    fleet.terminate();
    for id in ids(&after) {
        let alive = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        assert!(!alive.contains("worker"), "{alive}");
    }
}

#[test]
fn a_fleet_killed_in_mid_run_is_noticed_by_nobody() {
    let (_folder, run) = job();
    let fleet = Service::fleet("127.0.0.1:0", "");
    let worker = format!(
        "serve worker --listen 127.0.0.1:0 --fleet fleet://{} --threads 1",
        fleet.address
    );
    let _workers = [
        Service::start(command(&worker)),
        Service::start(command(&worker)),
    ];
    let line = format!("{run} --epochs 40 --service fleet://{}", fleet.address);
    let running = command(&line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fleet.wait("a run under way", |status| {
        status["runs"][0]["rows_per_second"]
            .as_f64()
            .is_some_and(|rate| rate > 0.0)
    });
    let address = fleet.kill();
    let fleet = Service::fleet(&address, "");
    let status = fleet.status();
    assert!(status["scale"]["required_workers"].is_null(), "{status}");
    fleet.wait("both workers back", |status| workers(status) == 2);
    let known = fleet.wait("known", |status| {
        !status["scale"]["required_workers"].is_null()
    });
    assert!(
        known["scale"]["required_workers"].as_u64().unwrap() >= 2,
        "scaled in: {known}"
    );
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"], 40 * 20_000);
}

#[test]
fn workers_of_a_killed_fleet_are_known_to_the_next_and_leave_when_asked() {
    let fleet = Service::fleet("127.0.0.1:0", "--local-workers 1..1 -- --threads 1");
    fleet.wait("one worker", |status| workers(status) == 1);
    let address = fleet.kill();
    let fleet = Service::fleet(&address, "--local-workers 0..1");
    fleet.wait("the old worker", |status| workers(status) == 1);
    fleet.wait("nobody", |status| workers(status) == 0);
}

#[test]
fn top_is_a_table_and_drain_says_whom_it_does_not_know() {
    let fleet = Service::fleet("127.0.0.1:0", "");
    let at = format!("--fleet fleet://{}", fleet.address);
    let mut worker = Service::start(command(&format!(
        "serve worker --listen 127.0.0.1:0 --fleet fleet://{}",
        fleet.address
    )));
    let shown = text(&dpp(&format!("fleet top {at}")).stdout);
    assert!(
        shown.contains("required workers") && shown.contains(&worker.address),
        "{shown}"
    );
    let output = dpp(&format!("fleet drain {at} {} nobody", worker.address));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains(&worker.address));
    assert!(
        text(&output.stderr).contains("no worker nobody"),
        "{}",
        text(&output.stderr)
    );
    assert!(worker.child.wait().unwrap().success());
    let output = dpp("fleet top --fleet fleet://127.0.0.1:1");
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
}
