//! What tests of who is let in run on: a plan for the synthetic table, services that log to files, and what processes said.

use std::{
    fs::File,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{dpp::text, service::Service};

pub(crate) const PLAN: &str = r#"{"nodes": [{"pattern": "f_*"}, {"feature": "label"}], "dense": [{"node": 0}], "labels": [{"name": "label", "node": 1}]}"#;

/// Starts a service that logs to a file.
pub(crate) fn start_logging(mut command: Command, log: &Path) -> Service {
    command.stderr(File::create(log).unwrap());
    Service::start(command)
}

/// What a finished process said, and how it ended.
pub(crate) fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// What a finished run reports of all its tensors.
pub(crate) fn checksum(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["checksum"].as_str().unwrap().to_owned()
}
