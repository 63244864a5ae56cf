//! Workers come and go with the speed of a trainer, by themselves: a short run of `figures scaling`, with real processes and a real
//! S3 server behind a proxy that makes every request take its time.

use std::{path::Path, process::Command};

use serde_json::Value;

/// Slow, five times as fast, slow again. One worker gives 5,000 rows/s: 2 reads at a time of 500 rows, 200 ms each.
const SPEEDS: &str = "6:2500,12:12500,20:2500";

#[test]
fn workers_come_and_go_with_the_trainers_speed() {
    let s3 = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/tools/bin/s3s-fs");
    let output = Command::new(env!("CARGO_BIN_EXE_figures"))
        .args(["scaling", "--json", "--files", "5", "--window", "4"])
        .args(["--speeds", SPEEDS, "--s3"])
        .arg(&s3)
        .args(["--fleet", "--heartbeat-seconds 0.2 --scale-down-seconds 2"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", s3.display());
    let printed = String::from_utf8(output.stdout).unwrap();
    let figure: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    eprintln!("{figure}");
    let phases = figure["phases"].as_array().unwrap();
    let most = |phase: usize| {
        let required = phases[phase]["required"].as_array().unwrap();
        required
            .iter()
            .map(|workers| workers.as_u64().unwrap())
            .max()
    };
    let last = |phase: usize| {
        phases[phase]["required"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .as_u64()
    };
    assert!(
        most(1) >= Some(3),
        "more come for a faster trainer: {figure}"
    );
    assert!(last(2) < most(1), "they go after it: {figure}");
    assert!(last(2) > Some(0), "a trainer is there: {figure}");
    assert!(phases[1]["present"].as_u64().unwrap() >= 2, "{figure}");
}
