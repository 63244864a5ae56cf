//! A piece's bytes from storage: waits, computes next to nothing. What comes out needs no storage any more.

use std::ops::{AddAssign, Range, Sub};
use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use dpp_proto::v1::{Feature, SnapshotFile};

use crate::encryption::unlock;
use crate::error::Error;
use crate::features::projection::{Projection, project};
use crate::files::Files;
use crate::footer::Footer;
use crate::footer::load::load;
use crate::footer::page_index::{self, PageIndex};
use crate::metrics;
use crate::read::coalesce::{CoalesceSettings, coalesce};
use crate::read::decode::guarded;
use crate::read::hold::{Holding, divide, total};
use crate::read::locate;
use crate::read::plan::{ReadPlan, plan};
use crate::read::size::{PieceSize, size};
use crate::read::sparse::SparseFile;
use crate::read::stream::Stream;
use crate::store::Store;
use crate::store::kept::Stored;
use crate::store::transport::counting_retries;
use crate::store::url::Place;

/// Rows of one file to read.
#[derive(Clone, Debug)]
pub struct PieceRequest {
    /// The file, as the snapshot names it.
    pub file: SnapshotFile,
    /// Rows of the file, within one row group.
    pub rows: Range<u64>,
    /// Rows of the file to return, ascending, within `rows`; empty means all of `rows`.
    pub selection: Vec<Range<u64>>,
    /// The features to return, with the kinds wanted. One that the file lacks reads as null.
    pub features: Arc<[Feature]>,
    /// Rows a batch holds at most; at least 1.
    pub batch_rows: usize,
    /// Stored bytes to hold at a time, about. Of a piece that has more, large column chunks are fetched window by window while
    /// they are decoded; `u64::MAX` fetches everything at once.
    pub most_held_bytes: u64,
}

/// What reading cost at storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounters {
    /// Bytes fetched: footer (unless cached), wanted bytes, and gaps read through.
    pub read_bytes: u64,
    /// Stored bytes of the projected columns.
    pub wanted_bytes: u64,
    /// Requests made, each counted once however often it was tried.
    pub requests: u64,
    /// Answers that said to try again (429, 5xx), or that never came.
    pub retries: u64,
}

/// A piece's stored bytes, ready to decode without waiting.
pub struct FetchedPiece {
    pub(crate) name: String,
    pub(crate) plan: ReadPlan,
    pub(crate) bytes: SparseFile,
    pub(crate) features: Arc<[Feature]>,
    pub(crate) batch_rows: usize,
    io: ReadCounters,
}

/// Fetches a piece. Footers come from the cache while the file is the snapshot's.
pub(crate) async fn fetch(files: &Files, request: PieceRequest) -> Result<FetchedPiece, Error> {
    let mut io = ReadCounters::default();
    let fetching = fetch_counted(files, &request, &mut io);
    let (fetched, retries) = counting_retries(fetching).await;
    io.retries += retries;
    metrics::record(io);
    let (plan, bytes) = fetched?;
    Ok(FetchedPiece {
        name: files.store.name(&request.file.path),
        plan,
        bytes,
        features: request.features,
        batch_rows: request.batch_rows,
        io,
    })
}

/// Sizes a piece, counting what that costs.
pub(crate) async fn sized(
    files: &Files,
    request: &PieceRequest,
) -> Result<(PieceSize, ReadCounters), Error> {
    let mut io = ReadCounters::default();
    let (size, retries) = counting_retries(size(files, request, &mut io)).await;
    io.retries += retries;
    metrics::record(io);
    Ok((size?, io))
}

async fn fetch_counted(
    files: &Files,
    request: &PieceRequest,
    io: &mut ReadCounters,
) -> Result<(ReadPlan, SparseFile), Error> {
    let footer = known_footer(files, &request.file, io).await?;
    match read_version(files, &footer, request, io).await {
        Err(Error::Changed { .. }) => {
            // touched or copied over: the same content is still the snapshot's file
            let footer = fresh_footer(files, &request.file, io).await?;
            read_version(files, &footer, request, io).await
        }
        fetched => fetched,
    }
}

/// Plans and reads against one version of the file.
async fn read_version(
    files: &Files,
    footer: &Arc<Footer>,
    request: &PieceRequest,
    io: &mut ReadCounters,
) -> Result<(ReadPlan, SparseFile), Error> {
    let name = files.store.name(&request.file.path);
    let projection = project(&name, footer, &files.names, &request.features)?;
    read_projected(files, footer, projection, request, Pages::Found, io).await
}

