//! A table's files in their store: list them, read a file's tail or ranges of it, write new ones (`output`).
//!
//! Every read can be held to the version of the file that was seen first (its entity tag), so bytes of two
//! versions never mix. Errors name the file by URL.

mod client;
#[cfg(feature = "disk-cache")]
pub(crate) mod disk;
#[cfg(not(feature = "disk-cache"))]
#[path = "no_disk.rs"]
pub(crate) mod disk;
pub(crate) mod kept;
mod links;
pub(crate) mod object;
pub(crate) mod output;
pub(crate) mod transport;
pub(crate) mod url;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dpp_proto::fault::message_with_causes;
use dpp_proto::hash::message_hash;
use dpp_proto::v1::TableSource;
use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
};
use tokio::sync::Semaphore;

use crate::encryption::lock::key_material_name;
use crate::error::Error;
use crate::store::kept::{FileVersion, Stored, StoredCache};
use crate::store::url::{Place, locate};

/// A table's place in a store.
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    base: Path,
    shown: String,
    name: String,
    place: Place,
    /// Stored bytes that readers of this process share, and this place with these credentials in it.
    kept: Option<(Arc<StoredCache>, Arc<str>)>,
    /// KiB that may be asked for and not have come, over all reads of the table.
    in_flight: Semaphore,
}

/// The end of a file, and which version of it that was.
#[derive(Default)]
pub(crate) struct Tail {
    pub(crate) bytes: Bytes,
    pub(crate) file_size_bytes: u64,
    pub(crate) etag: Option<String>,
}

/// The relative path of a table that is one file.
pub(crate) const ITSELF: &str = ".";

impl Store {
    /// Parses URL and options; contacts nobody.
    pub(crate) fn open(source: &TableSource) -> Result<Store, Error> {
        let location = locate(&source.url, &source.storage)?;
        Ok(Store {
            objects: location.objects,
            base: location.base,
            shown: location.shown,
            name: location.name,
            place: location.place,
            kept: None,
            in_flight: Semaphore::new(MAX_KIB_IN_FLIGHT as usize),
        })
    }

    /// The store, keeping bytes where others that have the same place and credentials meet them. What is local is kept by the system.
    pub(crate) fn sharing(self, source: &TableSource, cache: Option<Arc<StoredCache>>) -> Store {
        let cache = cache.filter(|_| self.place == Place::Remote);
        let kept = cache.map(|cache| {
            let credentials = TableSource {
                url: self.name.clone(),
                storage: source.storage.clone(),
                ..TableSource::default()
            };
            (cache, message_hash(&credentials).into())
        });
        Store { kept, ..self }
    }

    /// The table's URL, for messages.
    pub(crate) fn url(&self) -> &str {
        &self.shown
    }

    /// The one name of the table's place.
    pub(crate) fn place_name(&self) -> &str {
        &self.name
    }

    /// Whether requests are local.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// A file's URL, for messages.
    pub(crate) fn name(&self, relative: &str) -> String {
        match relative {
            ITSELF => self.shown.clone(),
            _ => format!("{}/{relative}", self.shown),
        }
    }

