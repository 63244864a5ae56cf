//! Footers of what is stored, outlined, or decoded where that can't be.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_64;

use super::load::TAIL_BYTES;
use super::{Content, Footer, check};
use crate::encryption::unlock::opener::Opener;
use crate::encryption::unlock::{OpenedFooter, Seal};
use crate::error::Error;
use crate::footer::narrow::Recent;
use crate::footer::outline::Outline;
use crate::footer::page_index::Locating;
use crate::footer::roots::Roots;

/// A footer as stored, to the end of its file.
#[derive(Clone)]
pub(crate) struct StoredFooter {
    pub(crate) bytes: Bytes,
    pub(crate) file_size_bytes: u64,
    pub(crate) encrypted: bool,
}

impl StoredFooter {
    /// Without what ends the file.
    pub(super) fn metadata(&self) -> Bytes {
        self.bytes.slice(..self.bytes.len() - TAIL_BYTES)
    }
}

/// A footer of which nothing is decoded yet; `None` if it is not written as most are.
pub(crate) fn outlined(stored: &StoredFooter, etag: Option<String>) -> Option<Footer> {
    let metadata = stored.metadata();
    let (outline, roots, algorithm) = Outline::of(metadata.clone())?;
    let is_sealed = outline.is_sealed;
    Some(Footer {
        seal: is_sealed.then(|| Seal::new(algorithm, Some(metadata))),
        ..Footer::outlined(stored, etag, outline, roots)?
    })
}

/// The same of a footer that was encrypted.
pub(crate) fn opened(
    stored: &StoredFooter,
    footer: OpenedFooter,
    etag: Option<String>,
) -> Option<Footer> {
    let (outline, roots, _) = Outline::of(footer.metadata)?;
    Some(Footer {
        seal: Some(footer.seal),
        opener: Some(footer.opener),
        ..Footer::outlined(stored, etag, outline, roots)?
    })
}

/// A footer of decoded metadata. Fails when that contradicts itself.
pub(crate) fn from_metadata(
    name: &str,
    metadata: ParquetMetaData,
    stored: &StoredFooter,
    etag: Option<String>,
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
    Ok(Footer {
        version,
        created_by,
        row_group_rows,
        memory_bytes: stored.bytes.len() * DECODED_FACTOR,
        ..Footer::new(stored, etag, roots, content)
    })
}

impl Footer {
    /// The same, with keys of columns.
    pub(crate) fn with_opener(&self, name: &str, opener: Opener) -> Result<Footer, Error> {
        let Content::Outlined(outline) = &self.content else {
            return Err(Error::corrupt(
                name,
                "columns are encrypted, but its footer is not laid out as the format has it",
            ));
        };
        Ok(Footer {
            content: Content::Outlined(Arc::clone(outline)),
            version: self.version,
            created_by: self.created_by.clone(),
            row_group_rows: self.row_group_rows.clone(),
            file_size_bytes: self.file_size_bytes,
            checksum: self.checksum,
            etag: self.etag.clone(),
            opener: Some(opener),
            memory_bytes: self.memory_bytes,
            roots: Arc::clone(&self.roots),
            narrows: Recent::default(),
            narrow_groups: Recent::default(),
            page_indexes: Recent::default(),
            locating: Locating::default(),
            bounds: Recent::default(),
            map_keys: OnceCell::new(),
            seal: None,
        })
    }

    fn outlined(
        stored: &StoredFooter,
        etag: Option<String>,
        outline: Outline,
        roots: Roots,
    ) -> Option<Footer> {
        Some(Footer {
            version: i32::try_from(outline.version).ok()?,
            created_by: outline.created_by.clone(),
            row_group_rows: outline.row_group_rows(),
            memory_bytes: stored.bytes.len() * OUTLINED_FACTOR,
            ..Footer::new(stored, etag, roots, Content::Outlined(Arc::new(outline)))
        })
    }

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
            opener: None,
            memory_bytes: 0,
            roots: Arc::new(roots),
        }
    }
}

/// A decoded footer, statistics left out, takes three to four times its stored bytes; asking the Parquet crate how much
/// exactly is a walk over all columns.
const DECODED_FACTOR: usize = 4;
/// The stored bytes, where things are in them, and what is decoded of them.
const OUTLINED_FACTOR: usize = 2;
