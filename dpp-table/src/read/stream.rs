//! Column chunks that are too large to be held: fetched window by window while they are decoded, the next window ahead.
//!
//! ```text
//! chunk  ░░░░░░▓▓▓▓▓▒▒▒▒▒·······    ░ decoded and dropped   ▓ held   ▒ on its way   · not asked for yet
//! ```
//!
//! A window becomes longer where a page is. Decoders read forwards; going back works, and fetches again. Whoever decodes waits
//! here for storage, so never on a thread that storage is read by.

use std::ops::Range;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::executor::block_on;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::metrics;
use crate::read::fetch::ReadCounters;
use crate::read::hold::WINDOWS;
use crate::store::Store;
use crate::store::transport::counting_retries;

/// Streamed chunks of one version of a file.
pub(crate) struct Stream {
    /// By where they lie.
    chunks: Vec<(Range<u64>, Mutex<Chunk>)>,
    window_bytes: u64,
    source: Source,
}

/// What is asked for windows.
struct Source {
    store: Arc<Store>,
    path: String,
    etag: Option<String>,
    runtime: Handle,
    so_far: Arc<Mutex<SoFar>>,
}

#[derive(Default)]
struct SoFar {
    io: ReadCounters,
    /// Why bytes did not come: a decoder only sees that it lacks them.
    fault: Option<Error>,
}

struct Chunk {
    /// What of it is wanted, ascending and apart.
    wanted: Vec<Range<u64>>,
    window_bytes: u64,
    held: (u64, Bytes),
    coming: Option<Coming>,
}

/// A window on its way. Dropped, it is given up.
struct Coming {
    range: Range<u64>,
    task: JoinHandle<Result<Bytes, Error>>,
}

impl Stream {
    /// `chunks` are the wanted ranges of each, none without any, all ascending. To be called on the runtime that reads storage.
    pub(crate) fn new(
        store: &Arc<Store>,
        path: &str,
        etag: Option<&str>,
        chunks: Vec<Vec<Range<u64>>>,
        window_bytes: u64,
    ) -> Stream {
        let chunk = |wanted: Vec<Range<u64>>| {
            let span = wanted[0].start..wanted[wanted.len() - 1].end;
            let chunk = Chunk {
                wanted,
                window_bytes,
                held: (0, Bytes::new()),
                coming: None,
            };
            (span, Mutex::new(chunk))
        };
        Stream {
            chunks: chunks.into_iter().map(chunk).collect(),
            window_bytes,
            source: Source {
                store: Arc::clone(store),
                path: path.to_owned(),
                etag: etag.map(str::to_owned),
                runtime: Handle::current(),
                so_far: Arc::default(),
            },
        }
    }

    /// At most `length` bytes from `start`, fewer where what is wanted ends; `None` where it is not streamed or does not come.
    pub(crate) fn read(&self, start: u64, length: u64) -> Option<Bytes> {
        self.chunk(start)?.read(&self.source, start, length)
    }

    /// The bytes from `start` that are held, one at least.
    pub(crate) fn some(&self, start: u64) -> Option<Bytes> {
        let mut chunk = self.chunk(start)?;
        chunk.read(&self.source, start, 1)?;
        Some(chunk.held_from(start))
    }

    /// Whether these bytes are streamed.
    pub(crate) fn covers(&self, position: u64) -> bool {
        self.index(position).is_some()
    }

    /// Why bytes did not come, if that happened. It is told once.
    pub(crate) fn fault(&self) -> Option<Error> {
        lock(&self.source.so_far).fault.take()
    }

    /// Held at a time, at most, but for pages that are longer than a window.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.chunks.len() as u64 * WINDOWS * self.window_bytes
    }

    /// What came so far.
    pub(crate) fn io(&self) -> ReadCounters {
        lock(&self.source.so_far).io
    }

    fn chunk(&self, position: u64) -> Option<MutexGuard<'_, Chunk>> {
        Some(lock(&self.chunks[self.index(position)?].1))
    }

    fn index(&self, position: u64) -> Option<usize> {
        let after = |(span, _): &(Range<u64>, _)| span.start <= position;
        let index = self.chunks.partition_point(after).checked_sub(1)?;
        self.chunks[index].0.contains(&position).then_some(index)
    }
}

