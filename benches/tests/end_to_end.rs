//! Short runs of `figures end-to-end` and `figures scale`, with real processes: what they print is whole, and what must follow from
//! how tables are read does.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

#[test]
fn every_way_makes_the_same_batches_and_says_what_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let (table, plan) = (folder.path().join("table"), folder.path().join("plan.json"));
    synth(&table, "--preset w1 --rows 20000 --files 2");
    fs::write(&plan, PLAN).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_figures"));
    command.args(["end-to-end", "--epochs", "2", "--rounds", "1", "--json"]);
    command.arg("--table").arg(&table).arg("--plan").arg(&plan);
    let figure = figure(command.output().unwrap());
    assert_eq!(figure["rows"], 40_000, "{figure}");
    assert_eq!(figure["n_ids"], 26 * 40_000, "{figure}");
    let ways = figure["ways"].as_array().unwrap();
    let names: Vec<&Value> = ways.iter().map(|way| &way["way"]).collect();
    assert_eq!(names, ["on-box", "one core", "unix socket", "tcp"]);
    for way in ways {
        let number = |name: &str| way[name].as_f64().unwrap();
        assert!(number("rows_per_cpu_second") > 0.0, "{way}");
        assert!(number("first_batch_seconds") > 0.0, "{way}");
        assert!(number("trainer_peak_anonymous_mb") > 1.0, "{way}");
        let shares = ["decode_share", "transform_share", "rest_share"].map(number);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{way}");
    }
    let worker = |way: usize| ways[way]["worker_peak_anonymous_mb"].as_f64().unwrap();
    assert_eq!([worker(0), worker(1)], [0.0; 2], "nobody else on-box");
    assert!(worker(2) > 1.0 && worker(3) > 1.0, "{figure}");
    assert!(figure["floor_rows_per_cpu_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_row_costs_bytes_of_what_is_read_and_not_of_what_is_stored() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_figures"));
    command.args(["scale", "--smaller", "100", "--rounds", "1", "--json"]);
    let figure = figure(command.output().unwrap());
    let sizes = figure["sizes"].as_array().unwrap();
    let of = |grows: &str, number: &str| -> Vec<f64> {
        let sizes = sizes.iter().filter(|size| size["grows"] == grows);
        sizes.map(|size| size[number].as_f64().unwrap()).collect()
    };
    assert_eq!(of("rows", "rows"), [1e3, 1e4, 1e5]);
    assert_eq!(of("passes", "rows"), [1e3, 5e3, 2e4]);
    assert_eq!(of("files", "rows"), [5e3; 3]);
    assert!(!of("threads", "rows").is_empty());
    let stored = of("stored features", "read_bytes_per_row");
    let read = of("features read", "read_bytes_per_row");
    assert!(read[2] > 4.0 * read[0], "{read:?}");
    assert!(
        stored[2] < 2.0 * stored[0],
        "16 times the features: {stored:?}"
    );
}

fn synth(folder: &Path, options: &str) {
    let line = format!("dpp table synth {} {options} --json", folder.display());
    let status = dpp_cli::main(line.split_whitespace().map(Into::into).collect());
    assert_eq!(status, 0, "{line}");
}

fn figure(output: Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

const PLAN: &str = r#"{"nodes": [{"pattern": "I*"}, {"op": "fill_null", "inputs": [0], "value": 0.0},
    {"pattern": "C*"}, {"op": "fill_null", "inputs": [2], "value": 0},
    {"op": "sigrid_hash", "inputs": [3], "salt": 0, "max_value": 1000000}],
  "dense": [{"name": "*", "node": 1}], "sparse": [{"name": "*", "node": 4}]}"#;