    /// All objects below the table with their path relative to it, unsorted.
    pub(crate) fn list(&self) -> BoxStream<'_, Result<(String, ObjectMeta), Error>> {
        self.objects
            .list(Some(&self.base))
            .map(|entry| match entry {
                Ok(meta) => Ok((self.relative(&meta.location), meta)),
                Err(error) => Err(self.missing(error)),
            })
            .boxed()
    }

    /// What lies at the table's URL itself, if that is a file; an error if nothing does.
    pub(crate) async fn itself(&self) -> Result<Option<ObjectMeta>, Error> {
        let missing = || Error::NoTable {
            url: self.shown.clone(),
        };
        if self.place == Place::Local {
            let path = std::path::Path::new("/").join(self.base.as_ref());
            let found = tokio::fs::metadata(path).await.map_err(|_| missing())?;
            if found.is_dir() {
                return Ok(None);
            }
        } else if self.base.as_ref().is_empty() {
            return Ok(None);
        }
        match self.objects.head(&self.base).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) => Err(self.missing(error)),
        }
    }

    /// Gives `look` the end of a file where computing is allowed: the last `tail_bytes` of it, or all of it when it is shorter.
    /// A local file is open anyway, so there its last bytes are read first and then as many as `length` makes of them, if the
    /// file has so many, and `look` has them from the thread that read them.
    ///
    /// `size_bytes` is what a listing said: knowing it, a plain range is asked for, which every store understands; a
    /// suffix is not known to all. A file that has another size by now is asked again.
    pub(crate) async fn read_tail<T: Send + 'static>(
        &self,
        relative: &str,
        size_bytes: u64,
        tail_bytes: u64,
        length: fn(&[u8; END_BYTES]) -> Option<u64>,
        look: impl FnOnce(Tail) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let location = self.location(relative)?;
        if self.place == Place::Local {
            return self.local_tail(relative, &location, length, look).await;
        }
        let tail = self.tail_of(&location, size_bytes, tail_bytes).await;
        let answered = match tail {
            Ok(tail) if tail.file_size_bytes == size_bytes => Ok(tail),
            _ => match self.objects.head(&location).await {
                Ok(meta) if meta.size != size_bytes => {
                    self.tail_of(&location, meta.size, tail_bytes).await
                }
                Ok(_) => tail,
                Err(error) => Err(error),
            },
        };
        let tail = answered.map_err(|error| Error::storage(&self.name(relative), error))?;
        reading(self.name(relative), || Ok(look(tail))).await?
    }

    async fn local_tail<T: Send + 'static>(
        &self,
        relative: &str,
        location: &Path,
        length: fn(&[u8; END_BYTES]) -> Option<u64>,
        look: impl FnOnce(Tail) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let name = self.name(relative);
        let (file, meta) = self
            .open_local(&name, location, GetOptions::default())
            .await?;
        let read = move || {
            let tail = Tail {
                bytes: end_of(&file, meta.size, length)?,
                file_size_bytes: meta.size,
                etag: meta.e_tag,
            };
            Ok(look(tail))
        };
        reading(name, read).await?
    }

    async fn tail_of(
        &self,
        location: &Path,
        size_bytes: u64,
        tail_bytes: u64,
    ) -> Result<Tail, object_store::Error> {
        if size_bytes == 0 {
            return Ok(Tail::default());
        }
        let range = size_bytes.saturating_sub(tail_bytes)..size_bytes;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let answer = self.objects.get_opts(location, options).await?;
        let (file_size_bytes, etag) = (answer.meta.size, answer.meta.e_tag.clone());
        Ok(Tail {
            bytes: answer.bytes().await?,
            file_size_bytes,
            etag,
        })
    }

    /// Ranges of one version of a file, in the order asked for; [`Error::Changed`] when it is another version by now.
    ///
    /// Ranges must lie within the file. They are fetched as they are: coalesce first.
    pub(crate) async fn read(
        &self,
        relative: &str,
        etag: Option<&str>,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Stored>, Error> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let name = self.name(relative);
        let location = self.location(relative)?;
        let options = GetOptions {
            if_match: etag.map(str::to_owned),
            ..GetOptions::default()
        };
        match self.place {
            Place::Local => {
                let read = self.read_local(name, &location, options, ranges).await?;
                Ok(read.into_iter().map(Stored::fetched).collect())
            }
            Place::Remote => self.read_remote(&name, &location, options, ranges).await,
        }
    }

    /// One open file and plain reads, all of the same inode.
    async fn read_local(
        &self,
        name: String,
        location: &Path,
        options: GetOptions,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, Error> {
        let (file, _) = self.open_local(&name, location, options).await?;
        let ranges = ranges.to_vec();
        reading(name, move || read_ranges(&file, &ranges)).await
    }

    async fn open_local(
        &self,
        name: &str,
        location: &Path,
        options: GetOptions,
    ) -> Result<(File, ObjectMeta), Error> {
        let answer = self.objects.get_opts(location, options).await;
        let answer = answer.map_err(|error| Error::storage(name, error))?;
        match answer.payload {
            GetResultPayload::File(file, _) => Ok((file, answer.meta)),
            GetResultPayload::Stream(_) => Err(Error::Internal {
                path: name.to_owned(),
                reason: "the local store answered without a file".to_owned(),
            }),
        }
    }

    async fn read_remote(
        &self,
        name: &str,
        location: &Path,
        options: GetOptions,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Stored>, Error> {
        let version = options.if_match.clone().zip(self.kept.as_ref());
        let version = version.map(|(etag, (cache, store))| {
            let (store, path) = (store.clone(), location.to_string());
            (cache, FileVersion { store, path, etag })
        });
        let (version, options) = (&version, &options);
        let requests = ranges.iter().map(|range| {
            let fetch = |range| self.get_range(location, options, range);
            async move {
                match version {
                    Some((cache, version)) => cache.read(version, range.clone(), fetch).await,
                    None => fetch(range.clone()).await.map(Stored::fetched),
                }
            }
            .boxed()
        });
        stream::iter(requests.collect::<Vec<_>>())
            .buffered(MAX_REQUESTS_IN_FLIGHT)
            .map_err(|error| Error::storage(name, error))
            .try_collect()
            .await
    }

    async fn get_range(
        &self,
        location: &Path,
        options: &GetOptions,
        range: Range<u64>,
    ) -> Result<Bytes, object_store::Error> {
        let length = range.end - range.start;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..options.clone()
        };
        let kib = u32::try_from(length.div_ceil(1 << 10));
        let kib = kib.map_or(MAX_KIB_IN_FLIGHT, |kib| kib.min(MAX_KIB_IN_FLIGHT));
        // never closed; an error would only mean that nothing is bounded
        let _room = self.in_flight.acquire_many(kib).await;
        let answer = self.objects.get_opts(location, options).await?;
        collect(answer, length).await
    }

    /// The key material that other writers store beside an encrypted file. Fails when it is not there or absurdly long.
    pub(crate) async fn read_key_material(&self, relative: &str) -> Result<Bytes, Error> {
        let location = self.location(relative)?;
        let (folder, file) = match location.as_ref().rsplit_once('/') {
            Some((folder, file)) => (folder, file),
            None => ("", location.as_ref()),
        };
        let beside = Path::from(format!("{folder}/{}", key_material_name(file)));
        let name = format!("{} (key material {beside})", self.name(relative));
        let answer = self.objects.get(&beside).await;
        let answer = answer.map_err(|error| Error::storage(&name, error))?;
        if answer.meta.size > MAX_KEY_MATERIAL_BYTES {
            return Err(Error::corrupt(&name, "it is too long for key material"));
        }
        let bytes = answer.bytes().await;
        bytes.map_err(|error| Error::storage(&name, error))
    }

    fn location(&self, relative: &str) -> Result<Path, Error> {
        if relative == ITSELF {
            return Ok(self.base.clone());
        }
        Path::parse(format!("{}/{relative}", self.base)).map_err(|error| Error::Url {
            url: self.name(relative),
            reason: error.to_string(),
        })
    }

    fn relative(&self, location: &Path) -> String {
        let location = location.as_ref();
        let below = location
            .strip_prefix(self.base.as_ref())
            .unwrap_or(location);
        below.trim_start_matches('/').to_owned()
    }

    fn missing(&self, error: object_store::Error) -> Error {
        listing_error(&self.shown, error)
    }
}

