//! What to read for a piece: its row group, its rows there, its columns, and their byte ranges. Pure.

use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use crate::encryption::module::ChunkPlace;
use crate::error::Error;
use crate::features::projection::{Place, Projection};
use crate::footer::Footer;
use crate::footer::narrow::NarrowSchema;
use crate::footer::page_index::{Key, PageIndex, stored_range};
use crate::read::fetch::PieceRequest;
use crate::read::sealed::{Sealed, SealedChunk};

/// A piece, as its file stores it.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) arrow: ArrowReaderMetadata,
    /// Index in `arrow`.
    pub(crate) row_group: usize,
    /// Roots and row group in the file: names what of the footer is read.
    pub(crate) key: Key,
    /// Within the row group; `None` is all of it.
    pub(crate) selection: Option<RowSelection>,
    /// Rows that decoding will give.
    pub(crate) rows: u64,
    pub(crate) projection: ProjectionMask,
    /// Where each feature is among the projected columns.
    pub(crate) places: Vec<Option<Place>>,
    /// Wanted bytes of the file, by start.
    pub(crate) ranges: Vec<Range<u64>>,
    /// Whether `ranges` are the pages of the selection and not whole column chunks.
    pub(crate) by_page: bool,
    /// Whether, by page, pages of lists may begin within a row.
    pub(crate) within_rows: bool,
}

impl ReadPlan {
    /// Where to find out which pages suffice, if that may save more than it costs.
    pub(crate) fn page_index_range(&self, footer: &Footer) -> Option<Range<u64>> {
        let group = self.arrow.metadata().row_group(self.row_group);
        match self.wants_pages() {
            true => stored_range(footer, group, &self.projection),
            false => None,
        }
    }

    /// What opens the plan's encrypted columns, if there are any.
    pub(crate) fn sealed(&self, footer: &Footer) -> Option<Arc<Sealed>> {
        let opener = footer.opener.as_ref()?;
        let metadata = self.arrow.metadata();
        let group = metadata.row_group(self.row_group);
        let listed = |leaf| {
            let index = metadata.page_index().filter(|_| self.by_page)?;
            let pages = index.page_locations(self.row_group, leaf)?.iter();
            Some(pages.map(|page| page.offset.unsigned_abs()).collect())
        };
        let chunk = |(leaf, column): (usize, usize)| {
            let key = footer.key_of(self.key.1, column)?;
            let (start, length) = group.column(leaf).byte_range();
            Some(SealedChunk {
                range: start..start.saturating_add(length),
                place: ChunkPlace {
                    row_group: self.key.1,
                    column,
                },
                cipher: Arc::clone(opener.cipher(&key)?),
                listed: listed(leaf),
            })
        };
        let leaves = footer.leaves_of(&self.key.0);
        let chunks: Vec<SealedChunk> = leaves.into_iter().enumerate().filter_map(chunk).collect();
        (!chunks.is_empty()).then(|| Arc::new(Sealed::new(Arc::clone(&opener.file_aad), chunks)))
    }

    /// Whether reading some pages may save more than finding them costs.
    pub(crate) fn wants_pages(&self) -> bool {
        self.selection.is_some() && self.wanted_bytes() >= WORTH_AN_INDEX_BYTES
    }

    /// The same rows, read from only the pages that hold them.
    pub(crate) fn by_page(
        self,
        name: &str,
        footer: &Footer,
        index: &PageIndex,
    ) -> Result<ReadPlan, Error> {
        let Some(selection) = &self.selection else {
            return Ok(self);
        };
        Ok(ReadPlan {
            ranges: index.ranges(name, footer, &self, selection)?,
            arrow: index.arrow.clone(),
            by_page: true,
            within_rows: index.within_rows,
            ..self
        })
    }

    /// Where the projected column chunks lie, by start.
    pub(crate) fn chunks(&self) -> Vec<Range<u64>> {
        let group = self.arrow.metadata().row_group(self.row_group);
        let leaves = (0..group.num_columns()).filter(|leaf| self.projection.leaf_included(*leaf));
        let mut chunks: Vec<Range<u64>> = leaves
            .map(|leaf| {
                let (start, length) = group.column(leaf).byte_range();
                start..start.saturating_add(length)
            })
            .collect();
        chunks.sort_unstable_by_key(|chunk| chunk.start);
        chunks
    }

