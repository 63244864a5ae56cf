//! Where a table's layout costs, and what changes it. Pure.

use std::collections::{BTreeSet, HashSet};

use dpp_proto::v1::Kind;
use dpp_table::{Description, StoredColumn, Usage, order_by_usage};
use serde::Serialize;

use super::layout::Layout;
use crate::output;

/// Something that costs.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Hint {
    /// What it is, for machines.
    pub(super) kind: &'static str,
    /// What it costs and what changes it, for people.
    pub(super) says: String,
}

/// What costs in this table, for runs that read as `logs` say.
pub(super) fn hints(description: &Description, layout: &Layout, logs: &[Usage]) -> Vec<Hint> {
    let found = [
        small_row_groups(description),
        missing_page_index(description, layout),
        dictionaries_of_floats(description, layout),
        maps(description, layout),
        scattered(layout.files.first().map_or(&[], Vec::as_slice), logs),
    ];
    found.into_iter().flatten().collect()
}

fn small_row_groups(description: &Description) -> Option<Hint> {
    let mean = mean_row_group_bytes(description)?;
    let files = description.snapshot.files();
    if mean >= SMALL_ROW_GROUP_BYTES || row_groups(description) == 1 {
        return None;
    }
    let mean = output::bytes(mean);
    let says = match row_groups(description) == files.len() as u64 {
        true => format!(
            "files hold {mean} on average, one row group each, so that a feature takes a request for few bytes: write larger files"
        ),
        false => format!(
            "row groups hold {mean} on average, so that a feature takes a request for few bytes: \
             dpp table rewrite --row-group-bytes 128MiB"
        ),
    };
    Some(hint("small_row_groups", says))
}

fn missing_page_index(description: &Description, layout: &Layout) -> Option<Hint> {
    let mean = mean_row_group_bytes(description)?;
    let all = layout.files.iter().flatten();
    if mean < LARGE_ROW_GROUP_BYTES || all.clone().all(|column| column.has_page_index) {
        return None;
    }
    let says = format!(
        "row groups hold {} on average and say not where their pages lie, so that a piece of one reads whole column chunks: \
         dpp table rewrite writes a page index",
        output::bytes(mean)
    );
    Some(hint("no_page_index", says))
}

fn dictionaries_of_floats(description: &Description, layout: &Layout) -> Option<Hint> {
    let columns = layout.files.iter().flatten();
    let roots = columns.filter(|column| column.is_float && column.encodings.contains("dictionary"));
    let roots: HashSet<&str> = roots.map(|column| column.root.as_str()).collect();
    let features = description.schema.features.iter();
    let dense = features.filter(|feature| feature.kind() == Kind::Dense);
    let found = dense
        .filter(|feature| roots.contains(feature.name.as_str()))
        .count();
    let says = format!(
        "{} dense features are stored as dictionaries, which floats seldom repay: dpp table rewrite --auto measures it",
        output::count(found as u64)
    );
    (found > 0).then(|| hint("dictionary_of_floats", says))
}

fn maps(description: &Description, layout: &Layout) -> Option<Hint> {
    let roots: HashSet<&str> = layout
        .files
        .iter()
        .flatten()
        .map(|it| it.root.as_str())
        .collect();
    let in_map = |name: &str| {
        let column = name.split_once('[').map(|(column, _)| column);
        !roots.contains(name) && column.is_some_and(|column| roots.contains(column))
    };
    let features = description.schema.features.iter();
    let found = features.filter(|feature| in_map(&feature.name)).count();
    let says = format!(
        "{} features are keys of maps, and who reads one of them reads and decodes all of its map: dpp table rewrite gives \
         each a column",
        output::count(found as u64)
    );
    (found > 0).then(|| hint("features_in_maps", says))
}

/// Compares the runs of neighbouring columns that plans read with those in the order of their usage.
fn scattered(columns: &[StoredColumn], logs: &[Usage]) -> Option<Hint> {
    let mut stored: Vec<String> = columns.iter().map(|column| column.root.clone()).collect();
    stored.dedup();
    let plans: Vec<_> = logs.iter().map(|log| (log.features.clone(), 1.0)).collect();
    let ordered = order_by_usage(&stored, &plans);
    let runs_in = |order: &[String]| {
        logs.iter()
            .map(|log| runs(order, &log.features))
            .sum::<u64>()
    };
    let (now, then) = (runs_in(&stored), runs_in(&ordered));
    let says = format!(
        "{} logged runs read {} places of a row group together, and {} if features that are read together lay together: \
         dpp table rewrite --order-by usage",
        output::count(logs.len() as u64),
        output::count(now),
        output::count(then)
    );
    (now > SCATTERED * then).then(|| hint("scattered_features", says))
}

/// How often a feature that is read follows one that is not.
fn runs(order: &[String], features: &[String]) -> u64 {
    let wanted: BTreeSet<&String> = features.iter().collect();
    let read = order.iter().map(|name| wanted.contains(name));
    let mut before = false;
    read.filter(|now| std::mem::replace(&mut before, *now) != *now && *now)
        .count() as u64
}

fn mean_row_group_bytes(description: &Description) -> Option<u64> {
    let files = description.snapshot.files();
    let bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
    bytes.checked_div(row_groups(description))
}

fn row_groups(description: &Description) -> u64 {
    let files = description.snapshot.files().iter();
    files.map(|file| file.row_group_rows.len() as u64).sum()
}

fn hint(kind: &'static str, says: String) -> Hint {
    Hint { kind, says }
}

/// Of 100 features a chunk is then tens of kilobytes, which cost less than the request for them.
const SMALL_ROW_GROUP_BYTES: u64 = 8 << 20;
/// More than a worker should hold of a file.
const LARGE_ROW_GROUP_BYTES: u64 = 256 << 20;
/// So many times as many places are worth rewriting.
const SCATTERED: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn runs_of_neighbours_are_counted() {
        for (order, read, expected) in [
            ("a b c d", "", 0),
            ("a b c d", "b c", 1),
            ("a b c d", "a c d", 2),
            ("a b c d", "a d nowhere", 2),
        ] {
            assert_eq!(
                runs(&names(order), &names(read)),
                expected,
                "{order}: {read}"
            );
        }
    }

    #[test]
    fn what_is_read_together_and_lies_apart_is_said() {
        let column = |root: String| StoredColumn {
            root,
            encodings: BTreeSet::new(),
            is_float: true,
            key: None,
            has_page_index: true,
        };
        let columns: Vec<_> = (0..20).map(|i| column(format!("f{i}"))).collect();
        let log = |features: Vec<String>| Usage {
            run: "r".to_owned(),
            table: "t".to_owned(),
            features,
            read_bytes: 0,
        };
        let every = |step: usize| (0..20).step_by(step).map(|i| format!("f{i}")).collect();
        let found = scattered(&columns, &[log(every(2))]).unwrap();
        assert!(
            found.says.starts_with("1 logged runs read 10 places"),
            "{found:?}"
        );
        assert!(found.says.contains("and 1 if"), "{found:?}");
        assert_eq!(scattered(&columns, &[log(every(1))]), None);
        assert_eq!(scattered(&columns, &[]), None);
    }
}