/// Where pages are known from, if only some are read.
#[derive(PartialEq, Eq)]
enum Pages {
    /// From the file's index alone: what the Parquet crate reads lists by, and what takes no threads.
    Indexed,
    /// Else found by walking them.
    Found,
}

async fn read_projected(
    files: &Files,
    footer: &Arc<Footer>,
    projection: Projection,
    request: &PieceRequest,
    pages: Pages,
    io: &mut ReadCounters,
) -> Result<(ReadPlan, SparseFile), Error> {
    let store = &files.store;
    let name = store.name(&request.file.path);
    let path = &request.file.path;
    let leaves = &projection.schema.leaves;
    let footer = &unlock::open_columns(files, path, Arc::clone(footer), leaves).await?;
    let mut plan = plan(&name, footer, projection, request)?;
    let most_held_bytes = request.most_held_bytes;
    let stored = page_index(store, path, footer, &plan, io).await?;
    let mut found = Arc::default();
    if stored.is_none() && pages == Pages::Found && plan.wants_pages() {
        match find_pages(files, path, footer, &plan, most_held_bytes, io).await? {
            Located::Pages(index) => found = index,
            Located::Read(bytes) => return Ok((plan, bytes)),
        }
    }
    if let Some(index) = stored.as_deref().or(Option::as_ref(&found)) {
        plan = plan.by_page(&name, footer, index)?;
    }
    let bytes = read_planned(files, path, footer, &plan, most_held_bytes, io).await?;
    Ok((plan, bytes))
}

/// What came of looking for pages where the file has no index of them.
enum Located {
    Pages(Arc<Option<PageIndex>>),
    /// All of the row group was read for it: the piece needs no more.
    Read(SparseFile),
}

async fn find_pages(
    files: &Files,
    path: &str,
    footer: &Footer,
    plan: &ReadPlan,
    most_held_bytes: u64,
    io: &mut ReadCounters,
) -> Result<Located, Error> {
    let _turn = footer.locating.turn(plan.key.1).await;
    if let Some(known) = footer.locating.known(&plan.key) {
        return Ok(Located::Pages(known));
    }
    let store = &files.store;
    if plan.wanted_bytes() <= most_held_bytes {
        let bytes = read_planned(files, path, footer, plan, most_held_bytes, io).await?;
        let found = locate::in_memory(&store.name(path), plan, &bytes).await?;
        footer.locating.keep(&plan.key, found);
        return Ok(Located::Read(bytes));
    }
    let found = locate::in_storage(store, path, footer, plan, io).await?;
    Ok(Located::Pages(footer.locating.keep(&plan.key, found)))
}

async fn read_planned(
    files: &Files,
    path: &str,
    footer: &Footer,
    plan: &ReadPlan,
    most_held_bytes: u64,
    io: &mut ReadCounters,
) -> Result<SparseFile, Error> {
    let store = &files.store;
    let Holding {
        held,
        streamed,
        window_bytes,
    } = match plan.wanted_bytes() <= most_held_bytes {
        true => Holding::whole(&plan.ranges),
        false => divide(&plan.ranges, &plan.chunks(), most_held_bytes),
    };
    let settings = files.coalesce.unwrap_or_else(|| {
        let settings = match store.place() {
            Place::Local => CoalesceSettings::LOCAL,
            Place::Remote => CoalesceSettings::OBJECT_STORE,
        };
        settings.sparing(&held)
    });
    let requests = coalesce(&held, settings);
    let buffers = read(store, path, footer, &requests, io).await?;
    io.wanted_bytes += total(&held);
    let size = footer.file_size_bytes;
    let file = SparseFile::new(&requests, buffers, size).with_sealed(plan.sealed(footer));
    if streamed.is_empty() {
        return Ok(file);
    }
    let etag = footer.etag.as_deref();
    Ok(file.with_stream(Stream::new(store, path, etag, streamed, window_bytes)))
}

/// Fetches all columns of a piece, as they are stored.
pub(crate) async fn fetch_stored(
    files: &Files,
    footer: &Arc<Footer>,
    request: PieceRequest,
) -> Result<FetchedPiece, Error> {
    let mut io = ReadCounters::default();
    let roots: Vec<usize> = (0..footer.num_roots()).collect();
    let name = files.store.name(&request.file.path);
    let all = Projection {
        places: Vec::new(),
        schema: footer.narrow(&name, &roots, true)?,
    };
    let read = read_projected(files, footer, all, &request, Pages::Indexed, &mut io).await;
    metrics::record(io);
    let (plan, bytes) = read?;
    Ok(FetchedPiece {
        name,
        plan,
        bytes,
        features: request.features,
        batch_rows: request.batch_rows,
        io,
    })
}

