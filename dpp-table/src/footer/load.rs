//! A footer from its file: fetched with the file's end, and decoded by the thread that read it where that is all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use super::make::{StoredFooter, from_metadata, opened, outlined};
use super::{Footer, blocking, options};
use crate::encryption::unlock;
use crate::error::Error;
use crate::files::Files;
use crate::read::decode::guarded;
use crate::read::fetch::ReadCounters;
use crate::store::{END_BYTES, Store, Tail};

/// Fetches a file's footer: one request, two if it is longer than expected. It is decoded unless the cache has it, and
/// kept there. An encrypted one is decoded with its own key; columns that have others stay locked.
///
/// `size_bytes` is the file's size as listed; another size is found out.
pub(crate) async fn load(
    files: &Files,
    path: &str,
    size_bytes: u64,
) -> Result<(Arc<Footer>, ReadCounters), Error> {
    let store = &files.store;
    let name = store.name(path);
    let expected = files.footer_bytes.load(Ordering::Relaxed);
    let known = files.footers.get(path);
    let looking = {
        let (name, known) = (name.clone(), known.clone());
        move |tail| guarded(&name, || look(&name, tail, known))?
    };
    let (looked, tail_bytes, length) = tail(store, path, size_bytes, expected, looking).await?;
    let mut io = ReadCounters::request(tail_bytes);
    let like_this = length.min(MAX_EXPECTED_BYTES);
    files.footer_bytes.fetch_max(like_this, Ordering::Relaxed);
    let footer = match looked {
        Looked::Known(footer) => return Ok((footer, io)),
        Looked::Decoded(footer) => Arc::new(*footer),
        Looked::Longer { tail, encrypted } => {
            let stored = StoredFooter {
                bytes: stored_footer(store, path, &tail, length, &mut io).await?,
                file_size_bytes: tail.file_size_bytes,
                encrypted,
            };
            let known = known.filter(|known| known.is_stored_as(&stored, tail.etag.as_deref()));
            match known {
                Some(footer) => return Ok((footer, io)),
                None => Arc::new(open(files, path, stored, tail.etag).await?),
            }
        }
    };
    files.footers.insert(path, Arc::clone(&footer));
    Ok((footer, io))
}

/// What the end of a file came to.
enum Looked {
    /// The footer that is known already.
    Known(Arc<Footer>),
    Decoded(Box<Footer>),
    /// There is more of the footer than this, or it has to be decrypted.
    Longer {
        tail: Tail,
        encrypted: bool,
    },
}

/// Decodes the footer in a file's end, on the thread that read it. Returns what came of it, the bytes that were read, and the
/// footer's.
fn look(name: &str, tail: Tail, known: Option<Arc<Footer>>) -> Result<(Looked, u64, u64), Error> {
    let (length, encrypted) = footer_bytes(name, &tail)?;
    let have = tail.bytes.len() as u64;
    if length > have {
        return Ok((Looked::Longer { tail, encrypted }, have, length));
    }
    let mut bytes = tail.bytes.slice((have - length) as usize..);
    if length < have / 2 {
        // what is kept of it must not keep the rest
        bytes = Bytes::copy_from_slice(&bytes);
    }
    let stored = StoredFooter {
        bytes,
        file_size_bytes: tail.file_size_bytes,
        encrypted,
    };
    let looked = match known {
        Some(known) if known.is_stored_as(&stored, tail.etag.as_deref()) => Looked::Known(known),
        _ if encrypted => Looked::Longer { tail, encrypted },
        _ => Looked::Decoded(Box::new(decoded(name, stored, tail.etag)?)),
    };
    Ok((looked, have, length))
}

/// Decodes a stored footer, with its key if it is encrypted.
async fn open(
    files: &Files,
    path: &str,
    stored: StoredFooter,
    etag: Option<String>,
) -> Result<Footer, Error> {
    let name = files.store.name(path);
    let named = name.clone();
    if !stored.encrypted {
        return blocking(&name, move || decoded(&named, stored, etag)).await;
    }
    let footer = unlock::open_footer(files, path, stored.metadata()).await?;
    let outline = move || {
        let unusual = || {
            Error::corrupt(
                &named,
                "its encrypted footer is not laid out as the format has it",
            )
        };
        opened(&stored, footer, etag).ok_or_else(unusual)
    };
    blocking(&name, outline).await
}

