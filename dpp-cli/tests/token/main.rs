//! Tokens, with real processes: who may call, which tables and columns come back, and that no token or key is ever said.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod cached;
#[path = "../dpp/clicks.rs"]
mod clicks;
#[path = "../dpp/mod.rs"]
mod dpp;
#[path = "../dpp/s3.rs"]
mod s3;
#[path = "../dpp/service.rs"]
mod service;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    clicks::{PLAN, checksum, said, start_logging},
    dpp::{command, dpp, text},
    service::Service,
};

const ONE: &str = r#"{"nodes": [{"feature": "f_1"}, {"feature": "label"}], "dense": [{"name": "f_1", "node": 0}], "labels": [{"name": "label", "node": 1}]}"#;
/// A command line that logs everything it does, with the token in `folder` that is called so, if one is.
fn with_token(line: &str, folder: &Path, token: &str) -> std::process::Command {
    let mut command = command(line);
    command.env("DPP_LOG", "trace");
    if !token.is_empty() {
        command.env("DPP_TOKEN_FILE", folder.join(token));
    }
    command
}

/// Starts a service that logs to a file in `folder`.
fn start(line: &str, folder: &Path, token: &str, log: &str) -> Service {
    start_logging(with_token(line, folder, token), &folder.join(log))
}

/// Two pairs of keys, a table, two plans.
fn prepare(at: &Path) {
    for key in ["ours", "theirs"] {
        let made = dpp(&format!("fleet key {}", at.join(key).display()));
        assert!(made.status.success(), "{}", said(&made));
    }
    for table in ["ads/clicks", "ads/clicks-raw"] {
        let destination = at.join(table);
        fs::create_dir_all(destination.parent().unwrap()).unwrap();
        let destination = destination.display();
        let made = dpp(&format!(
            "table synth {destination} --rows 2000 --files 2 --dense 3"
        ));
        assert!(made.status.success(), "{}", said(&made));
    }
    fs::write(at.join("all.json"), PLAN).unwrap();
    fs::write(at.join("one.json"), ONE).unwrap();
}

/// Makes a token in `at` and returns its text.
fn token(at: &Path, name: &str, key: &str, wishes: &str) -> String {
    let line = format!(
        "fleet token --name {name} --key {} {wishes}",
        at.join(key).display()
    );
    let made = dpp(&line);
    assert!(made.status.success(), "{}", said(&made));
    fs::write(at.join(name), &made.stdout).unwrap();
    text(&made.stdout).trim().to_owned()
}

