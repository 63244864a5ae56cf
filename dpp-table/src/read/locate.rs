//! Pages of a file that has no page index: located once, by walking them, so that the pieces of a large row group read their own
//! pages and not all of it each.
//!
//! ```text
//! first piece   row group fits    all of it is fetched and walked in memory
//!               it does not       column by column: header ─▶ next header …, and lists of version 1 page by page
//! other pieces                    wait for the first, then read the pages of their rows
//! ```

use std::ops::Range;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use crate::error::Error;
use crate::footer::page_index::PageIndex;
use crate::footer::{Footer, blocking};
use crate::read::columns::shape::is_known;
use crate::read::fetch::ReadCounters;
use crate::read::pages::unpack::Codec;
use crate::read::pages::walk::{Levels, PageWalk};
use crate::read::plan::ReadPlan;
use crate::read::sparse::SparseFile;
use crate::read::stream::Stream;
use crate::store::Store;
use crate::store::url::Place;

/// What walking a column chunk takes.
struct Chunk {
    range: Range<u64>,
    codec: Compression,
    levels: Levels,
    /// Whether levels, if rows have to be told by them, can be counted.
    is_countable: bool,
    /// Whether its decoder takes pages that begin within a row.
    within_rows: bool,
    rows: u64,
}

/// Pages of a plan's columns in bytes that were fetched whole; `None` if some can't be located: decoding says why, if that is an
/// error.
pub(crate) async fn in_memory(
    name: &str,
    plan: &ReadPlan,
    file: &SparseFile,
) -> Result<Option<PageIndex>, Error> {
    let (chunks, file) = (chunks(plan), file.clone());
    let walk = move || {
        let pages = chunks.iter().map(|chunk| chunk.walk(file.clone()));
        Ok(pages.collect::<Option<Vec<_>>>())
    };
    let pages = blocking(name, walk).await?;
    pages
        .map(|pages| PageIndex::located(name, plan, pages))
        .transpose()
}

/// The same in storage, some columns at a time.
pub(crate) async fn in_storage(
    store: &Arc<Store>,
    path: &str,
    footer: &Footer,
    plan: &ReadPlan,
    io: &mut ReadCounters,
) -> Result<Option<PageIndex>, Error> {
    let name = store.name(path);
    let window_bytes = match store.place() {
        Place::Local => 16 << 10,
        // where a request costs as much as so many bytes, small pages had better come with their bodies
        Place::Remote => 512 << 10,
    };
    let (etag, size) = (footer.etag.as_deref(), footer.file_size_bytes);
    let sealed = plan.sealed(footer);
    let walks = chunks(plan).into_iter().map(|chunk| {
        let wanted = vec![vec![chunk.range.clone()]];
        let stream = Stream::new(store, path, etag, wanted, window_bytes);
        let file = SparseFile::new(&[], Vec::new(), size).with_stream(stream);
        let file = file.with_sealed(sealed.clone());
        let walk = move || {
            let pages = chunk.walk(file.clone());
            let stream = file.stream();
            match stream.and_then(Stream::fault) {
                Some(fault) => Err(fault),
                None => Ok((pages, stream.map(Stream::io).unwrap_or_default())),
            }
        };
        blocking(&name, walk)
    });
    let walked: Vec<_> = stream::iter(walks)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let mut pages = Vec::with_capacity(walked.len());
    for (of_column, cost) in walked {
        *io += cost;
        pages.push(of_column);
    }
    let pages: Option<Vec<_>> = pages.into_iter().collect();
    pages
        .map(|pages| PageIndex::located(&name, plan, pages))
        .transpose()
}

fn chunks(plan: &ReadPlan) -> Vec<Chunk> {
    let group = plan.arrow.metadata().row_group(plan.row_group);
    let chunk = |(leaf, column): (usize, &ColumnChunkMetaData)| {
        let (start, length) = column.byte_range();
        let descriptor = column.column_descr();
        Chunk {
            range: start..start.saturating_add(length),
            codec: column.compression(),
            levels: Levels {
                repetition: descriptor.max_rep_level() > 0,
                definition: descriptor.max_def_level() > 0,
            },
            is_countable: descriptor.max_rep_level() <= 1,
            within_rows: is_known(plan, leaf),
            rows: group.num_rows().unsigned_abs(),
        }
    };
    group.columns().iter().enumerate().map(chunk).collect()
}

impl Chunk {
    fn walk(&self, file: SparseFile) -> Option<Vec<PageLocation>> {
        let codec = Codec::of(self.codec).filter(|_| self.is_countable)?;
        let (walk, _) = PageWalk::new(file, codec, self.range.clone(), None, self.levels).ok()?;
        walk.locate(self.rows, self.within_rows).ok()?
    }
}

/// Columns that are walked side by side: each holds some windows, and of lists a page.
const AT_A_TIME: usize = 4;
