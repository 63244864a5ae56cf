//! What reading a piece will hold, from the footer alone: whoever has little memory asks before fetching. Errs on the
//! large side.

use std::sync::Arc;

use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use crate::encryption::unlock;
use crate::error::Error;
use crate::features::projection::project;
use crate::files::Files;
use crate::footer::page_index::stored_range;
use crate::read::fetch::{PieceRequest, ReadCounters, known_footer};
use crate::read::hold::held_bytes;
use crate::read::plan::{projected_group, row_group};

/// Bytes of memory that a piece takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PieceSize {
    /// What is fetched and held, see [`PieceRequest::most_held_bytes`].
    pub stored_bytes: u64,
    /// Beside it for as long as decoding goes on: of every column a page, a dictionary, and what decompresses them.
    pub decoding_bytes: u64,
    /// A decoded row.
    pub row_bytes: u64,
}

/// Sizes a piece; only a footer that is not cached is fetched for it.
pub(crate) async fn size(
    files: &Files,
    request: &PieceRequest,
    io: &mut ReadCounters,
) -> Result<PieceSize, Error> {
    let footer = known_footer(files, &request.file, io).await?;
    let path = &request.file.path;
    let name = files.store.name(path);
    let projection = project(&name, &footer, &files.names, &request.features)?;
    let leaves = &projection.schema.leaves;
    let footer = &unlock::open_columns(files, path, Arc::clone(&footer), leaves).await?;
    let (index, group_rows) = row_group(&name, footer, &request.rows)?;
    let projected = projected_group(&name, footer, &projection.schema, index)?;
    let group = projected.metadata();
    let key = (projection.schema.roots().to_vec(), index);
    let is_located = || footer.locating.known(&key).is_some_and(|it| it.is_some());
    let by_page = stored_range(footer, group, &projected.projection).is_some() || is_located();
    let share = match by_page {
        true => rows(&request.rows) as f64 / rows(&group_rows).max(1) as f64,
        false => 1.0,
    };
    let columns = projected.columns();
    let fetched: Vec<u64> = columns
        .clone()
        .map(|column| fetched_bytes(column, share))
        .collect();
    let size = columns.fold(PieceSize::default(), |size, column| {
        size.with(column, group)
    });
    Ok(PieceSize {
        stored_bytes: held_bytes(&fetched, request.most_held_bytes),
        ..size
    })
}

impl PieceSize {
    /// Adds what decoding a column takes.
    fn with(self, column: &ColumnChunkMetaData, group: &RowGroupMetaData) -> PieceSize {
        let plain = column.uncompressed_size().unsigned_abs();
        let pages = plain.min(PAGE_BYTES * (1 + dictionaries(column)));
        PieceSize {
            decoding_bytes: self.decoding_bytes + pages + context_bytes(column.compression()),
            row_bytes: self.row_bytes
                + decoded_bytes(column).div_ceil(group.num_rows().unsigned_abs().max(1)),
            ..self
        }
    }
}

/// What is fetched of a column chunk for a share of its rows.
fn fetched_bytes(column: &ColumnChunkMetaData, share: f64) -> u64 {
    let (stored, plain) = (column.compressed_size(), column.uncompressed_size());
    let page = (PAGE_BYTES as f64 / plain.max(1) as f64).min(1.0);
    // A page begins before the first wanted row, one ends after the last.
    let fetched = share + page * (EDGE_PAGES + dictionaries(column)) as f64;
    (stored.unsigned_abs() as f64 * fetched.min(1.0)) as u64
}

fn dictionaries(column: &ColumnChunkMetaData) -> u64 {
    u64::from(column.dictionary_page_offset().is_some())
}

/// About the bytes that a column chunk takes as Arrow: dictionaries hide how long texts are, so those count fourfold.
pub(crate) fn decoded_bytes(column: &ColumnChunkMetaData) -> u64 {
    let (values, stored) = (column.num_values(), column.uncompressed_size());
    let (values, stored) = (values.unsigned_abs(), stored.unsigned_abs());
    match column.column_type() {
        Type::BYTE_ARRAY => (values * 16).max(stored * 4),
        _ => (values * 12).max(stored * 2),
    }
}

fn rows(range: &std::ops::Range<u64>) -> u64 {
    range.end - range.start
}

/// A column's reader, and what it decompresses with.
fn context_bytes(codec: Compression) -> u64 {
    match codec {
        Compression::ZSTD(_) => 104 << 10,
        Compression::GZIP(_) | Compression::BROTLI(_) => 64 << 10,
        _ => 8 << 10,
    }
}

/// Writers cut pages, and dictionaries, at about a megabyte.
const PAGE_BYTES: u64 = 1 << 20;
const EDGE_PAGES: u64 = 2;
