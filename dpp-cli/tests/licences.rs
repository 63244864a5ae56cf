//! What `deny.toml` says of licences, bans and sources holds for every dependency, of tests and builds too.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;
use toml::Table;

#[test]
fn dependencies_are_what_we_allow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rules: Table = fs::read_to_string(root.join("deny.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let texts = |list: &toml::Value, key: &str| -> BTreeSet<String> {
        let entries = list.as_array().unwrap().iter();
        let text =
            |entry: &toml::Value| entry.get(key).unwrap_or(entry).as_str().unwrap().to_owned();
        entries.map(text).collect()
    };
    let allowed = texts(&rules["licenses"]["allow"], "");
    let banned = texts(&rules["bans"]["deny"], "crate");

    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{} packages", packages.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence, &allowed), "{name} is under {licence}");
        assert!(!banned.contains(name), "{name} is banned in deny.toml");
        let source = package["source"].as_str();
        let is_known = source.is_none_or(|it| {
            it.starts_with("registry+https://github.com/rust-lang/crates.io-index")
        });
        assert!(is_known, "{name} comes from {source:?}");
    }
}

/// Whether one can choose licences of these only. Older packages write `/` for OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.trim().replace('/', " OR ");
    for (operator, all) in [(" OR ", false), (" AND ", true)] {
        let parts = split(&expression, operator);
        if parts.len() > 1 {
            let mut parts = parts.into_iter();
            return match all {
                true => parts.all(|part| is_allowed(part, allowed)),
                false => parts.any(|part| is_allowed(part, allowed)),
            };
        }
    }
    let expression = expression.trim();
    match expression
        .strip_prefix('(')
        .and_then(|it| it.strip_suffix(')'))
    {
        Some(inner) => is_allowed(inner, allowed),
        None => allowed.contains(&expression.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// The parts between `operator`, as far as it stands outside of parentheses.
fn split<'a>(expression: &'a str, operator: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= begin && expression[at..].starts_with(operator) => {
                parts.push(&expression[begin..at]);
                begin = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[begin..]);
    parts
}

#[test]
fn expressions_are_read_as_they_mean() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned(), "A WITH B".to_owned()]);
    for (expression, is_allowed) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 / MIT", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR LGPL-3.0) AND MIT", false),
        ("A WITH B", true),
        ("A", false),
        ("none", false),
    ] {
        assert_eq!(
            self::is_allowed(expression, &allowed),
            is_allowed,
            "{expression}"
        );
    }
}
