//! How the columns of a table are stored: what a few of its files say.

use std::collections::BTreeSet;

use dpp_table::{ColumnKey, Description, StoredColumn, Table};

use crate::error::Error;

/// Leaf columns of some files, in stored order each.
pub(super) struct Layout {
    pub(super) files: Vec<Vec<StoredColumn>>,
}

impl Layout {
    /// Looks at files spread over the table.
    pub(super) async fn of(table: &Table, description: &Description) -> Result<Layout, Error> {
        let all = description.snapshot.files();
        let mut files = Vec::new();
        for file in all.iter().step_by(all.len().div_ceil(MOST_FILES).max(1)) {
            files.push(table.stored_columns(file).await?);
        }
        Ok(Layout { files })
    }

    /// The encodings of a feature's values.
    pub(super) fn encodings(&self, feature: &str) -> Vec<String> {
        let all = self
            .of_feature(feature)
            .flat_map(|column| &column.encodings);
        let distinct: BTreeSet<String> = all.cloned().collect();
        distinct.into_iter().collect()
    }

    /// Whose key encrypts a feature, if it is encrypted.
    pub(super) fn key(&self, feature: &str) -> Option<&'static str> {
        let keys = self.of_feature(feature).filter_map(|column| column.key);
        keys.max().map(|key| match key {
            ColumnKey::Footer => "footer",
            ColumnKey::Own => "own",
        })
    }

    fn of_feature(&self, feature: &str) -> impl Iterator<Item = &StoredColumn> {
        let all = self.files.iter().flatten();
        all.filter(move |column| is_of(column, feature))
    }
}

/// Whether a leaf column holds values of a feature: a column of its own, or a map of which it is a key.
pub(super) fn is_of(column: &StoredColumn, feature: &str) -> bool {
    match feature.strip_prefix(column.root.as_str()) {
        Some(rest) => rest.is_empty() || rest.starts_with('[') && rest.ends_with(']'),
        None => false,
    }
}

const MOST_FILES: usize = 8;