    /// Stored bytes that decoding needs.
    pub(crate) fn wanted_bytes(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}

/// Plans a piece of projected columns. Fails when it is not within one row group.
pub(crate) fn plan(
    name: &str,
    footer: &Footer,
    projection: Projection,
    request: &PieceRequest,
) -> Result<ReadPlan, Error> {
    if request.batch_rows == 0 {
        return Err(wrong(name, "batch_rows is 0"));
    }
    let (row_group, group_rows) = row_group(name, footer, &request.rows)?;
    let wanted = wanted_rows(name, request)?;
    let rows = wanted.iter().map(|range| range.end - range.start).sum();
    let selection = selection(&wanted, &group_rows);
    let key = (projection.schema.roots().to_vec(), row_group);
    let group = projected_group(name, footer, &projection.schema, row_group)?;
    let ranges = match rows {
        0 => Vec::new(),
        _ => chunk_ranges(name, footer, &group)?,
    };
    Ok(ReadPlan {
        arrow: group.arrow,
        row_group: group.index,
        selection,
        rows,
        projection: group.projection,
        key,
        places: projection.places,
        ranges,
        by_page: false,
        within_rows: false,
    })
}

/// A row group, as a projection sees it.
pub(crate) struct ProjectedGroup {
    arrow: ArrowReaderMetadata,
    /// Index in `arrow`.
    index: usize,
    /// The projected ones of its columns.
    pub(crate) projection: ProjectionMask,
}

impl ProjectedGroup {
    pub(crate) fn metadata(&self) -> &RowGroupMetaData {
        self.arrow.metadata().row_group(self.index)
    }

    /// The projected column chunks.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &ColumnChunkMetaData> + Clone {
        let columns = self.metadata().columns().iter().enumerate();
        let projected = columns.filter(|(leaf, _)| self.projection.leaf_included(*leaf));
        projected.map(|(_, column)| column)
    }
}

/// A row group by its index in the file.
pub(crate) fn projected_group(
    name: &str,
    footer: &Footer,
    schema: &NarrowSchema,
    row_group: usize,
) -> Result<ProjectedGroup, Error> {
    Ok(ProjectedGroup {
        arrow: footer.narrow_group(name, schema, row_group)?,
        index: 0,
        projection: ProjectionMask::all(),
    })
}

/// The row group that holds `rows`, and its rows within the file.
pub(crate) fn row_group(
    name: &str,
    footer: &Footer,
    rows: &Range<u64>,
) -> Result<(usize, Range<u64>), Error> {
    let mut first = 0;
    for (index, count) in footer.row_group_rows().iter().enumerate() {
        let group = first..first + count;
        if group.start <= rows.start && rows.start < group.end {
            return match rows.end <= group.end && rows.start <= rows.end {
                true => Ok((index, group)),
                false => Err(wrong(
                    name,
                    format!("rows {rows:?} are not within row group {index}, rows {group:?}"),
                )),
            };
        }
        first = group.end;
    }
    Err(wrong(
        name,
        format!("rows {rows:?} are beyond its {first} rows"),
    ))
}

/// The rows to return, ascending and disjoint, within the piece.
fn wanted_rows(name: &str, request: &PieceRequest) -> Result<Vec<Range<u64>>, Error> {
    if request.selection.is_empty() {
        return Ok(vec![request.rows.clone()]);
    }
    let mut covered = request.rows.start;
    for range in &request.selection {
        if range.start < covered || range.end < range.start || range.end > request.rows.end {
            return Err(wrong(
                name,
                format!(
                    "selected rows {range:?} are not ascending within {:?}",
                    request.rows
                ),
            ));
        }
        covered = range.end;
    }
    Ok(request.selection.clone())
}

fn selection(wanted: &[Range<u64>], group: &Range<u64>) -> Option<RowSelection> {
    if wanted == std::slice::from_ref(group) {
        return None;
    }
    let within = |row: u64| (row - group.start) as usize;
    let ranges = wanted
        .iter()
        .map(|range| within(range.start)..within(range.end));
    let total = within(group.end);
    Some(RowSelection::from_consecutive_ranges(ranges, total))
}

fn chunk_ranges(
    name: &str,
    footer: &Footer,
    group: &ProjectedGroup,
) -> Result<Vec<Range<u64>>, Error> {
    let ranges = group
        .columns()
        .map(|column| chunk_range(name, footer, column));
    let mut ranges = ranges.collect::<Result<Vec<_>, _>>()?;
    ranges.sort_unstable_by_key(|range| range.start);
    Ok(ranges)
}

/// Where a column chunk lies: from its dictionary, if it has one. Never beyond the file.
pub(crate) fn chunk_range(
    name: &str,
    footer: &Footer,
    column: &ColumnChunkMetaData,
) -> Result<Range<u64>, Error> {
    let start = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    let range = u64::try_from(start)
        .ok()
        .zip(u64::try_from(column.compressed_size()).ok())
        .and_then(|(start, length)| Some(start..start.checked_add(length)?))
        .filter(|range| range.end <= footer.file_size_bytes);
    range.ok_or_else(|| {
        Error::corrupt(
            name,
            format!(
                "column {} claims bytes beyond the file",
                column.column_path()
            ),
        )
    })
}

pub(crate) fn wrong(name: &str, reason: impl ToString) -> Error {
    Error::Rows {
        path: name.to_owned(),
        reason: reason.to_string(),
    }
}

/// Below this, asking for the page index costs about what it saves.
const WORTH_AN_INDEX_BYTES: u64 = 512 << 10;