/// A footer that is not encrypted itself; its columns may be.
fn decoded(name: &str, stored: StoredFooter, etag: Option<String>) -> Result<Footer, Error> {
    if let Some(footer) = outlined(&stored, etag.clone()) {
        return Ok(footer);
    }
    let metadata = decode(name, &stored.metadata())?;
    from_metadata(name, metadata, &stored, etag)
}

/// Looks into the file's end with its footer, or what of it fits into as many bytes as footers are `expected` to have.
pub(super) async fn tail<T: Send + 'static>(
    store: &Store,
    path: &str,
    size_bytes: u64,
    expected_bytes: u64,
    look: impl FnOnce(Tail) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let length = |end: &[u8; TAIL_BYTES]| {
        let end = FooterTail::try_new(end).ok()?;
        Some(end.metadata_length() as u64 + TAIL_BYTES as u64)
    };
    let tail_bytes = expected_bytes.max(REMOTE_TAIL_BYTES);
    let tail = store.read_tail(path, size_bytes, tail_bytes, length, look);
    tail.await
}

/// Length of the stored footer, from the file's last eight bytes, and whether it is encrypted.
pub(super) fn footer_bytes(name: &str, tail: &Tail) -> Result<(u64, bool), Error> {
    let Some(end) = tail.bytes.last_chunk::<TAIL_BYTES>() else {
        return Err(Error::corrupt(name, "it is too short to have a footer"));
    };
    let end_of_file = FooterTail::try_new(end)
        .map_err(|_| Error::corrupt(name, "it does not end like a Parquet file"))?;
    let length = end_of_file.metadata_length() as u64 + TAIL_BYTES as u64;
    if length + MAGIC_BYTES > tail.file_size_bytes {
        return Err(Error::corrupt(
            name,
            format!(
                "its footer claims {length} of the file's {} bytes; it may be truncated",
                tail.file_size_bytes
            ),
        ));
    }
    Ok((length, end_of_file.is_encrypted_footer()))
}

/// The footer as stored: what the tail holds, preceded by what it lacks.
pub(super) async fn stored_footer(
    store: &Store,
    path: &str,
    tail: &Tail,
    length: u64,
    io: &mut ReadCounters,
) -> Result<Bytes, Error> {
    let have = tail.bytes.len() as u64;
    if length <= have {
        return Ok(tail.bytes.slice((have - length) as usize..));
    }
    let missing = tail.file_size_bytes - length..tail.file_size_bytes - have;
    let etag = tail.etag.as_deref();
    let parts = store
        .read(path, etag, std::slice::from_ref(&missing))
        .await?;
    let mut whole = BytesMut::with_capacity(length as usize);
    for part in &parts {
        *io += part.cost();
        whole.extend_from_slice(&part.bytes);
    }
    whole.extend_from_slice(&tail.bytes);
    Ok(whole.freeze())
}

/// Decodes stored metadata, all of it.
pub(super) fn decode(name: &str, metadata: &[u8]) -> Result<ParquetMetaData, Error> {
    ParquetMetaDataReader::decode_metadata_with_options(metadata, Some(&options()))
        .map_err(|error| undecodable(name, error))
}

fn undecodable(name: &str, error: ParquetError) -> Error {
    // how the crate meets the column metadata that encryption leaves out of a plaintext footer
    if error
        .to_string()
        .contains("Required field type_ is missing")
    {
        return Error::Encrypted {
            path: name.to_owned(),
            part: "part of it".to_owned(),
        };
    }
    Error::corrupt(name, error)
}

/// Enough for the footer of some six hundred columns; a longer one costs a second request.
const REMOTE_TAIL_BYTES: u64 = 128 << 10;
pub(crate) const TAIL_BYTES: usize = END_BYTES;
/// A footer that is longer takes a second request, whatever the last one took.
const MAX_EXPECTED_BYTES: u64 = 8 << 20;
const MAGIC_BYTES: u64 = 4;
