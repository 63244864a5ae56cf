//! Footers seen before, by relative path. Bounded by bytes; the least recently used leave first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};
use xxhash_rust::xxh3::xxh3_64;

use crate::footer::Footer;

/// Decoded footers of one table. At most `max_bytes` of them, as far as the Parquet crate can tell their size.
pub(crate) struct FooterCache {
    entries: Mutex<Entries>,
    max_bytes: usize,
    /// By hash of the path: whoever fetches a footer holds one.
    fetching: [AsyncMutex<()>; FETCHING],
}

#[derive(Default)]
struct Entries {
    by_path: HashMap<String, Entry>,
    bytes: usize,
    uses: u64,
}

struct Entry {
    footer: Arc<Footer>,
    last_use: u64,
}

impl FooterCache {
    pub(crate) fn new(max_bytes: usize) -> FooterCache {
        FooterCache {
            entries: Mutex::default(),
            max_bytes,
            fetching: [const { AsyncMutex::const_new(()) }; FETCHING],
        }
    }

    /// Waits for whoever else fetches the footer of `path`: it is known then.
    pub(crate) async fn fetching(&self, path: &str) -> AsyncMutexGuard<'_, ()> {
        let place = xxh3_64(path.as_bytes()) as usize % FETCHING;
        self.fetching[place].lock().await
    }

    pub(crate) fn get(&self, path: &str) -> Option<Arc<Footer>> {
        let mut entries = self.lock();
        entries.uses += 1;
        let now = entries.uses;
        let entry = entries.by_path.get_mut(path)?;
        entry.last_use = now;
        Some(Arc::clone(&entry.footer))
    }

    /// Keeps `footer`, in place of an older one of the same path. One larger than the whole cache is not kept.
    pub(crate) fn insert(&self, path: &str, footer: Arc<Footer>) {
        let mut entries = self.lock();
        entries.remove(path);
        if footer.memory_bytes() > self.max_bytes {
            return;
        }
        entries.uses += 1;
        entries.bytes += footer.memory_bytes();
        let last_use = entries.uses;
        let entry = Entry { footer, last_use };
        entries.by_path.insert(path.to_owned(), entry);
        if entries.bytes > self.max_bytes {
            entries.shrink(self.max_bytes / 4 * 3);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // every change leaves the map usable, so a panic elsewhere does not spoil it
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, path: &str) {
        if let Some(old) = self.by_path.remove(path) {
            self.bytes -= old.footer.memory_bytes();
        }
    }

    /// Drops the least recently used down to `target_bytes`: a quarter at a time, so that sorting is paid rarely.
    fn shrink(&mut self, target_bytes: usize) {
        let mut by_age: Vec<_> = self
            .by_path
            .iter()
            .map(|(path, entry)| (entry.last_use, path.clone()))
            .collect();
        by_age.sort_unstable();
        for (_, path) in by_age {
            if self.bytes <= target_bytes {
                break;
            }
            self.remove(&path);
        }
    }
}

/// Footers of one table that are fetched side by side, at most.
const FETCHING: usize = 64;

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use dpp_proto::v1::TableSource;
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::features::feature_map::FeatureNames;
    use crate::files::Files;
    use crate::footer::load::load;
    use crate::store::Store;

    async fn any_footer() -> Arc<Footer> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut writer = ArrowWriter::try_new(&file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let source = TableSource {
            url: file.path().to_str().unwrap().to_owned(),
            ..TableSource::default()
        };
        let files = Files {
            store: Arc::new(Store::open(&source).unwrap()),
            footers: FooterCache::new(0),
            names: FeatureNames::default(),
            keys: None,
            coalesce: None,
            footer_bytes: 0.into(),
        };
        let size_bytes = file.as_file().metadata().unwrap().len();
        load(&files, ".", size_bytes).await.unwrap().0
    }

    #[tokio::test]
    async fn the_least_recently_used_leave_first() {
        let footer = any_footer().await;
        let cache = FooterCache::new(footer.memory_bytes() * 4);
        for path in ["a", "b", "c", "d"] {
            cache.insert(path, Arc::clone(&footer));
        }
        assert!(cache.get("a").is_some());
        cache.insert("e", Arc::clone(&footer));
        let kept = |path| cache.get(path).is_some();
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(kept),
            [true, false, false, true, true]
        );
    }

    #[tokio::test]
    async fn replacing_does_not_count_twice_and_giants_are_not_kept() {
        let footer = any_footer().await;
        let cache = FooterCache::new(footer.memory_bytes() * 2);
        for _ in 0..5 {
            cache.insert("a", Arc::clone(&footer));
            cache.insert("b", Arc::clone(&footer));
        }
        assert!(cache.get("a").is_some() && cache.get("b").is_some());
        let small = FooterCache::new(footer.memory_bytes() - 1);
        small.insert("a", footer);
        assert!(small.get("a").is_none());
    }
}
