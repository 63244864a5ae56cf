//! `7_own_op`: the same bytes on-box and through a worker process that knows the op; one that does not says so.

#![expect(clippy::unwrap_used, reason = "a test's failure is a panic")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// A worker process, ended with the test.
struct Worker {
    process: Child,
    address: String,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Starts a worker and reads where it listens.
fn serve(program: &Path, arguments: &[&str]) -> Worker {
    let mut process = Command::new(program)
        .args(arguments)
        .args(["--listen", "127.0.0.1:0", "--threads", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    Worker { process, address }
}

fn load(table: &str, service: Option<&str>) -> Output {
    Command::new(built("examples/7_own_op"))
        .args(["load", table])
        .args(service)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

/// What cargo built beside this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join(name)
}

#[test]
fn an_op_of_ones_own_is_known_where_it_was_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    let table = table.to_str().unwrap();
    let synth = [
        "dpp", "table", "synth", table, "--rows", "5000", "--days", "2",
    ];
    assert_eq!(dpp_cli::main(synth.map(Into::into).to_vec()), 0);

    let on_box = load(table, None);
    assert!(said(&on_box).starts_with("5000 rows"), "{}", said(&on_box));
    let own = serve(&built("examples/7_own_op"), &["serve"]);
    let remote = load(table, Some(&own.address));
    assert_eq!(said(&remote), said(&on_box));

    let standard = built("dpp-worker");
    if !standard.exists() {
        eprintln!("NOT TESTED: a worker without the op, because dpp-worker is not built");
        return;
    }
    let standard = serve(&standard, &[]);
    let refused = load(table, Some(&standard.address));
    assert!(!refused.status.success());
    let text = said(&refused);
    assert!(text.contains("unknown op `soft_sign`"), "{text}");
}
