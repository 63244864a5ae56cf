//! A worker with `--allow` reads nowhere else, whoever asks, and lets no caller say which store it means.

use dpp_proto::v1::{StorageOption, TableSource};
use dpp_worker::{Engine, Error};

/// A table, its storage options, and what the refusal names; nothing: it is looked for.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

fn source(url: &str, storage: &[(&str, &str)]) -> TableSource {
    let option = |(key, value): &(&str, &str)| StorageOption {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    TableSource {
        url: url.to_owned(),
        storage: storage.iter().map(option).collect(),
        ..TableSource::default()
    }
}

#[tokio::test]
async fn nothing_beyond_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("ads").display().to_string();
    let engine = Engine::start(Some(1)).unwrap();
    let engine = engine.with_allowed(vec!["s3://ads/clicks/".to_owned(), inside.clone()]);
    let endpoint = ("endpoint", "https://169.254.169.254");
    let anonymous = ("skip_signature", "true");
    let cases: [Case<'_>; 8] = [
        (&format!("{inside}/clicks"), &[], ""),
        ("/etc", &[], "table /etc"),
        (&format!("{inside}/../other"), &[], "/other"),
        (
            "s3://ads/clicks-raw",
            &[anonymous],
            "table s3://ads/clicks-raw",
        ),
        ("s3://other/clicks", &[anonymous], "table s3://other/clicks"),
        (
            "s3://ads/clicks/a",
            &[anonymous, endpoint],
            "storage option endpoint",
        ),
        (
            "s3://ads/clicks/a",
            &[("aws_access_key_id", "a"), ("aws_secret_access_key", "b")],
            "storage option aws_access_key_id",
        ),
        ("s3://ads/clicks/../b", &[anonymous], "s3://ads/"),
    ];
    for (table, storage, refusal) in cases {
        let error = engine.describe(&source(table, storage), None).await;
        let error = error.unwrap_err();
        let is_refused = matches!(error, Error::OutOfBounds { .. });
        assert_eq!(is_refused, !refusal.is_empty(), "{table}: {error}");
        let said = error.to_string();
        assert!(said.contains(refusal), "{table}: {said}");
    }
}
