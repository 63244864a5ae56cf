//! Stored bytes in a folder of this machine: more than memory has room for, and still there when a process begins anew.
//!
//! As they are stored, encrypted ones encrypted, under names that say who fetched them, of which file and version; checked when
//! they are read again. Folder and index are `foyer`'s. Nothing here is needed: what can't be read or kept is fetched.

use std::fmt;
use std::fs::{DirBuilder, File, TryLockError};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use foyer::{
    BlockEngineConfig, DeviceBuilder as _, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCachePolicy,
};

use crate::error::Error;
use crate::store::kept::FileVersion;

/// Bytes of many files, at most so many of them, the oldest dropped first.
pub struct DiskCache {
    pieces: HybridCache<String, Bytes>,
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
        let failed = |reason: String| Error::CacheFolder {
            folder: folder.display().to_string(),
            reason,
        };
        let capacity = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        if capacity < LEAST_BYTES {
            return Err(failed(format!("give it {} MiB or more", LEAST_BYTES >> 20)));
        }
        let lock = locked(folder).map_err(failed)?;
        let device = FsDeviceBuilder::new(folder).with_capacity(capacity).build();
        let device = device.map_err(|error| failed(error.to_string()))?;
        let pieces = HybridCacheBuilder::new()
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .memory(1) // what memory keeps, `kept` says
            .with_shards(1)
            .storage()
            .with_engine_config(BlockEngineConfig::new(device).with_block_size(BLOCK_BYTES))
            .build()
            .await;
        Ok(DiskCache {
            pieces: pieces.map_err(|error| failed(error.to_string()))?,
            _lock: lock,
        })
    }

    /// A range of a file, if all of it is here.
    pub(crate) async fn get(&self, file: &FileVersion, range: &Range<u64>) -> Option<Bytes> {
        let mut found = Vec::new();
        for piece in pieces(range) {
            let kept = self.pieces.get(&name(file, &piece)).await;
            let kept =
                kept.inspect_err(|error| tracing::warn!(%error, "the cache on disk can't be read"));
            let kept = kept.ok()??.value().clone();
            found.push(kept);
        }
        match <[Bytes; 1]>::try_from(found) {
            Ok([whole]) => Some(whole),
            Err(found) => {
                let mut joined = BytesMut::new();
                found
                    .iter()
                    .for_each(|piece| joined.extend_from_slice(piece));
                Some(joined.freeze())
            }
        }
        .filter(|bytes| bytes.len() as u64 == range.end - range.start)
    }

    /// Keeps a range of a file, in the background.
    pub(crate) fn put(&self, file: &FileVersion, range: &Range<u64>, bytes: &Bytes) {
        let mut bytes = bytes.clone();
        for piece in pieces(range) {
            let length = usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX);
            if bytes.len() < length {
                return; // shorter than asked for: whoever decodes it says so
            }
            let writer = self.pieces.storage_writer(name(file, &piece));
            // a copy: what is kept must not hold on to the buffer that it came in
            let kept = Bytes::copy_from_slice(&bytes.split_to(length));
            drop(writer.force().insert(kept));
        }
    }

    /// Waits until what is to be kept is written.
    pub async fn close(&self) {
        if let Err(error) = self.pieces.close().await {
            tracing::warn!(%error, "the cache on disk was not written to its end");
        }
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

fn pieces(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let end = range.end;
    let starts = (range.start..end).step_by(PIECE_BYTES);
    starts.map(move |start| start..end.min(start + PIECE_BYTES as u64))
}

/// The same for the same bytes, in every process.
fn name(file: &FileVersion, piece: &Range<u64>) -> String {
    let FileVersion { store, path, etag } = file;
    format!("{store} {etag} {}-{} {path}", piece.start, piece.end)
}

impl fmt::Debug for DiskCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DiskCache").finish_non_exhaustive()
    }
}

/// Well below what a block holds, and a request's worth of a disk's time.
const PIECE_BYTES: usize = 4 << 20;
/// What is written and dropped together.
const BLOCK_BYTES: usize = 16 << 20;
const LEAST_BYTES: usize = 8 * BLOCK_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kept::tests::{content, file};

    async fn open(folder: &Path) -> DiskCache {
        DiskCache::open(folder, LEAST_BYTES as u64).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let ranges = [0..10, 10..20, 1000..1000 + 2 * PIECE_BYTES as u64 + 7];
        let cache = open(folder.path()).await;
        for range in &ranges {
            assert_eq!(cache.get(&file("a", "1"), range).await, None);
            cache.put(&file("a", "1"), range, &content(range.clone()));
        }
        cache.close().await;
        drop(cache);
        let cache = open(folder.path()).await;
        for range in &ranges {
            let kept = cache.get(&file("a", "1"), range).await;
            assert_eq!(kept, Some(content(range.clone())), "{range:?}");
            // neither another version's, nor for those with other credentials
            assert_eq!(cache.get(&file("a", "2"), range).await, None);
            assert_eq!(cache.get(&file("b", "1"), range).await, None);
        }
        assert_eq!(cache.get(&file("a", "1"), &(0..11)).await, None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_is_one_processs_and_large_enough() {
        let folder = tempfile::tempdir().unwrap();
        let _first = open(folder.path()).await;
        let bytes = LEAST_BYTES as u64;
        let said = DiskCache::open(folder.path(), bytes).await.unwrap_err();
        assert!(said.to_string().contains("another process"), "{said}");
        let said = DiskCache::open(&folder.path().join("x"), 1000).await;
        assert!(said.unwrap_err().to_string().contains("128 MiB"));
        let file = folder.path().join("file");
        File::create(&file).unwrap();
        let said = DiskCache::open(&file, bytes).await.unwrap_err().to_string();
        assert!(said.contains(&file.display().to_string()), "{said}");
    }
}
