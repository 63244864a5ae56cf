//! Two runs on one table at the same time cost hardly more at storage than one: a short `figures sharing`, with real workers and a
//! real S3 server.

use std::{path::Path, process::Command};

use serde_json::Value;

#[test]
fn two_runs_on_a_table_read_it_once() {
    let s3 = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/tools/bin/s3s-fs");
    let figure = |more: &str| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_figures"))
            .args(["sharing", "--rows", "150000", "--worker", more, "--s3"])
            .arg(&s3)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", s3.display());
        let printed = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(printed.lines().last().unwrap()).unwrap()
    };
    let shared = figure("");
    eprintln!("{shared}");
    assert!(shared["bytes_ratio"].as_f64().unwrap() <= 1.1, "{shared}");
    let apart = figure("--cache 0B");
    assert!(
        apart["bytes_ratio"].as_f64().unwrap() > 1.5,
        "without a cache it would be noticed: {apart}"
    );
}
