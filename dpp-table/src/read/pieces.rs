//! Cuts a file into pieces of which each fits into memory, stored and decoded. Pure.

use std::ops::Range;

use parquet::arrow::ProjectionMask;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use crate::error::Error;
use crate::footer::Footer;
use crate::footer::page_index::stored_range;
use crate::read::size::decoded_bytes;

/// Rows to read at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Rows of the file, within one row group.
    pub(crate) rows: Range<u64>,
    /// All rows of that row group.
    pub(crate) group: Range<u64>,
    /// Rows of a decoded batch.
    pub(crate) batch_rows: usize,
    /// As of a [`PieceRequest`](crate::PieceRequest).
    pub(crate) most_held_bytes: u64,
}

/// Pieces of all columns in order: stored bytes of each about a sixth of `memory_bytes`, a batch a quarter of that.
///
/// A row group that is larger is cut along its pages, or streamed where there is no page index.
pub(crate) fn pieces(
    name: &str,
    footer: &Footer,
    memory_bytes: u64,
    extra_row_bytes: u64,
) -> Result<Vec<Piece>, Error> {
    let most_held_bytes = (memory_bytes / 6).max(1);
    let mut pieces = Vec::new();
    let mut first = 0;
    for group in footer.metadata(name)?.row_groups() {
        let rows = group.num_rows().unsigned_abs();
        let whole = first..first + rows;
        first = whole.end;
        if rows == 0 {
            continue;
        }
        let parts = match has_pages(footer, group) {
            true => stored_bytes(group).div_ceil(most_held_bytes).clamp(1, rows),
            false => 1,
        };
        let decoded: u64 = group.columns().iter().map(decoded_bytes).sum();
        let row_bytes = decoded / rows + extra_row_bytes + 1;
        let batch_rows = (memory_bytes / 24 / row_bytes).clamp(1, MAX_BATCH_ROWS);
        let step = rows.div_ceil(parts);
        let cut = |start: u64| Piece {
            rows: start..(start + step).min(whole.end),
            group: whole.clone(),
            batch_rows: usize::try_from(batch_rows).expect("at most MAX_BATCH_ROWS"),
            most_held_bytes,
        };
        let starts = (0..parts).map(|part| whole.start + part * step);
        pieces.extend(starts.take_while(|start| *start < whole.end).map(cut));
    }
    Ok(pieces)
}

fn has_pages(footer: &Footer, group: &RowGroupMetaData) -> bool {
    let mut leaves = 0..group.num_columns();
    !leaves.any(|leaf| footer.is_encrypted(leaf))
        && stored_range(footer, group, &ProjectionMask::all()).is_some()
}

fn stored_bytes(group: &RowGroupMetaData) -> u64 {
    let bytes = group
        .columns()
        .iter()
        .map(ColumnChunkMetaData::compressed_size);
    bytes.map(i64::unsigned_abs).sum()
}

/// More gain nothing.
const MAX_BATCH_ROWS: u64 = 4096;