/// An error about the table as a whole. The store sorts listing errors less finely than others: what the server
/// answered is only in their text.
fn listing_error(url: &str, error: object_store::Error) -> Error {
    let text = message_with_causes(&error);
    let answered = |status: &str| text.contains(&format!("status code: {status}"));
    match error {
        object_store::Error::Generic { .. } if answered("401") || answered("403") => {
            Error::Denied {
                path: url.to_owned(),
                source: Box::new(error),
            }
        }
        object_store::Error::Generic { .. } if answered("404") => Error::NoTable {
            url: url.to_owned(),
        },
        object_store::Error::NotFound { .. } => Error::NoTable {
            url: url.to_owned(),
        },
        error => Error::storage(url, error),
    }
}

/// The body of an answer, of `length` bytes.
async fn collect(answer: GetResult, length: u64) -> Result<Bytes, object_store::Error> {
    let mut buffer = dpp_pool::empty(usize::try_from(length).unwrap_or(0));
    let mut chunks = answer.into_stream();
    while let Some(chunk) = chunks.try_next().await? {
        buffer.extend_from_slice(&chunk);
    }
    Ok(buffer.into_bytes())
}

/// Runs `read` where waiting for a disk is allowed.
async fn reading<T: Send + 'static>(
    name: String,
    read: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(source)) => Err(Error::Io { path: name, source }),
        Err(error) => Err(Error::Internal {
            path: name,
            reason: error.to_string(),
        }),
    }
}

/// As many of a file's last bytes as `length` makes of the very last ones; those alone if the file is shorter.
fn end_of(
    file: &File,
    size: u64,
    length: fn(&[u8; END_BYTES]) -> Option<u64>,
) -> std::io::Result<Bytes> {
    let end = read_range(file, &(size.saturating_sub(END_BYTES as u64)..size))?;
    let length = end.last_chunk().and_then(length);
    match length.filter(|length| *length <= size) {
        Some(length) => read_range(file, &(size - length..size)),
        None => Ok(end),
    }
}

fn read_ranges(file: &File, ranges: &[Range<u64>]) -> std::io::Result<Vec<Bytes>> {
    ranges.iter().map(|range| read_range(file, range)).collect()
}

fn read_range(mut file: &File, range: &Range<u64>) -> std::io::Result<Bytes> {
    let length = range.end - range.start;
    let mut buffer = dpp_pool::empty(usize::try_from(length).map_err(std::io::Error::other)?);
    file.seek(SeekFrom::Start(range.start))?;
    match file.take(length).read_to_end(&mut buffer)? as u64 == length {
        true => Ok(buffer.into_bytes()),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Enough of a file's end to tell how long its footer is.
pub(crate) const END_BYTES: usize = 8;
/// Some hundred bytes per column, of which a file has at most 32,767.
const MAX_KEY_MATERIAL_BYTES: u64 = 64 << 20;
/// Requests of one piece at a time, each at most `CoalesceSettings::max_request_bytes`. At 20 ms a request and 1 GB/s,
/// this many of some 600 KB keep the line full.
const MAX_REQUESTS_IN_FLIGHT: usize = 32;
/// 256 MiB: at 30 ms a request, a connection of 64 Gbit/s.
const MAX_KIB_IN_FLIGHT: u32 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_answers_to_a_listing_is_understood() {
        let answer = |status: &str| object_store::Error::Generic {
            store: "S3",
            source: format!("Server returned non-2xx status code: {status}").into(),
        };
        let listed = |status| listing_error("s3://b/t", answer(status));
        assert!(matches!(
            listed("404 Not Found: NoSuchBucket"),
            Error::NoTable { .. }
        ));
        assert!(matches!(listed("403 Forbidden"), Error::Denied { .. }));
        assert!(matches!(listed("500 Internal"), Error::Unavailable { .. }));
    }
}
