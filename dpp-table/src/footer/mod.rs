//! A Parquet file's footer: fetched from the file's end, checksummed as stored (`load`), and decoded as far as it is needed.
//!
//! ```text
//! stored ─▶ Outline: where each column is ─▶ cut ─▶ decoded: the columns that are read (`narrow`), their statistics (`statistics`)
//!        └▶ decoded whole, without statistics: who copies a file
//! ```
//!
//! An encrypted footer is opened once and outlined like any other. What is said of encrypted columns stays sealed until they are
//! read: cutting opens it.

pub(crate) mod cache;
mod cut;
pub(crate) mod int96;
pub(crate) mod load;
mod make;
pub(crate) mod narrow;
mod outline;
pub(crate) mod page_index;
mod roots;
pub(crate) mod statistics;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Field, Schema};
use dpp_proto::v1::SnapshotFile;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetStatisticsPolicy};
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_64;

use crate::encryption::unlock::Seal;
use crate::encryption::unlock::opener::{ChunkKey, Opener};
use crate::error::Error;
use crate::features::map_keys::MapKeys;
use crate::footer::cut::Part;
use crate::footer::make::StoredFooter;
use crate::footer::narrow::{NarrowSchema, Recent, decode};
use crate::footer::outline::Outline;
use crate::footer::page_index::{Key, Locating, MOST_KEPT, PageIndex};
use crate::footer::roots::Roots;
use crate::footer::statistics::GroupBounds;
use crate::snapshot::discover::ListedFile;

/// A footer and the version of the file it belongs to.
pub(crate) struct Footer {
    content: Content,
    version: i32,
    created_by: Option<String>,
    row_group_rows: Vec<u64>,
    narrows: Recent<(Vec<usize>, bool), NarrowSchema>,
    narrow_groups: Recent<(Vec<usize>, bool, usize), ArrowReaderMetadata>,
    pub(crate) file_size_bytes: u64,
    /// xxh3-64 of the stored metadata, its length and the magic: everything from the metadata to the file's end.
    pub(crate) checksum: u64,
    pub(crate) etag: Option<String>,
    /// Of those that the file has.
    pub(crate) page_indexes: Recent<Key, PageIndex, MOST_KEPT>,
    pub(crate) locating: Locating,
    /// By root columns and the kinds that they are wanted as: what each row group says of their values.
    bounds: Recent<Vec<(Option<usize>, i32)>, GroupBounds>,
    /// Keys of the file's feature maps, once they were asked for.
    pub(crate) map_keys: OnceCell<Arc<MapKeys>>,
    /// What is locked in it, if the file is encrypted.
    pub(crate) seal: Option<Seal>,
    /// With the keys that are there: the footer's if it was encrypted itself, columns' once they are read.
    pub(crate) opener: Option<Opener>,
    memory_bytes: usize,
    roots: Arc<Roots>,
}

enum Content {
    /// Decoded as far as it is needed, when it is needed.
    Outlined(Arc<Outline>),
    /// What is not written as most footers are.
    Decoded {
        metadata: Arc<ParquetMetaData>,
        /// Made when it is needed.
        arrow: OnceLock<ArrowReaderMetadata>,
    },
}

/// Computes where waiting is allowed; a panic becomes an error that names the file.
pub(crate) async fn blocking<T: Send + 'static>(
    name: &str,
    compute: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(compute).await {
        Ok(computed) => computed,
        Err(error) if error.is_panic() => Err(Error::corrupt(name, error)),
        Err(error) => Err(Error::Internal {
            path: name.to_owned(),
            reason: error.to_string(),
        }),
    }
}

impl Footer {
    /// All of it, statistics left out. Of encrypted columns what their keys, if they are there, show.
    pub(crate) fn metadata(&self, name: &str) -> Result<Arc<ParquetMetaData>, Error> {
        match &self.content {
            Content::Outlined(outline) => {
                let decoded = match &self.opener {
                    Some(_) => self.cut(name, outline, 0..self.row_group_rows.len())?,
                    None => load::decode(name, &outline.metadata)?,
                };
                check(name, &decoded)?;
                Ok(Arc::new(decoded))
            }
            Content::Decoded { metadata, .. } => Ok(Arc::clone(metadata)),
        }
    }

    /// All columns in some row groups.
    fn cut(
        &self,
        name: &str,
        outline: &Outline,
        row_groups: Range<usize>,
    ) -> Result<ParquetMetaData, Error> {
        let roots: Vec<usize> = (0..self.roots.len()).collect();
        let part = Part {
            roots: &roots,
            leaves: &self.leaves_of(&roots),
            row_groups,
            with_key_values: true,
        };
        decode(name, outline, &part, self.opener.as_ref(), &options())
    }

    fn outline(&self) -> Option<&Outline> {
        match &self.content {
            Content::Outlined(outline) => Some(outline),
            Content::Decoded { .. } => None,
        }
    }

