//! A Parquet file's footer: fetched from the file's end, checksummed as stored (`load`), and decoded as far as it is needed.
//!
//! ```text
//! stored ─▶ Outline: where each column is ─▶ cut ─▶ decoded: the columns that are read (`narrow`), their statistics (`statistics`)
//!        └▶ decoded whole, without statistics: who describes or copies a file; a file with encrypted columns
//! ```

pub(crate) mod cache;
mod cut;
pub(crate) mod int96;
pub(crate) mod load;
pub(crate) mod narrow;
mod outline;
pub(crate) mod page_index;
mod roots;
pub(crate) mod statistics;

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Field, Schema};
use dpp_proto::v1::SnapshotFile;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetStatisticsPolicy, RowGroupMetaData,
};
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_64;

use crate::encryption::unlock::{Seal, StoredFooter};
use crate::error::Error;
use crate::features::map_keys::MapKeys;
use crate::footer::narrow::{NarrowSchema, Recent};
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
    memory_bytes: usize,
    roots: Roots,
}

enum Content {
    /// Decoded as far as it is needed, when it is needed.
    Outlined(Outline),
    /// With encrypted columns, as what is said of them is tied to its place; and what is not written as most footers are.
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
    /// All of it, statistics left out.
    pub(crate) fn metadata(&self, name: &str) -> Result<Arc<ParquetMetaData>, Error> {
        match &self.content {
            Content::Outlined(outline) => {
                let decoded = load::decode(name, &outline.metadata)?;
                check(name, &decoded)?;
                Ok(Arc::new(decoded))
            }
            Content::Decoded { metadata, .. } => Ok(Arc::clone(metadata)),
        }
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

    /// All columns as Arrow: what describing needs, and reading does without.
    pub(crate) fn arrow(&self, name: &str) -> Result<ArrowReaderMetadata, Error> {
        let known = match &self.content {
            Content::Outlined(_) => return arrow_metadata(name, self.metadata(name)?),
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
        let Content::Decoded { metadata, .. } = &self.content else {
            return false;
        };
        let encrypted = |group: &RowGroupMetaData| group.column(leaf).crypto_metadata().is_some();
        metadata.row_groups().first().is_some_and(encrypted)
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

/// A footer of which nothing is decoded yet; `None` if some column is encrypted, or if it is not written as most are.
pub(crate) fn outlined(stored: &StoredFooter, etag: Option<String>) -> Option<Footer> {
    let metadata = stored.bytes.slice(..stored.bytes.len() - load::TAIL_BYTES);
    let (outline, roots) = Outline::of(metadata)?;
    Some(Footer {
        version: i32::try_from(outline.version).ok()?,
        created_by: outline.created_by.clone(),
        row_group_rows: outline.row_group_rows(),
        memory_bytes: stored.bytes.len() * OUTLINED_FACTOR,
        ..Footer::new(stored, etag, roots, Content::Outlined(outline))
    })
}

/// A footer of decoded metadata. Fails when that contradicts itself.
pub(crate) fn from_metadata(
    name: &str,
    metadata: ParquetMetaData,
    stored: &StoredFooter,
    etag: Option<String>,
    seal: Option<Seal>,
) -> Result<Footer, Error> {
    check(name, &metadata)?;
    let file = metadata.file_metadata();
    let schema = file.schema_descr();
    let fields = schema.root_schema().get_fields();
    let mut leaves = vec![0; fields.len()];
    for leaf in 0..schema.num_columns() {
        leaves[schema.get_column_root_idx(leaf)] += 1;
    }
    let mut roots = Roots::with_capacity(fields.len());
    for (field, leaves) in fields.iter().zip(leaves) {
        roots.push(field.name(), leaves);
    }
    let (version, created_by) = (file.version(), file.created_by().map(str::to_owned));
    let groups = metadata.row_groups().iter();
    let row_group_rows = groups
        .map(|group| group.num_rows().unsigned_abs())
        .collect();
    let content = Content::Decoded {
        metadata: Arc::new(metadata),
        arrow: OnceLock::new(),
    };
    // a sealed footer may be kept a second time, with its columns unlocked
    let copies = if seal.is_some() { 2 } else { 1 };
    Ok(Footer {
        version,
        created_by,
        row_group_rows,
        memory_bytes: stored.bytes.len() * DECODED_FACTOR * copies,
        seal,
        ..Footer::new(stored, etag, roots, content)
    })
}

impl Footer {
    fn new(stored: &StoredFooter, etag: Option<String>, roots: Roots, content: Content) -> Footer {
        Footer {
            content,
            version: 0,
            created_by: None,
            row_group_rows: Vec::new(),
            narrows: Recent::default(),
            narrow_groups: Recent::default(),
            file_size_bytes: stored.file_size_bytes,
            checksum: xxh3_64(&stored.bytes),
            etag,
            page_indexes: Recent::default(),
            locating: Locating::default(),
            bounds: Recent::default(),
            map_keys: OnceCell::new(),
            seal: None,
            memory_bytes: 0,
            roots,
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

/// A decoded footer, statistics left out, takes three to four times its stored bytes; asking the Parquet crate how much
/// exactly is a walk over all columns.
const DECODED_FACTOR: usize = 4;
/// The stored bytes, where things are in them, and what is decoded of them.
const OUTLINED_FACTOR: usize = 2;
