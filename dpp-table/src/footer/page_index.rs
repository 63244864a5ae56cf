//! Where the pages of a row group lie, so that a piece of a large one reads its own pages and no others.
//!
//! Stored between data and footer by most writers, though not by default by pyarrow; without it, pages are located once by walking
//! them (`read::locate`).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use parquet::file::metadata::page_index::PageIndexBuilder;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};

use crate::encryption::module::{ChunkPlace, Module};
use crate::error::Error;
use crate::footer::narrow::Recent;
use crate::footer::{Footer, arrow_metadata};
use crate::read::plan::{ReadPlan, chunk_range};
use crate::thrift::{I32, I64, LIST, MAX_DEPTH, STOP, STRUCT, Thrift};

/// A row group with the page locations of some of its columns.
pub(crate) struct PageIndex {
    /// A plan's metadata, to which they were added.
    pub(crate) arrow: ArrowReaderMetadata,
    /// Whether pages of lists may begin within a row.
    pub(crate) within_rows: bool,
}

/// Some columns of a row group.
pub(crate) type Key = (Vec<usize>, usize);

/// Row groups whose pages are located by walking, as the file does not say where they are.
#[derive(Default)]
pub(crate) struct Locating {
    /// By row group: whoever walks one holds this.
    walking: [AsyncMutex<()>; WALKING],
    walked: Recent<Key, Option<PageIndex>, MOST_KEPT>,
}

impl Locating {
    /// Waits for whoever else walks the row group.
    pub(crate) async fn turn(&self, row_group: usize) -> AsyncMutexGuard<'_, ()> {
        self.walking[row_group % WALKING].lock().await
    }

    /// What came of walking, if these were walked, or if as much was walked as is kept: no pages, then.
    pub(crate) fn known(&self, key: &Key) -> Option<Arc<Option<PageIndex>>> {
        let known = self.walked.get(key);
        known.or_else(|| self.walked.is_full().then(Arc::default))
    }

    /// What came of walking these: no pages where some can't be located.
    pub(crate) fn keep(&self, key: &Key, found: Option<PageIndex>) -> Arc<Option<PageIndex>> {
        let found = Arc::new(found);
        self.walked.insert(key.clone(), Arc::clone(&found));
        found
    }
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
    let group = plan.arrow.metadata().row_group(plan.row_group);
    let leaves = footer.leaves_of(&plan.key.0);
    let of_leaf = |(column, leaf): (&ColumnChunkMetaData, usize)| {
        let stored = of_column(column, &stored)?;
        let place = ChunkPlace {
            row_group: plan.key.1,
            column: leaf,
        };
        match footer.key_of(plan.key.1, leaf) {
            None => locations(stored),
            Some(key) => locations(&footer.opener.as_ref()?.open(
                &key,
                stored,
                Module::OffsetIndex(place),
            )?),
        }
    };
    let pages: Option<Vec<_>> = group.columns().iter().zip(leaves).map(of_leaf).collect();
    let pages = pages.ok_or_else(|| Error::corrupt(name, "its page index is none"))?;
    let found = PageIndex::located(name, plan, pages)?;
    Ok(PageIndex {
        within_rows: false,
        ..found
    })
}

/// What of the stored page index is about a column.
fn of_column<'a>(
    column: &ColumnChunkMetaData,
    stored: &'a (Range<u64>, Bytes),
) -> Option<&'a [u8]> {
    let start = u64::try_from(column.offset_index_offset()?).ok()?;
    let start = usize::try_from(start.checked_sub(stored.0.start)?).ok()?;
    let length = usize::try_from(column.offset_index_length()?).ok()?;
    stored.1.get(start..start.checked_add(length)?)
}

/// Where a column's pages lie, as the format has it: a struct of a list of structs.
fn locations(stored: &[u8]) -> Option<Vec<PageLocation>> {
    let mut thrift = Thrift(stored);
    let mut field = 0;
    loop {
        match thrift.field(field)? {
            (_, STOP) => return None,
            (1, LIST) => {
                let (count, STRUCT) = thrift.list()? else {
                    return None;
                };
                // each takes a byte at least
                (count <= thrift.0.len() as u64).then_some(())?;
                return (0..count).map(|_| location(&mut thrift)).collect();
            }
            (id, kind) => {
                thrift.skip(kind, MAX_DEPTH)?;
                field = id;
            }
        }
    }
}

fn location(thrift: &mut Thrift<'_>) -> Option<PageLocation> {
    let (mut offset, mut bytes, mut first_row) = (None, None, None);
    let mut field = 0;
    loop {
        let (id, kind) = thrift.field(field)?;
        match (id, kind) {
            (_, STOP) => break,
            (1, I64) => offset = Some(thrift.zigzag()?),
            (2, I32) => bytes = Some(i32::try_from(thrift.zigzag()?).ok()?),
            (3, I64) => first_row = Some(thrift.zigzag()?),
            _ => thrift.skip(kind, MAX_DEPTH)?,
        }
        field = id;
    }
    Some(PageLocation {
        offset: offset?,
        compressed_page_size: bytes?,
        first_row_index: first_row?,
    })
}

impl PageIndex {
    /// Of a plan's metadata, which has one row group and no other columns than `pages` are of.
    pub(crate) fn located(
        name: &str,
        plan: &ReadPlan,
        pages: Vec<Vec<PageLocation>>,
    ) -> Result<PageIndex, Error> {
        let mut index = PageIndexBuilder::default();
        index.allocate_offset_indexes(1, pages.len());
        for (column, page_locations) in pages.into_iter().enumerate() {
            let located = OffsetIndexMetaData {
                page_locations,
                unencoded_byte_array_data_bytes: None,
            };
            index.put_offset_index(located, plan.row_group, column);
        }
        let metadata = ParquetMetaData::clone(plan.arrow.metadata()).into_builder();
        let metadata = metadata.set_page_index(Some(Arc::new(index.build())));
        Ok(PageIndex {
            arrow: arrow_metadata(name, Arc::new(metadata.build()))?,
            within_rows: true,
        })
    }

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
            let is_list = group.column(leaf).column_descr().max_rep_level() > 0;
            match self.within_rows && is_list {
                true => ranges.extend(with_ends(selection, pages)),
                false => ranges.extend(selection.scan_ranges(pages)),
            }
        }
        ranges.sort_unstable_by_key(|range| range.start);
        Ok(ranges)
    }
}

/// Pages of selected rows and of where they end: on the page with which the next row begins, perhaps.
fn with_ends(selection: &RowSelection, pages: &[PageLocation]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut row = 0;
    for run in selection.iter() {
        let rows = row..row + run.row_count as u64;
        row = rows.end;
        if run.skip {
            continue;
        }
        let first = |page: &PageLocation| page.first_row_index.unsigned_abs();
        let from = pages.partition_point(|page| first(page) <= rows.start);
        let to = pages.partition_point(|page| first(page) <= rows.end);
        let wanted = &pages[from.saturating_sub(1)..to];
        let wanted = wanted.iter().map(|page| {
            let start = page.offset.unsigned_abs();
            start..start + u64::from(page.compressed_page_size.unsigned_abs())
        });
        let known = ranges.last().map_or(0, |last| last.end);
        ranges.extend(wanted.filter(|page| page.start >= known));
    }
    ranges
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

/// Row groups of one file that are walked side by side.
const WALKING: usize = 8;
/// Page indexes of one file that are kept. No more are walked for: of a file that has more, pieces at random would walk it again
/// and again.
pub(super) const MOST_KEPT: usize = 64;
