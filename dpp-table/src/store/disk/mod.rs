//! Stored bytes in a folder of this machine: more than memory has room for, and still there when a process begins anew.
//!
//! ```text
//!  FOLDER/lock                held for as long as the folder is a process's
//!  FOLDER/9f86d0…0a08         xxh3-64 of the bytes, and the bytes as they are stored, encrypted ones encrypted
//!  FOLDER/.writing-7          what is being written: renamed when it is whole
//! ```
//!
//! A file is a range that was asked for; its name is the hash of who fetched it, and of which file and version. Nothing here is
//! needed: what can't be read or kept is fetched.

mod ranges;

use std::fmt;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use xxhash_rust::xxh3::xxh3_64;

use self::ranges::{Ranges, on_disk};
use crate::error::Error;
use crate::snapshot::hexadecimal;
use crate::store::kept::FileVersion;
use crate::store::output::HIDDEN;
use crate::store::read_range;

/// Ranges of many files, at most so many bytes of them, the least recently used dropped first.
pub struct DiskCache {
    folder: Arc<Folder>,
    /// KiB that may wait for the disk.
    waiting: Arc<Semaphore>,
}

struct Folder {
    path: PathBuf,
    max_bytes: u64,
    ranges: Mutex<Ranges>,
    /// Held for as long as the folder is ours.
    _lock: File,
}

impl DiskCache {
    /// The cache in `folder`, which is made if it is not there, with what lies in it from before. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Error::CacheFolder`] when it can't be used, another process uses it, or `max_bytes` is too little.
    pub async fn open(folder: &Path, max_bytes: u64) -> Result<DiskCache, Error> {
        let opened = match max_bytes < LEAST_BYTES {
            true => Err(format!("give it {} MiB or more", LEAST_BYTES >> 20)),
            false => DiskCache::of_any_size(folder.to_owned(), max_bytes).await,
        };
        opened.map_err(|reason| Error::CacheFolder {
            folder: folder.display().to_string(),
            reason,
        })
    }

    async fn of_any_size(folder: PathBuf, max_bytes: u64) -> Result<DiskCache, String> {
        let opened = spawn_blocking(move || Folder::open(folder, max_bytes)).await;
        let opened = opened.unwrap_or_else(|error| Err(error.to_string()));
        Ok(DiskCache {
            folder: Arc::new(opened?),
            waiting: Arc::new(Semaphore::new(MOST_KIB_WAITING as usize)),
        })
    }

    /// A range of a file, if it is here as it was asked for before.
    pub(crate) async fn get(&self, file: &FileVersion, range: &Range<u64>) -> Option<Bytes> {
        let name = name(file, range);
        if !self.folder.lock().was_used(&name) {
            return None;
        }
        let (folder, length) = (Arc::clone(&self.folder), range.end - range.start);
        let read = spawn_blocking(move || folder.read(&name, length)).await;
        read.ok()?
    }

    /// Keeps a range of a file, in the background; not if the disk is far behind.
    pub(crate) fn put(&self, file: &FileVersion, range: &Range<u64>, bytes: &Bytes) {
        if bytes.len() as u64 != range.end - range.start {
            return; // shorter than asked for: whoever decodes it says so
        }
        let kib = u32::try_from(bytes.len().div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let Ok(turn) = Arc::clone(&self.waiting).try_acquire_many_owned(kib) else {
            return;
        };
        let (folder, name, bytes) = (Arc::clone(&self.folder), name(file, range), bytes.clone());
        spawn_blocking(move || {
            if let Err(error) = folder.write(&name, &bytes) {
                tracing::warn!(%error, folder = %folder.path.display(), "stored bytes can't be kept");
            }
            drop(folder); // so that nobody holds it who was waited for
            drop(turn);
        });
    }

    /// Waits until what is to be kept is written.
    pub async fn close(&self) {
        // which fails if it was closed, and that it is by nobody
        let _ = self.waiting.acquire_many(MOST_KIB_WAITING).await;
    }
}

impl Folder {
    fn open(path: PathBuf, max_bytes: u64) -> Result<Folder, String> {
        let lock = locked(&path)?;
        let ranges = Ranges::of(&path).map_err(|error| error.to_string())?;
        let folder = Folder {
            path,
            max_bytes,
            ranges: Mutex::new(ranges),
            _lock: lock,
        };
        folder.make_room(0).map_err(|error| error.to_string())?;
        Ok(folder)
    }

    /// A file that has so many bytes; one that is not as it was written is removed.
    fn read(&self, name: &str, length: u64) -> Option<Bytes> {
        let path = self.path.join(name);
        let checked = || {
            let mut file = File::open(&path)?;
            let mut sum = [0; SUM_BYTES as usize];
            file.read_exact(&mut sum)?;
            let bytes = read_range(&file, &(SUM_BYTES..SUM_BYTES + length))?;
            match u64::from_le_bytes(sum) == xxh3_64(&bytes) {
                true => Ok(bytes),
                false => Err(io::Error::other("it was damaged")),
            }
        };
        let read: io::Result<Bytes> = checked();
        if let Err(error) = &read
            && self.lock().forget(name)
        {
            tracing::warn!(%error, path = %path.display(), "kept bytes can't be read");
            // gone already, perhaps
            let _ = fs::remove_file(&path);
        }
        read.ok()
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let bytes = on_disk(SUM_BYTES + content.len() as u64);
        if bytes > self.max_bytes {
            return Ok(()); // it would drive out all there is
        }
        self.make_room(bytes)?;
        let number = self.lock().next_use();
        let hidden = self.path.join(format!("{HIDDEN}{number}"));
        let write = || {
            let mut file = File::create(&hidden)?;
            file.write_all(&xxh3_64(content).to_le_bytes())?;
            file.write_all(content)?;
            fs::rename(&hidden, self.path.join(name))
        };
        let written = write();
        match written.is_ok() {
            true => self.lock().insert(name.to_owned(), bytes),
            false => {
                // the error that led here is the one to report
                let _ = fs::remove_file(&hidden);
                self.lock().not_written(bytes);
            }
        }
        written
    }

