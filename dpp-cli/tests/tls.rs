//! Services by TLS, with real processes: who is let in, who is not, and that no key is ever said.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

#[path = "dpp/clicks.rs"]
mod clicks;
mod dpp;
#[path = "dpp/service.rs"]
mod service;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    clicks::{PLAN, checksum, said, start_logging},
    dpp::{command, dpp, text},
    service::Service,
};

/// Writes `name.pem` of an authority, and `name-member.pem` with its key of somebody at 127.0.0.1 whom it vouches for.
fn authority(folder: &Path, name: &str) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let member = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    vouch(folder, &format!("{name}-member"), &issuer, &member);
    issuer
}

/// Writes `name.pem` and its key.
fn vouch(folder: &Path, name: &str, issuer: &Issuer<'static, KeyPair>, member: &CertificateParams) {
    let key = KeyPair::generate().unwrap();
    let member = member.clone().signed_by(&key, issuer).unwrap();
    fs::write(folder.join(format!("{name}.pem")), member.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A command line with `DPP_TLS_…` as given, `name=file` in `folder`.
fn with_tls(line: &str, folder: &Path, files: &str) -> std::process::Command {
    let mut command = command(line);
    command.env("DPP_LOG", "trace");
    for (name, file) in files
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='))
    {
        command.env(format!("DPP_TLS_{name}"), folder.join(file));
    }
    command
}

/// Starts a service that logs to a file in `folder`.
fn start(line: &str, folder: &Path, files: &str, log: &str) -> Service {
    start_logging(with_tls(line, folder, files), &folder.join(log))
}

const OURS: &str = "CA=ours.pem CERT=ours-member.pem KEY=ours-member.key";

#[test]
fn only_callers_with_our_certificate_are_let_in_and_no_key_is_said() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let _ = authority(at, "ours");
    let _ = authority(at, "theirs");
    let mine = format!("{OURS} CLIENT_CA=ours.pem");
    let fleet = "serve fleet --listen 127.0.0.1:0 --heartbeat-seconds 0.2";
    let fleet = start(fleet, at, &mine, "fleet.log");
    let worker = format!(
        "serve worker --listen 127.0.0.1:0 --fleet fleet://{}",
        fleet.address
    );
    let worker = start(&worker, at, &mine, "worker.log");

    let top = format!("fleet top --once --fleet fleet://{}", fleet.address);
    let cases = [
        (OURS, true),
        ("", false),
        ("CA=ours.pem", false),
        (
            "CA=theirs.pem CERT=ours-member.pem KEY=ours-member.key",
            false,
        ),
        (
            "CA=ours.pem CERT=theirs-member.pem KEY=theirs-member.key",
            false,
        ),
    ];
    let mut heard = String::new();
    for (files, is_let_in) in cases {
        let output = with_tls(&top, at, files).output().unwrap();
        assert_eq!(
            output.status.success(),
            is_let_in,
            "{files}: {}",
            text(&output.stderr)
        );
        assert_eq!(
            text(&output.stdout).contains(&worker.address),
            is_let_in,
            "{files}"
        );
        heard += &said(&output);
    }

    let table = at.join("table");
    let made = dpp(&format!(
        "table synth {} --rows 2000 --files 2 --dense 3",
        table.display()
    ));
    assert!(made.status.success(), "{}", text(&made.stderr));
    fs::write(at.join("plan.json"), PLAN).unwrap();
    let run = format!(
        "run --json --batch-size 100 --table {} --plan {}",
        table.display(),
        at.join("plan.json").display()
    );
    let expected = checksum(&dpp(&run));
    for service in [format!("fleet://{}", fleet.address), worker.address.clone()] {
        let output = with_tls(&format!("{run} --service {service}"), at, OURS).output();
        let output = output.unwrap();
        assert_eq!(checksum(&output), expected);
        heard += &text(&output.stderr);
    }
    drop((fleet, worker));
    for log in ["fleet.log", "worker.log"] {
        heard += &fs::read_to_string(at.join(log)).unwrap();
    }
    assert!(heard.contains("listening"), "the logs are there");
    let key = fs::read_to_string(at.join("ours-member.key")).unwrap();
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!heard.contains(line), "a line of the key was said");
    }
}

