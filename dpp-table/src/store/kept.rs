//! Stored bytes that were fetched lately, for whoever asks next: runs on one table at the same time read it once.
//!
//! ```text
//!  range asked for ─▶ within one that is kept?      ─▶ a part of it
//!                     within one that is fetched?   ─▶ wait for that
//!                     neither                       ─▶ on the local disk, or fetched; kept, and the least recently used leave
//! ```
//!
//! Bytes are kept as they are stored, encrypted ones encrypted, by store, credentials, file and version (its entity tag): who asks with
//! other credentials meets none of them. What a caller's token allows is asked before, at every call.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::metrics;
use crate::read::fetch::ReadCounters;
use crate::store::disk::DiskCache;

/// Bytes of many files, at most so many of them.
pub struct StoredCache {
    max_bytes: u64,
    entries: Mutex<Entries>,
    disk: Option<DiskCache>,
}

/// One version of a file, by whose credentials it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileVersion {
    /// Of place and storage options.
    pub(crate) store: Arc<str>,
    pub(crate) path: String,
    pub(crate) etag: String,
}

/// Bytes, and whether storage was asked for them just now.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) was_fetched: bool,
}

impl Stored {
    pub(crate) fn fetched(bytes: Bytes) -> Stored {
        Stored {
            bytes,
            was_fetched: true,
        }
    }

    /// What it cost at storage.
    pub(crate) fn cost(&self) -> ReadCounters {
        match self.was_fetched {
            true => ReadCounters::request(self.bytes.len() as u64),
            false => ReadCounters::default(),
        }
    }
}

#[derive(Default)]
struct Entries {
    /// By where they start.
    files: HashMap<FileVersion, BTreeMap<u64, Entry>>,
    bytes: u64,
    uses: u64,
}

struct Entry {
    end: u64,
    /// Empty while it is fetched.
    content: Arc<OnceCell<Bytes>>,
    /// Counted when it was filled.
    bytes: u64,
    last_use: u64,
}

impl StoredCache {
    /// A cache that is empty.
    pub fn new(max_bytes: u64) -> StoredCache {
        StoredCache {
            max_bytes,
            entries: Mutex::default(),
            disk: None,
        }
    }

    /// The same, with what a local disk has room for.
    #[must_use]
    pub fn with_disk(self, disk: Option<DiskCache>) -> StoredCache {
        StoredCache { disk, ..self }
    }

