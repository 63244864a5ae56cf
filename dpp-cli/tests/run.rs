//! `dpp run` end to end: a synthetic table, on-box and through worker processes found by a fleet.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod dpp;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::dpp::{command, dpp, text};

const ROWS: u64 = 6001;

/// A table, a plan for it, and the folder that holds both.
struct Job {
    folder: TempDir,
    plan: PathBuf,
}

impl Job {
    fn new() -> Job {
        let folder = TempDir::new().unwrap();
        let table = folder.path().join("table");
        let shape = "--files 5 --row-group-rows 700 --dense 4 --sparse 6";
        let made = dpp(&format!(
            "table synth {} --rows {ROWS} {shape}",
            table.display()
        ));
        assert!(made.status.success(), "{}", text(&made.stderr));
        let plan = folder.path().join("plan.json");
        fs::write(&plan, PLAN).unwrap();
        Job { folder, plan }
    }

    fn line(&self, more: &str) -> String {
        let table = self.folder.path().join("table");
        format!(
            "run --table {} --plan {} {more}",
            table.display(),
            self.plan.display()
        )
    }

    fn report(&self, more: &str) -> Value {
        let output = dpp(&self.line(&format!("--json {more}")));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn bench_says_what_a_job_costs() {
    let job = Job::new();
    let table = job.folder.path().join("table");
    let line = format!(
        "bench --table {} --plan {} --seconds 1 --rows-per-second 1e6 --worker-cores 4 --price-per-core-hour 0.05",
        table.display(),
        job.plan.display()
    );
    let output = dpp(&format!("{line} --json"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| report[name].as_f64().unwrap();
    assert!(number("rows") > 0.0 && number("rows_per_cpu_second") > 0.0);
    assert!(number("decode_seconds") > 0.0 && number("transform_seconds") > 0.0);
    let workers = 1e6 * number("core_seconds_per_row") / (4.0 * 0.75);
    assert_eq!(report["fleet"]["workers"], workers.ceil().max(1.0) as u64);
    let people = text(&dpp(&line).stdout);
    for word in [
        "rows per CPU-second",
        "bound by",
        "workers",
        "a billion rows",
    ] {
        assert!(people.contains(word), "{word} is missing:\n{people}");
    }
}

#[test]
fn every_row_comes_once_and_the_report_says_so() {
    let job = Job::new();
    let report = job.report("--batch-size 500");
    assert_eq!(
        (&report["rows"], &report["steps"]),
        (&ROWS.into(), &13.into())
    );
    assert_eq!(report["checksum"].as_str().unwrap().len(), 16);
    assert!(report["rows_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(
        job.report("--batch-size 500 --threads 1")["checksum"],
        report["checksum"]
    );
    assert_ne!(
        job.report("--batch-size 499")["checksum"],
        report["checksum"]
    );
    let twice = job.report("--batch-size 500 --epochs 2");
    assert_eq!(twice["rows"], 2 * ROWS);
    let short = job.report("--batch-size 500 --epochs 2 --max-steps 14");
    assert_eq!(
        (&short["steps"], &short["rows"]),
        (&14.into(), &(ROWS + 500).into())
    );
    let output = dpp(&job.line("--batch-size 500"));
    let lines = text(&output.stdout);
    assert!(lines.contains("6,001 in 13 steps"), "{lines}");
    assert!(output.stderr.is_empty());
}

#[test]
fn ranks_share_the_rows() {
    let job = Job::new();
    let rows = |rank| {
        let report = job.report(&format!("--batch-size 500 --world-size 3 --rank {rank}"));
        assert_eq!(report["steps"], 5);
        report["rows"].as_u64().unwrap()
    };
    assert_eq!((0..3).map(rows).sum::<u64>(), ROWS);
}

#[test]
fn workers_found_by_the_fleet_deliver_the_same_tensors() {
    let job = Job::new();
    let fleet = Service::start("serve fleet --listen 127.0.0.1:0 --heartbeat-seconds 0.2");
    let on_box = job.report("--batch-size 500");
    let worker = format!(
        "serve worker --listen 127.0.0.1:0 --fleet fleet://{}",
        fleet.address
    );
    let first = Service::start(&worker);
    let direct = job.report(&format!("--batch-size 500 --service {}", first.address));
    assert_eq!(direct["checksum"], on_box["checksum"]);
    let _second = Service::start(&worker);
    let found = job.report(&format!(
        "--batch-size 500 --service fleet://{}",
        fleet.address
    ));
    assert_eq!(found["checksum"], on_box["checksum"]);
}

#[test]
fn workers_that_do_not_answer_are_worth_trying_again() {
    let job = Job::new();
    let address = "127.0.0.1:1";
    let output = dpp(&job.line(&format!("--service {address} --worker-timeout-seconds 1")));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{message}");
    let error = message
        .lines()
        .find(|line| line.starts_with("dpp: error: "));
    assert!(error.unwrap().contains(address), "{message}");
}

#[test]
fn wrong_questions_say_what_is_wrong() {
    let job = Job::new();
    for (more, status, named) in [
        ("--batch-size 0", 2, "batch_size"),
        ("--rank 3 --world-size 2", 2, "rank 3"),
        ("--service nonsense", 2, "nonsense"),
    ] {
        let output = dpp(&job.line(more));
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{message}");
        assert!(
            message.contains(named) && message.lines().count() == 1,
            "{message}"
        );
    }
    fs::write(&job.plan, PLAN.replace("\"label\"", "\"lable\"")).unwrap();
    let output = dpp(&job.line(""));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("lable") && message.lines().count() == 1,
        "{message}"
    );
    fs::write(&job.plan, "{").unwrap();
    assert_eq!(dpp(&job.line("")).status.code(), Some(2));
    let missing = dpp("run --table /no/table --plan /no/plan.json");
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/no/plan.json"));
}

const PLAN: &str = r#"{"nodes": [
    {"pattern": "f_*"}, {"op": "fill_null", "inputs": [0], "value": 0.0}, {"op": "log1p", "inputs": [1]},
    {"pattern": "id_*"}, {"op": "sigrid_hash", "inputs": [3], "salt": 0, "max_value": 10000},
    {"feature": "seq_0"}, {"op": "first_x", "inputs": [5], "n": 20},
    {"feature": "label"}, {"feature": "request_id"}, {"row_id": true}],
  "dense": [{"node": 2}], "sparse": [{"node": 4}, {"name": "seq_0", "node": 6}],
  "labels": [{"name": "label", "node": 7}],
  "extras": [{"name": "request_id", "node": 8}, {"name": "row_id", "node": 9}]}"#;

/// A service that is killed when the test ends, however it ends.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(line: &str) -> Service {
        let mut command = command(line);
        command.env("DPP_LOG", "error").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Service { child, address }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn plans_are_checked_and_explained() {
    let job = Job::new();
    let (table, plan) = (job.folder.path().join("table"), job.plan.display());
    let checked = dpp(&format!(
        "plan check {plan} --table {} --json",
        table.display()
    ));
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["hash"].as_str().unwrap().len(), 64);
    let outputs = report["outputs"].as_object().unwrap();
    assert!(outputs.values().all(|count| count.as_u64() > Some(0)));
    let tree = text(&dpp(&format!("plan explain {plan}")).stdout);
    let bound = text(&dpp(&format!("plan explain {plan} --table {}", table.display())).stdout);
    assert!(tree.contains("└ features "), "{tree}");
    assert!(
        bound.contains(": dense") && !bound.contains("└ features "),
        "{bound}"
    );
    assert!(bound.contains("straight into their tensors"), "{bound}");
    let run = format!("plan explain {plan} --table {} --run 100", table.display());
    let run = text(&dpp(&run).stdout);
    let said = ["on 100 rows", "log1p", "(packing)", "optimised"];
    assert!(said.iter().all(|part| run.contains(part)), "{run}");
    let no_table = dpp(&format!("plan explain {plan} --run 100"));
    assert_eq!(no_table.status.code(), Some(2));
    fs::write(&job.plan, PLAN.replace("log1p", "log2p")).unwrap();
    let refused = dpp(&format!("plan check {plan} --table {}", table.display()));
    assert_eq!(refused.status.code(), Some(2));
    let message = text(&refused.stderr);
    assert!(
        message.contains("unknown op `log2p`; did you mean"),
        "{message}"
    );
}
