//! A Parquet file's footer: fetched from the file's end, checksummed as stored, decoded (`load`).
//!
//! Statistics are not decoded, as wide tables pay for them: who needs some columns' asks for just those (`statistics`).

pub(crate) mod cache;
pub(crate) mod int96;
pub(crate) mod load;
pub(crate) mod narrow;
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
use parquet::schema::types::SchemaDescriptor;
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_64;

use crate::encryption::unlock::{Seal, StoredFooter};
use crate::error::Error;
use crate::features::map_keys::MapKeys;
use crate::footer::narrow::{NarrowSchema, Recent};
use crate::footer::page_index::PageIndex;
use crate::footer::roots::Roots;
use crate::footer::statistics::ColumnBounds;
use crate::snapshot::discover::ListedFile;

/// A decoded footer and the version of the file it belongs to.
pub(crate) struct Footer {
    metadata: Arc<ParquetMetaData>,
    /// Of all columns: made when all are wanted.
    arrow: OnceLock<ArrowReaderMetadata>,
    narrows: Recent<(Vec<usize>, bool), NarrowSchema>,
    narrow_groups: Recent<(Vec<usize>, bool, usize), ArrowReaderMetadata>,
    pub(crate) file_size_bytes: u64,
    /// xxh3-64 of the stored metadata, its length and the magic: everything from the metadata to the file's end.
    pub(crate) checksum: u64,
    pub(crate) etag: Option<String>,
    pub(crate) page_indexes: Recent<(Vec<usize>, usize), PageIndex>,
    /// By leaves: what each row group says of their values.
    pub(crate) bounds: Recent<Vec<Option<usize>>, Vec<Vec<ColumnBounds>>>,
    /// Keys of the file's feature maps, once they were asked for.
    pub(crate) map_keys: OnceCell<Arc<MapKeys>>,
    /// What is locked in it, if the file is encrypted.
    pub(crate) seal: Option<Seal>,
    memory_bytes: usize,
    roots: Roots,
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
    pub(crate) fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    pub(crate) fn parquet_schema(&self) -> &SchemaDescriptor {
        self.metadata.file_metadata().schema_descr()
    }

    /// All columns as Arrow: what describing needs, and reading does without.
    pub(crate) fn arrow(&self, name: &str) -> Result<&ArrowReaderMetadata, Error> {
        if let Some(arrow) = self.arrow.get() {
            return Ok(arrow);
        }
        let made = arrow_metadata(name, Arc::clone(&self.metadata))?;
        Ok(self.arrow.get_or_init(|| made))
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
        let fields = self.parquet_schema().root_schema().get_fields();
        self.roots.find(name, fields)
    }

    /// Leaves of root columns; `roots` ascend.
    pub(crate) fn leaves_of(&self, roots: &[usize]) -> Vec<usize> {
        let schema = self.parquet_schema();
        let mut roots = roots.iter().copied().peekable();
        let wanted = |leaf: &usize| {
            let root = schema.get_column_root_idx(*leaf);
            while roots.next_if(|wanted| *wanted < root).is_some() {}
            roots.peek() == Some(&root)
        };
        (0..schema.num_columns()).filter(wanted).collect()
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
        let schema = self.parquet_schema();
        (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root)
    }

    /// Whether a leaf's pages are encrypted.
    pub(crate) fn is_encrypted(&self, leaf: usize) -> bool {
        let groups = self.metadata().row_groups();
        let encrypted = |group: &RowGroupMetaData| group.column(leaf).crypto_metadata().is_some();
        groups.first().is_some_and(encrypted)
    }

    /// Rows per row group. Never negative: checked when decoded.
    pub(crate) fn row_group_rows(&self) -> Vec<u64> {
        let groups = self.metadata().row_groups().iter();
        groups
            .map(|group| group.num_rows().unsigned_abs())
            .collect()
    }

    /// The file as a snapshot names it.
    pub(crate) fn snapshot_file(&self, path: &str) -> SnapshotFile {
        SnapshotFile {
            path: path.to_owned(),
            size_bytes: self.file_size_bytes,
            row_group_rows: self.row_group_rows(),
            footer_checksum: self.checksum,
        }
    }
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
    let metadata = Arc::new(metadata);
    let schema = metadata.file_metadata().schema_descr().root_schema();
    // here, where the schema has just been decoded: elsewhere it would have to be brought to another core
    let roots = Roots::new(schema.get_fields());
    // a sealed footer may be kept a second time, with its columns unlocked
    let copies = if seal.is_some() { 2 } else { 1 };
    let memory_bytes = stored.bytes.len() * DECODED_FACTOR * copies;
    Ok(Footer {
        metadata,
        arrow: OnceLock::new(),
        narrows: Recent::default(),
        narrow_groups: Recent::default(),
        file_size_bytes: stored.file_size_bytes,
        checksum: xxh3_64(&stored.bytes),
        etag,
        page_indexes: Recent::default(),
        bounds: Recent::default(),
        map_keys: OnceCell::new(),
        seal,
        memory_bytes,
        roots,
    })
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
