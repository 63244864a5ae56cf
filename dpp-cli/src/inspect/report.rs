//! What `dpp table inspect` prints: a table for people, the same as JSON for machines.

use std::fmt;

use dpp_proto::v1::{Feature, Kind};
use dpp_table::Description;
use serde::Serialize;

use super::{Measured, hints::Hint, layout::Layout, measure::Counts};
use crate::output;

/// What a table holds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    snapshot: String,
    rows: u64,
    files: u64,
    row_groups: u64,
    /// Of all files, footers included.
    stored_bytes: u64,
    partition_columns: Vec<String>,
    sampled_row_groups: u64,
    sampled_rows: u64,
    features: Vec<FeatureReport>,
    hints: Vec<Hint>,
}

#[derive(Debug, Serialize)]
struct FeatureReport {
    name: String,
    kind: String,
    /// Values a row, of vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// Share of rows with a value.
    coverage: f64,
    /// Mean length of lists that are not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_length: Option<f64>,
    /// Stored bytes in the whole table, from the sample.
    bytes: u64,
    /// Of them among all features'.
    share: f64,
    /// How values are stored.
    encodings: Vec<String>,
    /// Whose key encrypts it: `footer` or `own`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'static str>,
}

impl Report {
    pub(super) fn new(
        url: &str,
        description: &Description,
        measured: &Measured,
        layout: &Layout,
        hints: Vec<Hint>,
    ) -> Report {
        let files = description.snapshot.files();
        let rows = description.snapshot.num_rows();
        let features = description.schema.features.iter().zip(&measured.features);
        let all_bytes = measured.features.iter().map(|counts| counts.stored_bytes);
        let all_bytes = all_bytes.sum();
        let feature = |(feature, counts): (&Feature, &Counts)| {
            let share = ratio(counts.stored_bytes, all_bytes);
            FeatureReport::new(feature, counts, measured, rows, share, layout)
        };
        Report {
            url: url.to_owned(),
            snapshot: description.snapshot.hash().to_string(),
            rows,
            files: files.len() as u64,
            row_groups: files
                .iter()
                .map(|file| file.row_group_rows.len() as u64)
                .sum(),
            stored_bytes: files.iter().map(|file| file.size_bytes).sum(),
            partition_columns: description.schema.partition_columns.clone(),
            sampled_row_groups: measured.row_groups,
            sampled_rows: measured.rows,
            features: features.map(feature).collect(),
            hints,
        }
    }
}

impl FeatureReport {
    fn new(
        feature: &Feature,
        counts: &Counts,
        measured: &Measured,
        rows: u64,
        share: f64,
        layout: &Layout,
    ) -> FeatureReport {
        let kind = feature.kind();
        let is_list = matches!(kind, Kind::IdList | Kind::IdScoreList);
        let whole = rows as f64 / measured.group_rows.max(1) as f64;
        FeatureReport {
            name: feature.name.clone(),
            kind: kind
                .as_str_name()
                .trim_start_matches("KIND_")
                .to_ascii_lowercase(),
            width: (kind == Kind::Vector).then_some(feature.width),
            coverage: ratio(counts.present, measured.rows),
            mean_length: is_list.then(|| ratio(counts.list_values, counts.present)),
            bytes: (counts.stored_bytes as f64 * whole) as u64,
            share,
            encodings: layout.encodings(&feature.name),
            key: layout.key(&feature.name),
        }
    }

    fn cells(&self) -> [String; COLUMNS] {
        let length = match (self.mean_length, self.width) {
            (Some(length), _) => format!("{length:.1}"),
            (None, Some(width)) => width.to_string(),
            (None, None) => String::new(),
        };
        [
            self.name.clone(),
            self.kind.clone(),
            format!("{:.1} %", 100.0 * self.coverage),
            length,
            output::bytes(self.bytes),
            format!("{:.1} %", 100.0 * self.share),
            self.encodings.join(","),
            self.key.unwrap_or_default().to_owned(),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = output::count;
        writeln!(f, "table       {}", self.url)?;
        writeln!(f, "snapshot    {}", self.snapshot)?;
        writeln!(f, "rows        {}", count(self.rows))?;
        writeln!(
            f,
            "files       {} ({})",
            count(self.files),
            output::bytes(self.stored_bytes)
        )?;
        writeln!(f, "row groups  {}", count(self.row_groups))?;
        if !self.partition_columns.is_empty() {
            writeln!(f, "partitions  {}", self.partition_columns.join(", "))?;
        }
        let (sampled, rows) = (count(self.sampled_row_groups), count(self.sampled_rows));
        writeln!(f, "sample      {sampled} row groups, {rows} rows\n")?;
        let cells: Vec<_> = self.features.iter().map(FeatureReport::cells).collect();
        columns(f, &cells)?;
        for (number, hint) in self.hints.iter().enumerate() {
            let before = if number == 0 { "\n\n" } else { "\n" };
            write!(f, "{before}hint: {}", hint.says)?;
        }
        Ok(())
    }
}

/// Words to the left, numbers to the right; the last line has no line end.
fn columns(f: &mut fmt::Formatter<'_>, rows: &[[String; COLUMNS]]) -> fmt::Result {
    let header = HEADER.map(str::to_owned);
    let lines = || [&header].into_iter().chain(rows);
    let width = |i: usize| lines().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for (number, row) in lines().enumerate() {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if i == 0 { "" } else { "  " };
            line += &match i {
                2..=5 => format!("{gap}{cell:>width$}"),
                _ => format!("{gap}{cell:<width$}"),
            };
        }
        let end = if number == 0 { "" } else { "\n" };
        write!(f, "{end}{}", line.trim_end())?;
    }
    Ok(())
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

const COLUMNS: usize = 8;
const HEADER: [&str; COLUMNS] = [
    "feature", "kind", "coverage", "length", "bytes", "share", "encoding", "key",
];