    /// Number of root columns.
    pub(crate) fn num_roots(&self) -> usize {
        self.roots.len()
    }

    /// All columns as Arrow, without row groups: what describing needs, and reading does without.
    pub(crate) fn arrow(&self, name: &str) -> Result<ArrowReaderMetadata, Error> {
        let known = match &self.content {
            Content::Outlined(outline) => {
                let schema = self.cut(name, outline, 0..0)?;
                return arrow_metadata(name, Arc::new(schema));
            }
            Content::Decoded { arrow, .. } => arrow,
        };
        if let Some(arrow) = known.get() {
            return Ok(arrow.clone());
        }
        let made = arrow_metadata(name, self.metadata(name)?)?;
        Ok(known.get_or_init(|| made).clone())
    }

    /// Whether decoding `stored` would give this footer again, of the same version of the file.
    fn is_stored_as(&self, stored: &StoredFooter, etag: Option<&str>) -> bool {
        (self.file_size_bytes, self.etag.as_deref()) == (stored.file_size_bytes, etag)
            && self.checksum == xxh3_64(&stored.bytes)
    }

    /// Whether a listed file is the version that this footer was read from, as far as a listing can tell.
    pub(crate) fn is_of(&self, listed: &ListedFile) -> bool {
        self.file_size_bytes == listed.size_bytes && self.etag.is_some() && self.etag == listed.etag
    }

    /// About how much memory the footer holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Index of a root column by name.
    pub(crate) fn root(&self, name: &str) -> Option<usize> {
        self.roots.find(name)
    }

    /// Leaves of root columns; `roots` ascend.
    pub(crate) fn leaves_of(&self, roots: &[usize]) -> Vec<usize> {
        let roots = roots.iter();
        roots.flat_map(|root| self.roots.leaves_of(*root)).collect()
    }

    /// A root column by name: its index in the file, and how it is read. For who wants all of them.
    pub(crate) fn column<'a>(
        &'a self,
        arrow: &'a Schema,
        name: &str,
    ) -> Option<(usize, &'a Field)> {
        let root = self.root(name)?;
        let fields = arrow.fields();
        let field = match fields.get(root) {
            Some(field) if field.name() == name => field,
            // the Arrow schema lacks columns that have no Arrow form, so positions may differ
            _ => fields.find(name)?.1,
        };
        Some((root, field))
    }

    /// The first leaf of a root column: of a map, its keys.
    pub(crate) fn first_leaf(&self, root: usize) -> Option<usize> {
        self.roots.leaves_of(root).next()
    }

    /// Whether a leaf's pages are encrypted.
    pub(crate) fn is_encrypted(&self, leaf: usize) -> bool {
        self.key_of(0, leaf).is_some()
    }

    /// Whose key a leaf's column chunk is encrypted with, if it is.
    pub(crate) fn key_of(&self, row_group: usize, leaf: usize) -> Option<ChunkKey> {
        self.outline()?.key_of(row_group, leaf)
    }

    /// The name of a leaf's root column.
    pub(crate) fn name_of(&self, leaf: usize) -> &str {
        self.roots.name(self.roots.root_of(leaf))
    }

    /// Rows per row group.
    pub(crate) fn row_group_rows(&self) -> &[u64] {
        &self.row_group_rows
    }

    /// The file as a snapshot names it.
    pub(crate) fn snapshot_file(&self, path: &str) -> SnapshotFile {
        SnapshotFile {
            path: path.to_owned(),
            size_bytes: self.file_size_bytes,
            row_group_rows: self.row_group_rows.clone(),
            footer_checksum: self.checksum,
        }
    }
}

/// The Arrow schema a writer embedded, if it can be used; else what the Parquet schema alone says.
pub(crate) fn arrow_metadata(
    name: &str,
    metadata: Arc<ParquetMetaData>,
) -> Result<ArrowReaderMetadata, Error> {
    let embedded = ArrowReaderOptions::new();
    let arrow = ArrowReaderMetadata::try_new(Arc::clone(&metadata), embedded).or_else(|_| {
        let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ArrowReaderMetadata::try_new(Arc::clone(&metadata), plain)
    });
    let arrow = arrow.map_err(|error| Error::corrupt(name, error))?;
    let Some(schema) = int96::in_microseconds(&arrow) else {
        return Ok(arrow);
    };
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(metadata, options).map_err(|error| Error::corrupt(name, error))
}

fn check(name: &str, metadata: &ParquetMetaData) -> Result<(), Error> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    for (index, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return Err(Error::corrupt(
                name,
                format!("row group {index} claims {} rows", group.num_rows()),
            ));
        }
        if group.num_columns() != columns {
            return Err(Error::corrupt(
                name,
                format!(
                    "row group {index} has {} of {columns} columns",
                    group.num_columns()
                ),
            ));
        }
    }
    Ok(())
}

pub(crate) fn options() -> ParquetMetaDataOptions {
    ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}