    /// Counts `bytes` that will be written, and removes files until they fit.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let dropped = self.lock().make_room(bytes, self.max_bytes);
        for name in dropped {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Ranges> {
        // every change leaves the maps usable, so a panic elsewhere does not spoil them
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder's lock.
fn locked(folder: &Path) -> Result<File, String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| error.to_string())?;
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err("another process uses it".to_owned()),
        Err(TryLockError::Error(error)) => Err(error.to_string()),
    }
}

/// The same for the same bytes, in every process; no caller can make one that is another's.
fn name(file: &FileVersion, range: &Range<u64>) -> String {
    let mut hash = Sha256::new();
    for part in [&file.store, file.etag.as_str(), file.path.as_str()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(range.start.to_le_bytes());
    hash.update(range.end.to_le_bytes());
    hexadecimal(&hash.finalize())
}

impl fmt::Debug for DiskCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DiskCache")
            .field("folder", &self.folder.path)
            .finish_non_exhaustive()
    }
}

/// Of the bytes behind it.
const SUM_BYTES: u64 = 8;
/// 64 MiB: some dozens of requests.
const MOST_KIB_WAITING: u32 = 64 << 10;
/// Less than that is most likely a unit that was forgotten.
const LEAST_BYTES: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kept::tests::{content, file};

    const FEW: u64 = 1 << 20;

    async fn open(folder: &Path) -> DiskCache {
        DiskCache::of_any_size(folder.to_owned(), FEW)
            .await
            .unwrap()
    }

    /// The names and sizes of what lies there.
    fn listed(folder: &Path) -> Vec<(String, u64)> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let named = entries.map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().len())
        });
        named.filter(|(name, _)| name != "lock").collect()
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let ranges = [0..10, 10..20, 1000..300_007, 7..7];
        let cache = open(folder.path()).await;
        for range in &ranges {
            assert_eq!(cache.get(&file("a", "1"), range).await, None);
            cache.put(&file("a", "1"), range, &content(range.clone()));
        }
        cache.close().await;
        drop(cache);
        fs::write(folder.path().join(format!("{HIDDEN}7")), "half").unwrap();
        let cache = open(folder.path()).await;
        for range in &ranges {
            let kept = cache.get(&file("a", "1"), range).await;
            assert_eq!(kept, Some(content(range.clone())), "{range:?}");
            // neither another version's, nor for those with other credentials
            assert_eq!(cache.get(&file("a", "2"), range).await, None);
            assert_eq!(cache.get(&file("b", "1"), range).await, None);
        }
        assert_eq!(cache.get(&file("a", "1"), &(0..11)).await, None);
        assert_eq!(listed(folder.path()).len(), ranges.len(), "no half file");
    }

    #[tokio::test]
    async fn the_least_recently_used_go_and_the_folder_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let range = |index: u64| index..index + 100_000;
        let file = file("a", "1");
        let cache = open(folder.path()).await;
        for index in 0..40 {
            cache.put(&file, &range(index), &content(range(index)));
            cache.close().await;
            let first = cache.get(&file, &range(0)).await;
            assert_eq!(first, Some(content(range(0))), "it is in use");
            let bytes: u64 = listed(folder.path()).iter().map(|(_, bytes)| bytes).sum();
            assert!(bytes <= FEW, "{bytes}");
        }
        let mut kept = Vec::new();
        for index in 0..40 {
            kept.extend(cache.get(&file, &range(index)).await.map(|_| index));
        }
        assert_eq!(
            kept,
            [0, 31, 32, 33, 34, 35, 36, 37, 38, 39],
            "of 100 KiB each"
        );
        let oversized = 0..2 * FEW;
        cache.put(&file, &oversized, &content(oversized.clone()));
        cache.close().await;
        assert_eq!(cache.get(&file, &oversized).await, None);
        assert_eq!(
            listed(folder.path()).len(),
            kept.len(),
            "it drives nothing out"
        );
    }

    #[tokio::test]
    async fn what_is_not_as_it_was_written_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (file, range) = (file("a", "1"), 0..100);
        let cache = open(folder.path()).await;
        let put = async || {
            cache.put(&file, &range, &content(range.clone()));
            cache.close().await;
        };
        put().await;
        let path = folder.path().join(&listed(folder.path())[0].0);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[50] ^= 1;
        for damaged in [&flipped[..], &whole[..99], &whole[..3], &[]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(&file, &range).await, None);
            assert!(!path.exists());
            put().await;
            assert_eq!(cache.get(&file, &range).await, Some(content(range.clone())));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(cache.get(&file, &range).await, None);
    }

    #[tokio::test]
    async fn a_folder_is_one_processs_and_large_enough() {
        let folder = tempfile::tempdir().unwrap();
        let _first = open(folder.path()).await;
        let said = DiskCache::open(folder.path(), LEAST_BYTES)
            .await
            .unwrap_err();
        assert!(said.to_string().contains("another process"), "{said}");
        let said = DiskCache::open(&folder.path().join("x"), 1000).await;
        assert!(said.unwrap_err().to_string().contains("128 MiB"));
        let file = folder.path().join("file");
        File::create(&file).unwrap();
        let said = DiskCache::open(&file, LEAST_BYTES).await;
        let said = said.unwrap_err().to_string();
        assert!(said.contains(&file.display().to_string()), "{said}");
    }
}
