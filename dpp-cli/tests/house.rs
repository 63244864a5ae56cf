//! The arrows between crates are those that the README draws: a new one is a design change.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// crate ─▶ the crates of the workspace that it depends on.
const ARROWS: [(&str, &[&str]); 13] = [
    ("dpp-proto", &[]),
    ("dpp-pool", &[]),
    ("dpp-batch", &["dpp-pool"]),
    ("dpp-table", &["dpp-pool", "dpp-proto"]),
    ("dpp-ops", &["dpp-batch", "dpp-pool", "dpp-proto"]),
    (
        "dpp-worker",
        &["dpp-batch", "dpp-ops", "dpp-pool", "dpp-proto", "dpp-table"],
    ),
    ("dpp-client", &["dpp-batch", "dpp-proto", "dpp-worker"]),
    ("dpp-fleet", &["dpp-proto"]),
    (
        "dpp-cli",
        &[
            "dpp-client",
            "dpp-fleet",
            "dpp-ops",
            "dpp-proto",
            "dpp-table",
            "dpp-worker",
        ],
    ),
    (
        "dpp-python",
        &[
            "dpp-batch",
            "dpp-cli",
            "dpp-client",
            "dpp-ops",
            "dpp-proto",
            "dpp-table",
        ],
    ),
    (
        "dpp-benches",
        &[
            "dpp-batch",
            "dpp-cli",
            "dpp-client",
            "dpp-fleet",
            "dpp-ops",
            "dpp-proto",
            "dpp-table",
            "dpp-worker",
        ],
    ),
    ("dpp-micro", &[]),
    ("dpp-examples", &[]),
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Every crate's dependencies outside tests, by crate.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let of = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    packages
        .iter()
        .map(|package| (text(&package["name"]), of(package)))
        .collect()
}

#[test]
fn arrows_are_the_drawn_ones() {
    let drawn: BTreeMap<String, BTreeSet<String>> = ARROWS
        .iter()
        .map(|(from, to)| {
            (
                (*from).to_owned(),
                to.iter().map(|to| (*to).to_owned()).collect(),
            )
        })
        .collect();
    let mut found = dependencies();
    for to in found.values_mut() {
        to.retain(|name| name.starts_with("dpp-"));
    }
    assert_eq!(found, drawn);
}

#[test]
fn each_room_has_its_own_tools() {
    let found = dependencies();
    let users = |tool: &str| -> Vec<&str> {
        found
            .iter()
            .filter(|(_, to)| to.contains(tool))
            .map(|(from, _)| from.as_str())
            .collect()
    };
    // The benches put tables into an S3 server.
    assert_eq!(users("object_store"), ["dpp-benches", "dpp-table"]);
    // The command line writes synthetic tables, the benches measure against the crate itself.
    assert_eq!(users("parquet"), ["dpp-benches", "dpp-cli", "dpp-table"]);
    assert_eq!(users("rayon"), ["dpp-worker"]);
    assert_eq!(users("pyo3"), ["dpp-python"]);
    for pure in ["dpp-batch", "dpp-ops"] {
        assert!(
            !found[pure].contains("tokio") && !found[pure].contains("object_store"),
            "{pure} does no I/O"
        );
    }
}

/// The crates that a package links, one a line.
fn tree(package: &str, features: &[&str]) -> String {
    let asked = [
        "tree", "-p", package, "-e", "normal", "--prefix", "none", "-f", "{p}",
    ];
    cargo(&[&asked, features].concat())
}

#[test]
fn the_light_client_links_no_parquet_and_no_transforms() {
    let links = |tree: &str, name: &str| {
        tree.lines()
            .any(|line| line.starts_with(&format!("{name} ")))
    };
    let light = tree("dpp-client", &["--no-default-features"]);
    let whole = tree("dpp-client", &[]);
    for name in [
        "parquet",
        "arrow",
        "object_store",
        "dpp-table",
        "dpp-ops",
        "dpp-worker",
    ] {
        assert!(!links(&light, name), "the light client links {name}");
        assert!(
            links(&whole, name),
            "the embedded engine does not link {name}"
        );
    }
}

#[test]
fn nothing_that_the_package_links_runs_before_it_is_asked_to() {
    let tree = tree("dpp-python", &[]);
    let links = |name: &str| tree.lines().any(|line| line.starts_with(name));
    assert!(links("dpp-worker ") && links("tokio "), "{tree}");
    for before_main in ["ctor ", "small_ctor ", "fastant "] {
        assert!(
            !links(before_main),
            "{before_main}makes every import and every command wait"
        );
    }
}