    /// Waits until what is to be kept is written.
    pub async fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.close().await;
        }
    }

    /// A range of a file: a part of what is kept, or what `fetch` gives for it or for a range around it that somebody else began to
    /// fetch and did not get.
    pub(crate) async fn read<E, F: Future<Output = Result<Bytes, E>>>(
        &self,
        file: &FileVersion,
        range: Range<u64>,
        fetch: impl FnOnce(Range<u64>) -> F,
    ) -> Result<Stored, E> {
        if range.end - range.start > self.max_bytes / LARGEST_PART {
            return self.read_through(file, range, fetch).await;
        }
        let (whole, content) = self.lock().place(file, &range);
        let mut was_fetched = false;
        let mut was_filled = false;
        let filled = content.get_or_try_init(async || {
            let stored = self.read_through(file, whole.clone(), fetch).await?;
            (was_filled, was_fetched) = (true, stored.was_fetched);
            Ok(stored.bytes)
        });
        let bytes = filled.await?.clone();
        if was_filled {
            self.lock().filled(file, &whole, self.max_bytes);
        } else {
            metrics::kept(range.end - range.start);
        }
        let (start, end) = (range.start - whole.start, range.end - whole.start);
        Ok(Stored {
            bytes: match (usize::try_from(start), usize::try_from(end)) {
                (Ok(start), Ok(end)) if end <= bytes.len() => bytes.slice(start..end),
                _ => Bytes::new(), // shorter than asked for: whoever decodes it says so
            },
            was_fetched,
        })
    }

    /// A range that the disk has, or what `fetch` gives for it, which the disk then has.
    async fn read_through<E, F: Future<Output = Result<Bytes, E>>>(
        &self,
        file: &FileVersion,
        range: Range<u64>,
        fetch: impl FnOnce(Range<u64>) -> F,
    ) -> Result<Stored, E> {
        let Some(disk) = &self.disk else {
            return fetch(range).await.map(Stored::fetched);
        };
        if let Some(bytes) = disk.get(file, &range).await {
            metrics::on_disk(bytes.len() as u64);
            let was_fetched = false;
            return Ok(Stored { bytes, was_fetched });
        }
        let bytes = fetch(range.clone()).await?;
        disk.put(file, &range, &bytes);
        Ok(Stored::fetched(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // every change leaves the map usable, so a panic elsewhere does not spoil it
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// The entry that covers a range, made if there is none, and what it covers.
    fn place(
        &mut self,
        file: &FileVersion,
        range: &Range<u64>,
    ) -> (Range<u64>, Arc<OnceCell<Bytes>>) {
        self.uses += 1;
        let last_use = self.uses;
        let kept = self.files.entry(file.clone()).or_default();
        let covering = kept.range_mut(..=range.start).next_back();
        if let Some((start, entry)) = covering.filter(|(_, entry)| entry.end >= range.end) {
            entry.last_use = last_use;
            return (*start..entry.end, entry.content.clone());
        }
        let content = Arc::<OnceCell<Bytes>>::default();
        let entry = Entry {
            end: range.end,
            content: content.clone(),
            bytes: 0,
            last_use,
        };
        if let Some(shorter) = kept.insert(range.start, entry) {
            self.bytes -= shorter.bytes;
        }
        (range.clone(), content)
    }

    /// What was fetched counts from now on.
    fn filled(&mut self, file: &FileVersion, whole: &Range<u64>, max_bytes: u64) {
        let kept = self.files.get_mut(file);
        let entry = kept.and_then(|kept| kept.get_mut(&whole.start));
        if let Some(entry) = entry.filter(|entry| entry.end == whole.end && entry.bytes == 0) {
            entry.bytes = dpp_pool::capacity_of(whole.end - whole.start);
            self.bytes += entry.bytes;
        }
        if self.bytes > max_bytes {
            self.shrink(max_bytes / 4 * 3);
        }
    }

    /// Drops the least recently used down to `target_bytes`, and what nobody fetches any more.
    fn shrink(&mut self, target_bytes: u64) {
        let entries = self.files.values().flat_map(BTreeMap::values);
        let mut by_age: Vec<(u64, u64)> =
            entries.map(|entry| (entry.last_use, entry.bytes)).collect();
        by_age.sort_unstable();
        let mut left = self.bytes;
        let mut oldest = 0;
        for (last_use, bytes) in by_age {
            if left <= target_bytes {
                break;
            }
            (left, oldest) = (left - bytes, last_use);
        }
        for kept in self.files.values_mut() {
            kept.retain(|_, entry| match entry.bytes {
                0 => Arc::strong_count(&entry.content) > 1,
                _ => entry.last_use > oldest,
            });
        }
        self.files.retain(|_, kept| !kept.is_empty());
        let entries = self.files.values().flat_map(BTreeMap::values);
        self.bytes = entries.map(|entry| entry.bytes).sum();
    }
}

impl fmt::Debug for StoredCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredCache")
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// A range that is larger than this part of the cache is not kept: it would drive out too much.
const LARGEST_PART: u64 = 4;

#[cfg(test)]
pub(in crate::store) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    pub(in crate::store) fn file(store: &str, etag: &str) -> FileVersion {
        FileVersion {
            store: store.into(),
            path: "part-0.parquet".to_owned(),
            etag: etag.to_owned(),
        }
    }

    /// Byte i of every file is i.
    pub(in crate::store) fn content(range: Range<u64>) -> Bytes {
        range.map(|byte| byte as u8).collect()
    }

    /// Reads, and says how many bytes were fetched for it.
    async fn read(cache: &StoredCache, file: &FileVersion, range: Range<u64>) -> u64 {
        let fetched = AtomicU64::new(0);
        let fetch = |range: Range<u64>| async {
            fetched.fetch_add(range.end - range.start, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, ()>(content(range))
        };
        let stored = cache.read(file, range.clone(), fetch).await.unwrap();
        assert_eq!(stored.bytes, content(range));
        let fetched = fetched.into_inner();
        assert_eq!(stored.was_fetched, fetched > 0);
        fetched
    }

    #[tokio::test]
    async fn what_is_kept_is_not_fetched_again() {
        let cache = StoredCache::new(1 << 20);
        let file = file("a", "1");
        assert_eq!(read(&cache, &file, 10..60).await, 50);
        for within in [10..60, 10..11, 20..30, 59..60] {
            assert_eq!(read(&cache, &file, within).await, 0);
        }
        assert_eq!(
            read(&cache, &file, 50..61).await,
            11,
            "not all of it is kept"
        );
        assert_eq!(
            read(&cache, &file, 10..90).await,
            80,
            "longer than what is kept"
        );
        assert_eq!(read(&cache, &file, 10..60).await, 0);
    }

    #[tokio::test]
    async fn who_comes_meanwhile_waits_for_the_first() {
        let cache = StoredCache::new(1 << 20);
        let file = file("a", "1");
        let (first, second, third) = tokio::join!(
            read(&cache, &file, 0..50),
            read(&cache, &file, 0..50),
            read(&cache, &file, 10..20)
        );
        assert_eq!((first, second, third), (50, 0, 0));
    }

    #[tokio::test]
    async fn other_versions_and_other_credentials_are_other_bytes() {
        let cache = StoredCache::new(1 << 20);
        assert_eq!(read(&cache, &file("a", "1"), 0..50).await, 50);
        assert_eq!(read(&cache, &file("a", "2"), 0..50).await, 50);
        assert_eq!(read(&cache, &file("b", "1"), 0..50).await, 50);
    }

    #[tokio::test]
    async fn what_failed_or_broke_off_is_fetched_by_the_next() {
        let cache = StoredCache::new(1 << 20);
        let file = file("a", "1");
        let failed = cache.read(&file, 0..50, |_| async { Err::<Bytes, _>("gone") });
        assert_eq!(failed.await.unwrap_err(), "gone");
        let never = cache.read(&file, 0..50, |_| {
            std::future::pending::<Result<Bytes, ()>>()
        });
        let broken = tokio::time::timeout(std::time::Duration::from_millis(1), never).await;
        assert!(broken.is_err());
        assert_eq!(read(&cache, &file, 0..50).await, 50);
    }

    #[tokio::test]
    async fn the_least_recently_used_leave_and_large_ones_are_not_kept() {
        let cache = StoredCache::new(64 * 10);
        let file = file("a", "1");
        let part = |number: u64| number * 64..(number + 1) * 64;
        for number in 0..10 {
            assert_eq!(read(&cache, &file, part(number)).await, 64);
        }
        assert_eq!(read(&cache, &file, part(0)).await, 0);
        assert_eq!(read(&cache, &file, part(10)).await, 64);
        assert_eq!(read(&cache, &file, part(0)).await, 0, "used lately");
        assert_eq!(read(&cache, &file, part(1)).await, 64, "dropped");
        assert!(cache.lock().bytes <= 64 * 10);
        for _ in 0..2 {
            assert_eq!(read(&cache, &file, 2000..2200).await, 200);
        }
    }
}
