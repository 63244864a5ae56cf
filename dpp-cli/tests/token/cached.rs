//! Who may read what lies in a worker's cache: nobody who may not read it where it is stored.

use std::fs;

use tempfile::TempDir;

use super::{ONE, get, token, with_token};
use crate::{
    clicks::{PLAN, checksum, said, start_logging},
    dpp::{dpp, text},
    s3::{S3, SECRET},
    service::Service,
};

/// Bytes that a worker's reads found in its cache, and bytes that it fetched from storage.
fn kept_and_read(worker: &Service) -> (f64, f64) {
    let metrics = get(worker, "/metrics");
    (
        value(&metrics, "dpp_worker_cache_hit_bytes_total"),
        value(&metrics, "dpp_worker_read_bytes_total"),
    )
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.map_or(0.0, |line| {
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

/// Bytes that are asked for to see what two files hold.
const FOOTERS: f64 = (2 * (128 << 10)) as f64;

#[test]
fn what_lies_in_the_cache_is_for_those_who_may_read_it() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let stored = at.join("s3");
    for table in ["clicks", "users"] {
        let line = format!(
            "table synth {}/ads/{table} --rows 60000 --files 2 --dense 3",
            stored.display()
        );
        fs::create_dir_all(stored.join("ads")).unwrap();
        let made = dpp(&line);
        assert!(made.status.success(), "{}", said(&made));
    }
    fs::write(at.join("all.json"), PLAN).unwrap();
    fs::write(at.join("one.json"), ONE).unwrap();
    for key in ["ours", "theirs"] {
        assert!(
            dpp(&format!("fleet key {}", at.join(key).display()))
                .status
                .success()
        );
    }
    for (name, key, wishes) in [
        ("all", "ours", "--table s3://ads --column *"),
        (
            "narrow",
            "ours",
            "--table s3://ads/clicks --column f_1 --column label",
        ),
        ("users", "ours", "--table s3://ads/users --column *"),
        ("late", "ours", "--table * --column * --lasts 0s"),
        ("unknown", "theirs", "--table * --column *"),
    ] {
        token(at, name, key, &format!("--role trainer {wishes}"));
    }

    let s3 = S3::start(&stored);
    let line = format!(
        "serve worker --listen 127.0.0.1:0 --threads 1 --cache 64MiB --token-keys {}",
        at.join("ours.pub").display()
    );
    let mut command = with_token(&line, at, "");
    command.envs(s3.environment());
    let mut worker = start_logging(command, &at.join("worker.log"));
    let run = |(token, table, plan, options): (&str, &str, &str, &str)| {
        let line = format!(
            "run --json --batch-size 1000 --table s3://ads/{table} --plan {} --service {} {options}",
            at.join(format!("{plan}.json")).display(),
            worker.address
        );
        with_token(&line, at, token).output().unwrap()
    };
    let on_box = |plan: &str| {
        let plan = at.join(format!("{plan}.json")).display().to_string();
        let table = stored.join("ads/clicks").display().to_string();
        checksum(&dpp(&format!(
            "run --json --batch-size 1000 --table {table} --plan {plan}"
        )))
    };

    // who comes first fills the cache
    assert_eq!(checksum(&run(("all", "clicks", "all", ""))), on_box("all"));
    let (_, read) = kept_and_read(&worker);
    assert!(
        read > 2.0 * FOOTERS,
        "the rows are more than the files' ends: {read}"
    );
    // (credential, table, columns, storage options, what the refusal says; nothing: allowed)
    let allowed = [("all", "all"), ("narrow", "one")];
    for (token, plan) in allowed {
        let (kept_before, read_before) = kept_and_read(&worker);
        assert_eq!(
            checksum(&run((token, "clicks", plan, ""))),
            on_box(plan),
            "{token}"
        );
        let (kept, read) = kept_and_read(&worker);
        assert!(kept > kept_before, "{token}: the cache was warm");
        let read = read - read_before;
        assert!(
            read <= FOOTERS,
            "{token}: {read} bytes were asked for, more than the files' ends"
        );
    }
    let (kept, _) = kept_and_read(&worker);
    let anonymous = "--storage-option skip_signature=true";
    let refused = [
        ("", "clicks", "one", "", "asks for a token"),
        (
            "narrow",
            "clicks",
            "all",
            "",
            "all columns that the plan's patterns match",
        ),
        ("narrow", "users", "one", "", "does not allow table"),
        ("users", "clicks", "one", "", "does not allow table"),
        ("late", "clicks", "one", "", "ended at"),
        ("unknown", "clicks", "one", "", "not signed by a key"),
        // a token that allows the table, and no right to it where it is stored
        ("all", "clicks", "one", anonymous, "denies access"),
    ];
    let mut heard = String::new();
    for (token, table, plan, options, why) in refused {
        let output = run((token, table, plan, options));
        let answer = said(&output);
        assert_eq!(output.status.code(), Some(1), "{token} {options}: {answer}");
        assert!(answer.contains(why), "{token} {options}: {answer}");
        heard += &answer;
    }
    assert_eq!(
        kept_and_read(&worker).0,
        kept,
        "not a byte of it was for them"
    );
    heard += &get(&worker, "/metrics");
    worker.terminate();
    heard += &text(&fs::read(at.join("worker.log")).unwrap());
    assert!(heard.contains("listening") && !heard.contains(SECRET));
}

#[test]
fn a_worker_that_begins_anew_finds_what_it_kept_on_disk() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let stored = at.join("s3");
    fs::create_dir_all(stored.join("ads")).unwrap();
    let table = stored.join("ads/clicks").display().to_string();
    let made = dpp(&format!(
        "table synth {table} --rows 60000 --files 2 --dense 3"
    ));
    assert!(made.status.success(), "{}", said(&made));
    let plan = at.join("all.json");
    fs::write(&plan, PLAN).unwrap();
    let plan = plan.display();
    let run = format!("run --json --batch-size 1000 --plan {plan}");
    let expected = checksum(&dpp(&format!("{run} --table {table}")));
    let s3 = S3::start(&stored);
    let kept = at.join("kept");
    let line = format!(
        "serve worker --listen 127.0.0.1:0 --threads 1 --cache 0 --cache-disk {}=128MiB",
        kept.display()
    );
    let mut fetched = Vec::new();
    for turn in ["first", "anew"] {
        let mut command = with_token(&line, at, "");
        command.env("DPP_LOG", "info").envs(s3.environment());
        let mut worker = Service::start(command);
        let run = format!("{run} --table s3://ads/clicks --service {}", worker.address);
        assert_eq!(checksum(&dpp(&run)), expected, "{turn}");
        let metrics = get(&worker, "/metrics");
        fetched.push((
            value(&metrics, "dpp_worker_read_bytes_total"),
            value(&metrics, "dpp_worker_cache_disk_hit_bytes_total"),
        ));
        worker.terminate();
    }
    let [(read, _), (read_anew, found)] = fetched[..] else {
        unreachable!("there were two")
    };
    assert!(read > 2.0 * FOOTERS, "{fetched:?}");
    assert!(
        read_anew <= FOOTERS && found > 0.0,
        "nothing but the files' ends is asked for again: {fetched:?}"
    );
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&kept).unwrap());
    assert_eq!(mode & 0o777, 0o700, "for its owner only");
}
