//! How a file's columns are stored, as its footer says: what looking at a table shows.

use std::collections::BTreeSet;

use dpp_proto::v1::SnapshotFile;
use parquet::basic::{Encoding, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use crate::encryption::unlock;
use crate::encryption::unlock::opener::ChunkKey;
use crate::error::Error;
use crate::footer::Footer;
use crate::read::fetch::{ReadCounters, known_footer};
use crate::table::Table;

/// A leaf column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredColumn {
    /// Name of the root column that it belongs to.
    pub root: String,
    /// How its values are encoded, by the names of [`ColumnEncoding`](crate::ColumnEncoding) where that has one; sorted.
    pub encodings: BTreeSet<String>,
    /// Whether its values are floats or doubles.
    pub is_float: bool,
    /// Which key it is encrypted with; `None` if it is not.
    pub key: Option<ColumnKey>,
    /// Whether every row group says where its pages lie.
    pub has_page_index: bool,
}

/// Whose key encrypts a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKey {
    /// The footer's.
    Footer,
    /// One of its own.
    Own,
}

impl Table {
    /// The leaf columns of a file, in stored order. Fails as reading them would: for want of a key, too.
    pub async fn stored_columns(&self, file: &SnapshotFile) -> Result<Vec<StoredColumn>, Error> {
        let files = &self.files;
        let locked = known_footer(files, file, &mut ReadCounters::default()).await?;
        let name = files.store.name(&file.path);
        let roots: Vec<usize> = (0..locked.num_roots()).collect();
        let leaves = locked.leaves_of(&roots);
        let footer = unlock::open_columns(files, &file.path, locked.clone(), &leaves).await?;
        let unlocked = footer.metadata(&name)?;
        let schema = unlocked.file_metadata().schema_descr();
        let groups = unlocked.row_groups();
        let column = |leaf| {
            let chunks = || groups.iter().map(move |group| group.column(leaf));
            StoredColumn {
                root: schema.get_column_root(leaf).name().to_owned(),
                encodings: chunks().flat_map(encodings).collect(),
                is_float: chunks().any(is_float),
                key: key(&locked, leaf),
                has_page_index: chunks().all(|chunk| chunk.offset_index_offset().is_some()),
            }
        };
        Ok(leaves.into_iter().map(column).collect())
    }
}

/// Values' encodings; a dictionary's own, and those of levels, say nothing.
fn encodings(chunk: &ColumnChunkMetaData) -> BTreeSet<String> {
    let is_boolean = chunk.column_type() == Type::BOOLEAN;
    let names = chunk.encodings().filter_map(|encoding| match encoding {
        Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => Some("dictionary".to_owned()),
        Encoding::RLE if !is_boolean => None,
        #[expect(deprecated, reason = "old files have it")]
        Encoding::BIT_PACKED => None,
        other => Some(other.to_string().to_ascii_lowercase()),
    });
    let mut names: BTreeSet<String> = names.collect();
    if names.contains("dictionary") {
        names.remove("plain");
    }
    names
}

fn is_float(chunk: &ColumnChunkMetaData) -> bool {
    matches!(chunk.column_type(), Type::FLOAT | Type::DOUBLE)
}

fn key(footer: &Footer, leaf: usize) -> Option<ColumnKey> {
    let groups = 0..footer.row_group_rows().len();
    let keys = groups.filter_map(|group| match footer.key_of(group, leaf)? {
        ChunkKey::Footer => Some(ColumnKey::Footer),
        ChunkKey::Own { .. } => Some(ColumnKey::Own),
    });
    keys.max()
}
