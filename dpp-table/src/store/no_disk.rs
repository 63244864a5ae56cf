//! In the place of the cache on disk, where a program is built without the feature `disk-cache`: there is none.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use crate::error::Error;
use crate::store::kept::FileVersion;

/// A cache that no program has which is built so.
#[derive(Debug)]
pub enum DiskCache {}

impl DiskCache {
    /// Opens none.
    ///
    /// # Errors
    /// [`Error::CacheFolder`], which says what has one.
    pub async fn open(folder: &Path, _: u64) -> Result<DiskCache, Error> {
        Err(Error::CacheFolder {
            folder: folder.display().to_string(),
            reason: "this program is built without; `dpp-worker` of the container image, or of \
                     `cargo build --release -p dpp-worker`, keeps them"
                .to_owned(),
        })
    }

    pub(crate) async fn get(&self, _: &FileVersion, _: &Range<u64>) -> Option<Bytes> {
        match *self {}
    }

    pub(crate) fn put(&self, _: &FileVersion, _: &Range<u64>, _: &Bytes) {
        match *self {}
    }

    /// Waits for nothing.
    pub async fn close(&self) {
        match *self {}
    }
}