#[test]
fn local_workers_have_the_fleets_certificate() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let _ = authority(at, "ours");
    let file = |name: &str| at.join(name).display().to_string();
    let (ca, cert, key) = (
        file("ours.pem"),
        file("ours-member.pem"),
        file("ours-member.key"),
    );
    let line = format!(
        "serve fleet --listen 127.0.0.1:0 --heartbeat-seconds 0.2 --local-workers 1..1 \
         --tls-cert {cert} --tls-key {key} --tls-client-ca {ca} --tls-ca {ca} -- --threads 1"
    );
    let mut fleet = start(&line, at, "", "log");
    let top = format!("fleet top --json --fleet fleet://{}", fleet.address);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = with_tls(&top, at, OURS).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        if status["workers"].as_array().unwrap().len() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "no worker came: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
    fleet.terminate();
}

#[test]
fn beyond_loopback_a_service_must_have_tls_and_ask_for_tokens() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let _ = authority(at, "ours");
    let key = at.join("token.key");
    assert!(
        dpp(&format!("fleet key {}", key.display()))
            .status
            .success()
    );
    let keys = format!("--token-keys {}.pub", key.display());
    for what in ["worker", "fleet"] {
        let line = format!("serve {what} --listen 0.0.0.0:0");
        let with_keys = format!("{line} {keys}");
        for (line, files) in [
            (&line, String::new()),
            (&line, format!("{OURS} CLIENT_CA=ours.pem")),
            (&with_keys, String::new()),
        ] {
            let refused = with_tls(line, at, &files).output().unwrap();
            let said = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(2), "{said}");
            assert!(said.contains("--token-keys"), "{said}");
        }
        let service = start(&with_keys, at, OURS, "log");
        assert!(
            service.address.starts_with("0.0.0.0:"),
            "{}",
            service.address
        );
    }
    let half = with_tls(
        "serve worker --listen 127.0.0.1:0",
        at,
        "CERT=ours-member.pem",
    );
    let said = text(&{ half }.output().unwrap().stderr);
    assert!(said.contains("--tls-key"), "{said}");
    let none = with_tls("fleet top", at, "CA=nowhere.pem")
        .output()
        .unwrap();
    let said = text(&none.stderr);
    assert!(said.contains("nowhere.pem"), "{said}");
}

#[test]
fn certificates_that_ended_or_are_for_others_are_refused_by_either_side() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let ours = authority(at, "ours");
    let mut ended = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    ended.not_before = date_time_ymd(2020, 1, 1);
    ended.not_after = date_time_ymd(2021, 1, 1);
    vouch(at, "ended", &ours, &ended);
    let named = CertificateParams::new(vec!["workers.dpp".to_owned()]).unwrap();
    vouch(at, "named", &ours, &named);

    let table = at.join("table").display().to_string();
    let made = dpp(&format!(
        "table synth {table} --rows 200 --files 1 --dense 1"
    ));
    assert!(made.status.success(), "{}", text(&made.stderr));
    fs::write(at.join("plan.json"), PLAN).unwrap();
    let run = format!(
        "run --json --batch-size 100 --worker-timeout-seconds 3 --table {table} --plan {}",
        at.join("plan.json").display()
    );
    let expected = checksum(&dpp(&run));
    let ended = "CERT=ended.pem KEY=ended.key";
    let member = "CERT=ours-member.pem KEY=ours-member.key";
    let named = "CERT=named.pem KEY=named.key";
    // (what the worker shows, what the caller does and expects, whether they speak)
    for (index, (worker, caller, name, speak)) in [
        (member, member, "", true),
        (ended, member, "", false),
        (member, ended, "", false),
        (named, member, "", false),
        (named, member, "workers.dpp", true),
        (member, member, "workers.dpp", false),
    ]
    .into_iter()
    .enumerate()
    {
        let log = format!("log-{index}");
        let line = "serve worker --listen 127.0.0.1:0 --threads 1";
        let shown = format!("{worker} CLIENT_CA=ours.pem CA=ours.pem");
        let service = start(line, at, &shown, &log);
        let mut command = with_tls(
            &format!("{run} --service {}", service.address),
            at,
            &format!("{caller} CA=ours.pem"),
        );
        if !name.is_empty() {
            command.env("DPP_TLS_NAME", name);
        }
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        if speak {
            assert_eq!(checksum(&output), expected, "{worker} {caller} {name}");
        } else {
            assert!(!output.status.success(), "{worker} {caller} {name}: {said}");
            let log = fs::read_to_string(at.join(&log)).unwrap();
            assert!(
                log.contains("tls accept error"),
                "the worker says so: {log}"
            );
        }
    }
}
