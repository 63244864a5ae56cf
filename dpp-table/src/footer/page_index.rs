//! Where the pages of a row group lie, so that a piece of a large one reads its own pages and no others.
//!
//! Stored between data and footer by most writers, though not by default by pyarrow; without it chunks are read whole.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use parquet::file::metadata::{
    ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::offset_index::PageLocation;

use crate::error::Error;
use crate::footer::{Footer, arrow_metadata};
use crate::read::plan::{ReadPlan, chunk_range};
use crate::read::sparse::SparseFile;

/// A row group with the page locations of some of its columns.
pub(crate) struct PageIndex {
    /// A plan's metadata, to which they were added.
    pub(crate) arrow: ArrowReaderMetadata,
}

/// Where the page locations of the projected columns are stored, or `None` when the file has none for some of them.
pub(crate) fn stored_range(
    footer: &Footer,
    group: &RowGroupMetaData,
    projection: &ProjectionMask,
) -> Option<Range<u64>> {
    let mut all: Option<Range<u64>> = None;
    for leaf in leaves(group, projection) {
        let column = group.column(leaf);
        let start = u64::try_from(column.offset_index_offset()?).ok()?;
        let length = u64::try_from(column.offset_index_length()?).ok()?;
        let end = start.checked_add(length)?;
        if end > footer.file_size_bytes {
            return None;
        }
        let known = all.unwrap_or(start..end);
        all = Some(known.start.min(start)..known.end.max(end));
    }
    all
}

/// Decodes what [`stored_range`] named, of metadata that has one row group and no other columns. Fails when it does not
/// describe the chunks it belongs to.
pub(crate) fn decode(
    name: &str,
    footer: &Footer,
    plan: &ReadPlan,
    stored: (Range<u64>, Bytes),
) -> Result<PageIndex, Error> {
    let metadata = ParquetMetaData::clone(plan.arrow.metadata());
    let leaves = leaves(metadata.row_group(plan.row_group), &plan.projection);
    let mask = ColumnChunkMask::row_groups_and_columns([plan.row_group], leaves);
    let size = footer.file_size_bytes;
    let file = SparseFile::new(&[stored.0], vec![stored.1], size);
    let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Required)
        .with_offset_index_mask(mask);
    let decoded = reader
        .read_page_indexes(&file)
        .and_then(|()| reader.finish());
    let metadata = decoded.map_err(|error| Error::corrupt(name, error))?;
    Ok(PageIndex {
        arrow: arrow_metadata(name, Arc::new(metadata))?,
    })
}

impl PageIndex {
    /// Byte ranges of the pages that hold selected rows, dictionaries included, by start.
    pub(crate) fn ranges(
        &self,
        name: &str,
        footer: &Footer,
        plan: &ReadPlan,
        selection: &RowSelection,
    ) -> Result<Vec<Range<u64>>, Error> {
        let metadata = self.arrow.metadata();
        let group = metadata.row_group(plan.row_group);
        let mut ranges = Vec::new();
        for leaf in leaves(group, &plan.projection) {
            let chunk = chunk_range(name, footer, group.column(leaf))?;
            let pages = metadata
                .page_index()
                .and_then(|index| index.page_locations(plan.row_group, leaf));
            let Some(pages) = pages.filter(|pages| describe(pages, &chunk, group.num_rows()))
            else {
                let column = group.column(leaf).column_path();
                return Err(Error::corrupt(
                    name,
                    format!("the page index of column {column} is wrong"),
                ));
            };
            let data = pages[0].offset.unsigned_abs();
            if chunk.start < data {
                ranges.push(chunk.start..data);
            }
            ranges.extend(selection.scan_ranges(pages));
        }
        ranges.sort_unstable_by_key(|range| range.start);
        Ok(ranges)
    }
}

/// Whether `pages` follow each other within the chunk, from the row group's first row on.
fn describe(pages: &[PageLocation], chunk: &Range<u64>, rows: i64) -> bool {
    let within = |page: &PageLocation| {
        let (start, length) = (
            u64::try_from(page.offset),
            u64::try_from(page.compressed_page_size),
        );
        let (Ok(start), Ok(length)) = (start, length) else {
            return false;
        };
        chunk.start <= start
            && start.saturating_add(length) <= chunk.end
            && page.first_row_index < rows
    };
    let follow = |pair: &[PageLocation]| {
        pair[0].offset + i64::from(pair[0].compressed_page_size) <= pair[1].offset
            && pair[0].first_row_index < pair[1].first_row_index
    };
    pages.first().is_some_and(|page| page.first_row_index == 0)
        && pages.iter().all(within)
        && pages.windows(2).all(follow)
}

fn leaves<'a>(
    group: &RowGroupMetaData,
    projection: &'a ProjectionMask,
) -> impl Iterator<Item = usize> + 'a {
    (0..group.num_columns()).filter(|leaf| projection.leaf_included(*leaf))
}
