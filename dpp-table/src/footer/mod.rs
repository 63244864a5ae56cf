//! A Parquet file's footer: fetched from the file's end, checksummed as stored, decoded.
//!
//! Statistics are not decoded, as wide tables pay for them: who needs some columns' asks for just those (`statistics`).

pub(crate) mod cache;
pub(crate) mod int96;
pub(crate) mod narrow;
pub(crate) mod page_index;
pub(crate) mod statistics;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Field, Schema};
use bytes::{Bytes, BytesMut};
use dpp_proto::v1::SnapshotFile;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FooterTail, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescriptor, TypePtr};
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_64;

use crate::encryption::unlock::{self, Seal, StoredFooter};
use crate::error::Error;
use crate::features::map_keys::MapKeys;
use crate::files::Files;
use crate::footer::narrow::{NarrowSchema, Recent};
use crate::footer::page_index::PageIndex;
use crate::footer::statistics::ColumnBounds;
use crate::read::fetch::ReadCounters;
use crate::snapshot::discover::ListedFile;
use crate::store::{END_BYTES, Store, Tail};

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
    roots: OnceLock<HashMap<u64, usize>>,
}

/// Fetches a file's footer: one request, two if it is longer than expected. It is decoded unless the cache has it, and
/// kept there. An encrypted one is decoded with its own key; columns that have others stay locked.
///
/// `size_bytes` is the file's size as listed; another size is found out.
pub(crate) async fn load(
    files: &Files,
    path: &str,
    size_bytes: u64,
) -> Result<(Arc<Footer>, ReadCounters), Error> {
    let store = &files.store;
    let name = store.name(path);
    let expected = files.footer_bytes.load(Ordering::Relaxed);
    let tail = tail(store, path, size_bytes, expected).await?;
    let mut io = ReadCounters::request(tail.bytes.len() as u64);
    let (length, encrypted) = footer_bytes(&name, &tail)?;
    let like_this = length.min(MAX_EXPECTED_BYTES);
    files.footer_bytes.fetch_max(like_this, Ordering::Relaxed);
    let stored = StoredFooter {
        bytes: stored_footer(store, path, &tail, length, &mut io).await?,
        file_size_bytes: tail.file_size_bytes,
        encrypted,
    };
    if let Some(known) = files.footers.get(path)
        && known.is_stored_as(&stored, tail.etag.as_deref())
    {
        return Ok((known, io));
    }
    let opened = match encrypted {
        true => Some(unlock::open_footer(files, path, stored.clone()).await?),
        false => None,
    };
    let decode = move || {
        let (metadata, seal) = match opened {
            Some(opened) => opened
                .decode(&name)
                .map(|(metadata, seal)| (metadata, Some(seal)))?,
            None => {
                let metadata = decode(&name, &stored.bytes)?;
                let seal = unlock::seal_of(&metadata, stored.clone());
                (metadata, seal)
            }
        };
        from_metadata(&name, metadata, &stored, tail.etag, seal)
    };
    let footer = Arc::new(blocking(&store.name(path), decode).await?);
    files.footers.insert(path, Arc::clone(&footer));
    Ok((footer, io))
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
        // by hash: copying the names of a wide file would cost as much as finding a few of them saves
        let roots = self.roots.get_or_init(|| {
            let hash = |field: &TypePtr| xxh3_64(field.name().as_bytes());
            (0..)
                .zip(fields)
                .map(|(root, field)| (hash(field), root))
                .collect()
        });
        let root = *roots.get(&xxh3_64(name.as_bytes()))?;
        match fields[root].name() == name {
            true => Some(root),
            false => fields.iter().position(|field| field.name() == name),
        }
    }

    /// Leaves of root columns; `roots` ascend.
    pub(crate) fn leaves_of(&self, roots: &[usize]) -> Vec<usize> {
        let schema = self.parquet_schema();
        let leaves = 0..schema.num_columns();
        let wanted = |leaf: &usize| {
            roots
                .binary_search(&schema.get_column_root_idx(*leaf))
                .is_ok()
        };
        leaves.filter(wanted).collect()
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

/// The file's end with its footer, or what of it fits into as many bytes as footers are `expected` to have.
async fn tail(
    store: &Store,
    path: &str,
    size_bytes: u64,
    expected_bytes: u64,
) -> Result<Tail, Error> {
    let length = |end: &[u8; TAIL_BYTES]| {
        let end = FooterTail::try_new(end).ok()?;
        Some(end.metadata_length() as u64 + TAIL_BYTES as u64)
    };
    let tail_bytes = expected_bytes.max(REMOTE_TAIL_BYTES);
    store.read_tail(path, size_bytes, tail_bytes, length).await
}

/// Length of the stored footer, from the file's last eight bytes, and whether it is encrypted.
fn footer_bytes(name: &str, tail: &Tail) -> Result<(u64, bool), Error> {
    let Some(end) = tail.bytes.last_chunk::<TAIL_BYTES>() else {
        return Err(Error::corrupt(name, "it is too short to have a footer"));
    };
    let end_of_file = FooterTail::try_new(end)
        .map_err(|_| Error::corrupt(name, "it does not end like a Parquet file"))?;
    let length = end_of_file.metadata_length() as u64 + TAIL_BYTES as u64;
    if length + MAGIC_BYTES > tail.file_size_bytes {
        return Err(Error::corrupt(
            name,
            format!(
                "its footer claims {length} of the file's {} bytes; it may be truncated",
                tail.file_size_bytes
            ),
        ));
    }
    Ok((length, end_of_file.is_encrypted_footer()))
}

/// The footer as stored: what the tail holds, preceded by what it lacks.
async fn stored_footer(
    store: &Store,
    path: &str,
    tail: &Tail,
    length: u64,
    io: &mut ReadCounters,
) -> Result<Bytes, Error> {
    let have = tail.bytes.len() as u64;
    if length <= have {
        return Ok(tail.bytes.slice((have - length) as usize..));
    }
    let missing = tail.file_size_bytes - length..tail.file_size_bytes - have;
    let etag = tail.etag.as_deref();
    let parts = store
        .read(path, etag, std::slice::from_ref(&missing))
        .await?;
    let mut whole = BytesMut::with_capacity(length as usize);
    for part in &parts {
        *io += part.cost();
        whole.extend_from_slice(&part.bytes);
    }
    whole.extend_from_slice(&tail.bytes);
    Ok(whole.freeze())
}

fn decode(name: &str, stored: &Bytes) -> Result<ParquetMetaData, Error> {
    let metadata = &stored[..stored.len() - TAIL_BYTES];
    ParquetMetaDataReader::decode_metadata_with_options(metadata, Some(&options()))
        .map_err(|error| undecodable(name, error))
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
        roots: OnceLock::new(),
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

fn undecodable(name: &str, error: ParquetError) -> Error {
    // how the crate meets the column metadata that encryption leaves out of a plaintext footer
    if error
        .to_string()
        .contains("Required field type_ is missing")
    {
        return Error::Encrypted {
            path: name.to_owned(),
            part: "part of it".to_owned(),
        };
    }
    Error::corrupt(name, error)
}

pub(crate) fn options() -> ParquetMetaDataOptions {
    ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}

/// Enough for the footer of some six hundred columns; a longer one costs a second request.
const REMOTE_TAIL_BYTES: u64 = 128 << 10;
pub(crate) const TAIL_BYTES: usize = END_BYTES;
/// A footer that is longer takes a second request, whatever the last one took.
const MAX_EXPECTED_BYTES: u64 = 8 << 20;
/// A decoded footer, statistics left out, takes three to four times its stored bytes; asking the Parquet crate how much
/// exactly is a walk over all columns.
const DECODED_FACTOR: usize = 4;
const MAGIC_BYTES: u64 = 4;
