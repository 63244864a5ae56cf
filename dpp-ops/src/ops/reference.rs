//! Every op beside its naive twin, row by row, on ten thousand random rows or more.
//!
//! An op's own file has the twin, in its test `equals_row_by_row`; rows are counted as they pass through the op.

use std::{cell::Cell, fs, path::Path};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::GROUPS;

/// Checks `property`, which runs `op` on the rows of a case, on cases of at least 10,000 rows together; says how many they
/// were (`cargo test -p dpp-ops row_by_row -- --show-output`).
pub(crate) fn check_rows<S: Strategy>(op: &'static str, cases: S, property: impl Fn(S::Value)) {
    CHECKED.set((op, 0));
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    while CHECKED.get().1 < LEAST_ROWS {
        let case = cases
            .new_tree(&mut runner)
            .expect("cases are made without rejects");
        let outcome = runner.run_one(case, |case| {
            property(case);
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{op}: {failure}");
        }
    }
    println!("{op}: {} rows", CHECKED.get().1);
}

/// Counts rows that `op` was run on, where it is the op that this thread checks.
pub(super) fn count_rows(op: &str, rows: usize) {
    let (checked, before) = CHECKED.get();
    if checked == op {
        CHECKED.set((checked, before + rows));
    }
}

const LEAST_ROWS: usize = 10_000;

thread_local! {
    static CHECKED: Cell<(&'static str, usize)> = const { Cell::new(("", 0)) };
}

#[test]
fn every_op_has_its_twin() {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let listed = |folder: &Path| fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let folders = listed(sources.as_ref()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| listed(&folder).collect::<Vec<_>>());
    let text: String = files
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let text: String = text.split_whitespace().collect();
    for entry in GROUPS.iter().copied().flatten() {
        let twin = format!("check_rows(\"{}\",", entry.name);
        assert!(text.contains(&twin), "{} has no twin", entry.name);
    }
}