/// Waits for the fleet to know a worker.
fn wait_for_worker(at: &Path, fleet: &Service, token: &str) {
    let top = format!("fleet top --json --fleet fleet://{}", fleet.address);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = with_token(&top, at, token).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        if status["workers"]
            .as_array()
            .is_some_and(|all| all.len() == 1)
        {
            return;
        }
        assert!(Instant::now() < deadline, "no worker came: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a service answers to plain HTTP.
fn get(service: &Service, path: &str) -> String {
    let mut connection = TcpStream::connect(&service.address).unwrap();
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn who_may_read_what() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    prepare(at);
    let ads = at.join("ads").display().to_string();
    let mut tokens = vec![
        token(
            at,
            "all",
            "ours",
            &format!("--role trainer --table {ads} --column *"),
        ),
        token(
            at,
            "clicks",
            "ours",
            &format!("--role trainer --table {ads}/clicks/ --column f_1 --column label"),
        ),
        token(
            at,
            "threes",
            "ours",
            &format!("--role trainer --table file://{ads} --column f_* --column label"),
        ),
        token(
            at,
            "elsewhere",
            "ours",
            "--role trainer --table s3://ads --column *",
        ),
        token(
            at,
            "late",
            "ours",
            "--role trainer --table * --column * --lasts 0s",
        ),
        token(
            at,
            "rotated",
            "theirs",
            "--role trainer --table * --column *",
        ),
        token(at, "operator", "ours", "--role operator"),
        token(at, "worker", "ours", "--role worker"),
    ];
    let forged = at.join("forged");
    tokens.push(format!("{}x", tokens[0]));
    fs::write(&forged, tokens.last().unwrap()).unwrap();

    let keys = format!("--token-keys {}", at.join("ours.pub").display());
    let fleet = format!("serve fleet --listen 127.0.0.1:0 --heartbeat-seconds 0.2 {keys}");
    let fleet = start(&fleet, at, "", "fleet.log");
    let worker = format!(
        "serve worker --listen 127.0.0.1:0 --threads 1 --fleet fleet://{} {keys}",
        fleet.address
    );
    let worker = start(&worker, at, "worker", "worker.log");
    wait_for_worker(at, &fleet, "operator");
    let mut heard = get(&fleet, "/metrics") + &get(&fleet, "/api/v1/status") + &get(&fleet, "/");
    assert!(heard.contains("dpp_fleet_workers"), "{heard}");

    // (token, table, plan, what the refusal says; nothing: allowed)
    let cases = [
        ("", "clicks", "one", "asks for a token"),
        ("all", "clicks", "all", ""),
        ("all", "clicks-raw", "all", ""),
        ("clicks", "clicks", "one", ""),
        (
            "clicks",
            "clicks",
            "all",
            "all columns that the plan's patterns match",
        ),
        ("clicks", "clicks-raw", "one", "does not allow table"),
        (
            "clicks",
            "clicks/../clicks-raw",
            "one",
            "does not allow table",
        ),
        ("threes", "clicks", "all", ""),
        ("elsewhere", "clicks", "one", "does not allow table"),
        ("late", "clicks", "one", "ended at"),
        (
            "rotated",
            "clicks",
            "one",
            "not signed by a key that this service trusts",
        ),
        (
            "forged",
            "clicks",
            "one",
            "not signed by a key that this service trusts",
        ),
        ("operator", "clicks", "one", "has role operator"),
    ];
    for (token, table, plan, refusal) in cases {
        let plan = at.join(format!("{plan}.json"));
        let on_box = format!(
            "run --json --batch-size 100 --table {ads}/{table} --plan {}",
            plan.display()
        );
        let run = format!("{on_box} --service {}", worker.address);
        let output = with_token(&run, at, token).output().unwrap();
        let answer = said(&output);
        if refusal.is_empty() {
            // Not a byte of the tensors is anything but the table's.
            assert_eq!(
                checksum(&output),
                checksum(&dpp(&on_box)),
                "{token} {table}"
            );
        } else {
            assert_eq!(output.status.code(), Some(1), "{token} {table}: {answer}");
            assert!(answer.contains(refusal), "{token} {table}: {answer}");
        }
        heard += &answer;
    }

    // A fleet that refuses a trainer says so long before it gives up waiting for workers.
    for (token, refusal) in [
        ("", "asks for a token"),
        ("late", "ended at"),
        ("forged", "not signed by a key"),
    ] {
        let run = format!(
            "run --json --batch-size 100 --table {ads}/clicks --plan {} --service fleet://{}",
            at.join("one.json").display(),
            fleet.address
        );
        let began = Instant::now();
        let output = with_token(&run, at, token).output().unwrap();
        let answer = said(&output);
        assert_eq!(output.status.code(), Some(1), "{token}: {answer}");
        assert!(answer.contains(refusal), "{token}: {answer}");
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{token}: {:?}",
            began.elapsed()
        );
        heard += &answer;
    }

    // The fleet: (token, what it is asked, allowed)
    let drain = format!(
        "fleet drain {} --fleet fleet://{}",
        worker.address, fleet.address
    );
    let top = format!("fleet top --once --fleet fleet://{}", fleet.address);
    let cases = [
        ("", &top, false),
        ("late", &top, false),
        ("forged", &top, false),
        ("all", &top, true),
        ("all", &drain, false),
        ("worker", &drain, false),
        ("operator", &drain, true),
    ];
    for (token, line, is_allowed) in cases {
        let output = with_token(line, at, token).output().unwrap();
        let answer = said(&output);
        assert_eq!(
            output.status.success(),
            is_allowed,
            "{token} {line}: {answer}"
        );
        heard += &answer;
    }

    // Keys are rotated: a service that knows both lets the bearers of both in.
    let both = format!("{keys},{}", at.join("theirs.pub").display());
    let both = format!("serve worker --listen 127.0.0.1:0 --threads 1 {both}");
    let both = start(&both, at, "", "both.log");
    for token in ["all", "rotated"] {
        let run = format!(
            "run --json --batch-size 100 --table {ads}/clicks --plan {} --service {}",
            at.join("one.json").display(),
            both.address
        );
        let output = with_token(&run, at, token).output().unwrap();
        heard += &said(&output);
        assert!(output.status.success(), "{token}: {}", said(&output));
    }

    let [mut fleet, mut both] = [fleet, both];
    fleet.terminate();
    both.terminate();
    drop(worker); // an operator asked it to leave
    for log in ["fleet.log", "worker.log", "both.log"] {
        heard += &fs::read_to_string(at.join(log)).unwrap();
    }
    assert!(heard.contains("listening"), "the logs are there");
    assert!(heard.contains("refused"), "what was refused is in them");
    for key in ["ours", "theirs"] {
        let pem = fs::read_to_string(at.join(key)).unwrap();
        let secret = pem.lines().nth(1).unwrap();
        assert!(!heard.contains(secret), "a private key was said");
    }
    for token in &tokens {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!heard.contains(signature), "a token was said");
    }
}

#[test]
fn keys_and_tokens_that_make_no_sense_are_said() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let key = at.join("key").display().to_string();
    assert!(dpp(&format!("fleet key {key}")).status.success());
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&key).unwrap());
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    fs::write(at.join("empty"), "").unwrap();
    let empty = at.join("empty").display().to_string();
    let trainer = "--role trainer --table s3://a --column *";
    for (line, token, status, why) in [
        (format!("fleet key {key}"), "", 1, "exists"),
        (
            format!("fleet token --key {key}.pub --name a {trainer}"),
            "",
            2,
            "no private Ed25519 key",
        ),
        (
            format!("fleet token --key {key} --name a --role trainer"),
            "",
            2,
            "--table",
        ),
        (
            format!("fleet token --key {key} --name a {trainer} --lasts 3w"),
            "",
            2,
            "no time",
        ),
        (
            format!("serve worker --listen 127.0.0.1:0 --token-keys {key}"),
            "",
            2,
            "no public Ed25519 key",
        ),
        (
            format!("serve fleet --listen 127.0.0.1:0 --token-keys {empty}x"),
            "",
            2,
            "can't read",
        ),
        ("fleet top --once".to_owned(), "empty", 2, "holds no token"),
        (
            "fleet top --once --fleet 192.0.2.1:7400".to_owned(),
            "token",
            2,
            "plain text",
        ),
    ] {
        if token == "token" {
            self::token(at, "token", "key", trainer);
        }
        let output = with_token(&line, at, token).output().unwrap();
        let answer = said(&output);
        assert_eq!(output.status.code(), Some(status), "{line}: {answer}");
        assert!(answer.contains(why), "{line}: {answer}");
    }
}
