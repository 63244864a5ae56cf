//! The `dpp` binary as scripts meet it: exit statuses, and what is on which output.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod dpp;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::dpp::{command, dpp, text};

#[test]
fn help_and_version_are_no_failure_and_go_to_standard_output() {
    for line in [
        "--help",
        "--version",
        "table --help",
        "table synth --help",
        "serve fleet --help",
        "serve worker --help",
        "run --help",
    ] {
        let output = dpp(line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{line}"
        );
    }
}

#[test]
fn wrong_questions_exit_with_2_and_name_what_is_wrong() {
    for (line, named) in [
        ("", "Usage"),
        ("tabel", "tabel"),
        ("table synth", "DST"),
        ("table synth x --rows 0", "--rows"),
        ("table synth x --rows many", "--rows"),
        ("table synth x --codec lzo", "--codec"),
        ("table synth x --base-rate 1.5", "--base-rate"),
        ("table synth x --rows 2 --files 3", "--files 3"),
        ("table synth s3://bucket/x", "s3://bucket/x"),
        ("serve fleet --listen 0.0.0.0:0", "--insecure"),
        ("serve worker --listen nowhere", "nowhere"),
        ("run --plan x", "--table"),
        ("run --table x --plan y --epochs 0", "--epochs"),
        (
            "run --table x --plan y --storage-option secret",
            "KEY=VALUE",
        ),
    ] {
        let output = dpp(line);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {message}");
        assert!(message.contains(named), "{line}: {message}");
    }
}

#[test]
fn an_error_is_one_line() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("table");
    let output = dpp(&format!("table synth {}", below.display()));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.starts_with("dpp: error: ") && message.lines().count() == 1,
        "{message}"
    );
    assert!(message.contains(below.to_str().unwrap()), "{message}");
}

#[test]
fn a_taken_port_is_worth_trying_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = dpp(&format!(
        "serve fleet --listen {}",
        taken.local_addr().unwrap()
    ));
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
}

#[test]
fn json_is_one_object_and_no_progress_bar_disturbs_it() {
    let folder = TempDir::new().unwrap();
    let line = format!(
        "table synth {} --rows 30 --files 2 --json",
        folder.path().display()
    );
    let output = dpp(&line);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let written: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&written["rows"], &written["files"]),
        (&30.into(), &2.into())
    );
}

#[test]
fn a_closed_standard_output_is_quiet() {
    let folder = TempDir::new().unwrap();
    let mut command = command(&format!(
        "table synth {} --rows 30",
        folder.path().display()
    ));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut message)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(message, "");
}