impl Chunk {
    fn read(&mut self, source: &Source, start: u64, length: u64) -> Option<Bytes> {
        let range = self.wanted.iter().find(|range| range.contains(&start))?;
        let length = length.min(range.end - start);
        if self.held_from(start).is_empty() {
            self.turn(source, start, length)?;
        }
        let first = self.held_from(start);
        let bytes = usize::try_from(length).ok()?;
        if bytes <= first.len() {
            return Some(first.slice(..bytes));
        }
        // a page that goes on in the next window, which is then held with the page's beginning
        let mut joined = dpp_pool::empty(bytes + self.window_bytes as usize);
        joined.extend_from_slice(&first);
        drop(first);
        while joined.len() < bytes {
            let position = start + joined.len() as u64;
            self.turn(source, position, start + length - position)?;
            joined.extend_from_slice(&self.held_from(position));
        }
        self.held = (start, joined.into_bytes());
        Some(self.held.1.slice(..bytes))
    }

    /// What is held from `start` on; empty if nothing is.
    fn held_from(&self, start: u64) -> Bytes {
        let (first, bytes) = &self.held;
        let skip = start.checked_sub(*first).map(usize::try_from);
        match skip {
            Some(Ok(skip)) if skip < bytes.len() => bytes.slice(skip..),
            _ => Bytes::new(),
        }
    }

    /// Holds the window that `position` is in, and asks for the next; in one of them `at_least` bytes from there end.
    fn turn(&mut self, source: &Source, position: u64, at_least: u64) -> Option<()> {
        self.held = (0, Bytes::new());
        let coming = match self.coming.take() {
            Some(coming) if coming.range.contains(&position) => coming,
            _ => {
                let window = self.window_bytes.max(at_least);
                source.ask(window_at(&self.wanted, position, window)?)
            }
        };
        let range = coming.range.clone();
        let bytes = source.wait(coming)?;
        let missing = position.saturating_add(at_least).saturating_sub(range.end);
        let next = window_at(&self.wanted, range.end, self.window_bytes.max(missing));
        self.coming = next.map(|range| source.ask(range));
        self.held = (range.start, bytes);
        Some(())
    }
}

/// The first wanted bytes from `position` on, at most a window of them.
fn window_at(wanted: &[Range<u64>], position: u64, window_bytes: u64) -> Option<Range<u64>> {
    let range = wanted.iter().find(|range| position < range.end)?;
    let start = range.start.max(position);
    Some(start..range.end.min(start.saturating_add(window_bytes)))
}

impl Source {
    fn ask(&self, range: Range<u64>) -> Coming {
        let (store, path, etag) = (
            Arc::clone(&self.store),
            self.path.clone(),
            self.etag.clone(),
        );
        let (wanted, so_far) = (range.clone(), Arc::clone(&self.so_far));
        let read = async move {
            let read = store.read(&path, etag.as_deref(), slice::from_ref(&wanted));
            let (read, retries) = counting_retries(read).await;
            let stored = read?.remove(0);
            let io = ReadCounters {
                wanted_bytes: stored.bytes.len() as u64,
                retries,
                ..stored.cost()
            };
            metrics::record(io);
            lock(&so_far).io += io;
            Ok(stored.bytes)
        };
        Coming {
            range,
            task: self.runtime.spawn(read),
        }
    }

    fn wait(&self, mut coming: Coming) -> Option<Bytes> {
        let fault = match block_on(&mut coming.task) {
            Ok(Ok(bytes)) => return Some(bytes),
            Ok(Err(error)) => error,
            Err(error) => Error::Internal {
                path: self.store.name(&self.path),
                reason: error.to_string(),
            },
        };
        lock(&self.so_far).fault = Some(fault);
        None
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