/// Fetches what a plan made elsewhere wants.
pub(crate) async fn fetch_planned(
    files: &Files,
    footer: &Footer,
    request: PieceRequest,
    plan: ReadPlan,
    io: &mut ReadCounters,
) -> Result<FetchedPiece, Error> {
    let path = &request.file.path;
    Ok(FetchedPiece {
        name: files.store.name(path),
        bytes: read_planned(files, path, footer, &plan, request.most_held_bytes, io).await?,
        plan,
        features: request.features,
        batch_rows: request.batch_rows,
        io: *io,
    })
}

async fn page_index(
    store: &Store,
    path: &str,
    footer: &Footer,
    plan: &ReadPlan,
    io: &mut ReadCounters,
) -> Result<Option<Arc<PageIndex>>, Error> {
    let Some(range) = plan.page_index_range(footer) else {
        return Ok(None);
    };
    if let Some(index) = footer.page_indexes.get(&plan.key) {
        return Ok(Some(index));
    }
    let name = store.name(path);
    let stored = read(store, path, footer, slice::from_ref(&range), io)
        .await?
        .remove(0);
    let decode = || page_index::decode(&name, footer, plan, (range, stored));
    let index = Arc::new(guarded(&name, decode)??);
    footer
        .page_indexes
        .insert(plan.key.clone(), Arc::clone(&index));
    Ok(Some(index))
}

async fn read(
    store: &Store,
    path: &str,
    footer: &Footer,
    requests: &[Range<u64>],
    io: &mut ReadCounters,
) -> Result<Vec<Bytes>, Error> {
    let stored = store.read(path, footer.etag.as_deref(), requests).await?;
    let count = |stored: Stored| {
        io.add_assign(stored.cost());
        stored.bytes
    };
    Ok(stored.into_iter().map(count).collect())
}

pub(crate) async fn known_footer(
    files: &Files,
    file: &SnapshotFile,
    io: &mut ReadCounters,
) -> Result<Arc<Footer>, Error> {
    let known = || {
        let footer = files.footers.get(&file.path)?;
        difference(&footer, file).is_none().then_some(footer)
    };
    if let Some(footer) = known() {
        return Ok(footer);
    }
    let _one_fetches = files.footers.fetching(&file.path).await;
    match known() {
        Some(footer) => Ok(footer),
        None => fresh_footer(files, file, io).await,
    }
}

async fn fresh_footer(
    files: &Files,
    file: &SnapshotFile,
    io: &mut ReadCounters,
) -> Result<Arc<Footer>, Error> {
    let (footer, cost) = load(files, &file.path, file.size_bytes).await?;
    io.add_assign(cost);
    if let Some(reason) = difference(&footer, file) {
        return Err(Error::Changed {
            path: files.store.name(&file.path),
            reason,
        });
    }
    Ok(footer)
}

/// How a file differs from what the snapshot says of it.
fn difference(footer: &Footer, file: &SnapshotFile) -> Option<String> {
    if footer.file_size_bytes != file.size_bytes {
        return Some(format!(
            "it has {} bytes and had {}",
            footer.file_size_bytes, file.size_bytes
        ));
    }
    if footer.checksum != file.footer_checksum {
        return Some("its footer is another one".to_owned());
    }
    (footer.row_group_rows() != file.row_group_rows).then(|| "its row groups differ".to_owned())
}

impl FetchedPiece {
    /// What fetching cost. What is streamed comes later, see [`PieceBatches::io`](crate::PieceBatches::io).
    pub fn io(&self) -> ReadCounters {
        self.io
    }

    /// Stored bytes that it holds, those included that streams will hold at a time.
    pub fn held_bytes(&self) -> u64 {
        self.bytes.held_bytes()
    }
}

impl ReadCounters {
    /// One request that returned `read_bytes`.
    pub(crate) fn request(read_bytes: u64) -> Self {
        ReadCounters {
            read_bytes,
            requests: 1,
            ..ReadCounters::default()
        }
    }
}

/// What came between two counts.
impl Sub for ReadCounters {
    type Output = ReadCounters;

    fn sub(self, before: Self) -> Self {
        ReadCounters {
            read_bytes: self.read_bytes - before.read_bytes,
            wanted_bytes: self.wanted_bytes - before.wanted_bytes,
            requests: self.requests - before.requests,
            retries: self.retries - before.retries,
        }
    }
}

impl AddAssign for ReadCounters {
    fn add_assign(&mut self, other: Self) {
        self.read_bytes += other.read_bytes;
        self.wanted_bytes += other.wanted_bytes;
        self.requests += other.requests;
        self.retries += other.retries;
    }
}