#[test]
fn options_come_from_the_environment_too_and_the_fleet_leaves_on_sigint() {
    let mut command = command("serve fleet");
    command
        .env("DPP_FLEET_LISTEN", "127.0.0.1:0")
        .env("DPP_LOG", "error");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(
        line.starts_with("dpp-fleet listening on 127.0.0.1:"),
        "{line}"
    );
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn inspect_says_what_synth_wrote() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().display();
    let line = format!("table synth {path} --rows 4000 --files 4 --days 2 --dense 2 --sparse 3");
    assert_eq!(dpp(&line).status.code(), Some(0));
    let output = dpp(&format!("table inspect {path} --json"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (field, expected) in [
        ("rows", 4000),
        ("files", 4),
        ("row_groups", 4),
        ("sampled_rows", 4000),
    ] {
        assert_eq!(report[field], expected, "{field}");
    }
    assert_eq!(report["partition_columns"], serde_json::json!(["ds"]));
    assert_eq!(report["snapshot"].as_str().unwrap().len(), 64);
    let feature = |name: &str| {
        let mut features = report["features"].as_array().unwrap().iter();
        features
            .find(|feature| feature["name"] == name)
            .unwrap()
            .clone()
    };
    near(&feature("f_0")["coverage"], 0.99, 0.01);
    near(&feature("label")["coverage"], 1.0, 0.0);
    near(&feature("seq_0")["coverage"], 0.9, 0.03);
    near(&feature("seq_0")["mean_length"], 20.0, 1.5);
    assert_eq!(feature("seq_0")["kind"], "id_list");
    assert_eq!(feature("scored")["kind"], "id_score_list");
    assert_eq!(feature("ts")["kind"], "int");
    let features = report["features"].as_array().unwrap().iter();
    let bytes: u64 = features
        .map(|feature| feature["bytes"].as_u64().unwrap())
        .sum();
    let stored = report["stored_bytes"].as_u64().unwrap();
    assert!(
        bytes < stored && bytes * 10 > stored * 8,
        "{bytes} of {stored}"
    );
    let output = dpp(&format!("table inspect {path}"));
    let table = text(&output.stdout);
    let row = table.lines().find(|line| line.starts_with("seq_1"));
    let cells: Vec<_> = row.unwrap().split_whitespace().collect();
    assert_eq!((cells[1], cells.len()), ("id_list", 10), "{table}");
    assert_eq!(feature("f_0")["encodings"], serde_json::json!(["plain"]));
    assert_eq!(feature("f_0")["key"], serde_json::Value::Null);
    let shares = report["features"].as_array().unwrap().iter();
    let shares: f64 = shares.map(|one| one["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    assert_eq!(report["hints"][0]["kind"], "small_row_groups");
    assert!(table.contains("\nhint: files hold "), "{table}");
}

#[test]
fn inspect_hints_at_what_costs() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (maps, flat) = (path("maps"), path("flat"));
    let shape = "--preset w2 --rows 400 --files 1 --dense 6 --sparse 3 --row-group-rows 100";
    let written = dpp(&format!("table synth {maps} --layout map {shape}"));
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    let rewritten = dpp(&format!("table rewrite {maps} {flat} --json"));
    assert_eq!(rewritten.status.code(), Some(0));
    let usage = folder.path().join("usage");
    std::fs::create_dir(&usage).unwrap();
    let log =
        r#"{"run":"r","table":"t","features":["dense[0]","dense[2]","dense[4]"],"read_bytes":0}"#;
    std::fs::write(usage.join("r.usage.jsonl"), log).unwrap();
    for (table, expected) in [
        (maps, vec!["small_row_groups", "features_in_maps"]),
        (flat, vec!["scattered_features"]),
    ] {
        let line = format!("table inspect {table} --usage {} --json", usage.display());
        let report: serde_json::Value = serde_json::from_slice(&dpp(&line).stdout).unwrap();
        let hints = report["hints"].as_array().unwrap().iter();
        let kinds: Vec<_> = hints.map(|hint| hint["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, expected, "{report}");
    }
}

#[test]
fn inspect_names_a_table_that_is_not_there() {
    let output = dpp("table inspect /no/such/table");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("/no/such/table") && message.lines().count() == 1,
        "{message}"
    );
}

fn near(value: &serde_json::Value, expected: f64, tolerance: f64) {
    let value = value.as_f64().unwrap();
    assert!(
        (value - expected).abs() <= tolerance,
        "{value}, not {expected}"
    );
}

#[test]
fn a_snapshot_is_extended_by_what_is_new() {
    let folder = TempDir::new().unwrap();
    let (table, kept) = (folder.path().join("table"), folder.path().join("kept"));
    let (table, kept) = (table.display(), kept.display());
    let taken = || {
        let output = dpp(&format!("table snapshot {table} --save {kept}/ --json"));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_str::<serde_json::Value>(&text(&output.stdout)).unwrap()
    };
    assert!(
        dpp(&format!("table synth {table} --rows 100 --files 3"))
            .status
            .success()
    );
    let first = taken();
    assert_eq!(
        (&first["files"], &first["opened_files"]),
        (&3.into(), &3.into())
    );
    let saved = first["saved"].as_str().unwrap();
    assert_eq!(
        saved,
        format!("{0}@{kept}/{0}.json", first["hash"].as_str().unwrap())
    );
    assert!(
        dpp(&format!("table synth {table}/more --rows 10 --files 1"))
            .status
            .success()
    );
    let second = taken();
    assert_eq!(
        (&second["files"], &second["opened_files"]),
        (&4.into(), &1.into())
    );
    let output = dpp(&format!("table snapshot {table} --extend {saved}"));
    let lines = text(&output.stdout);
    assert!(lines.contains("opened 1 files"), "{lines}");
    assert!(
        lines.ends_with(&format!("{}\n", second["hash"].as_str().unwrap())),
        "{lines}"
    );
}
