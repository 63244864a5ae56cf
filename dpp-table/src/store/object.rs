//! Objects beside tables: fitted artefacts, read and written as a whole, wherever tables may lie.

use bytes::Bytes;
use dpp_proto::v1::{StorageOption, TableSource};
use futures::TryStreamExt as _;

use object_store::ObjectStoreExt as _;

use crate::error::Error;
use crate::store::url::is_local;
use crate::store::{ITSELF, Store};

/// Reads the object at `url`. `storage` are options as for a table; those of object stores are not held against a local path.
///
/// Fails when nothing is there, and when it is longer than `most_bytes`.
pub async fn read_object(
    url: &str,
    storage: &[StorageOption],
    most_bytes: u64,
) -> Result<Bytes, Error> {
    let store = open(url, storage)?;
    let failed = |error| match error {
        object_store::Error::NotFound { .. } => Error::NoObject {
            url: store.url().to_owned(),
        },
        error => Error::storage(store.url(), error),
    };
    let answer = store.objects.get(&store.base).await.map_err(failed)?;
    if answer.meta.size > most_bytes {
        let reason = format!("it has {} bytes, more than {most_bytes}", answer.meta.size);
        return Err(Error::corrupt(store.url(), reason));
    }
    let mut content = Vec::with_capacity(usize::try_from(answer.meta.size).unwrap_or(0));
    let mut chunks = answer.into_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
        content.extend_from_slice(&chunk);
    }
    Ok(content.into())
}

/// The one name of the object's place: `/path` without links, or `s3://bucket/path`. Contacts nobody.
pub fn object_place(url: &str, storage: &[StorageOption]) -> Result<String, Error> {
    Ok(open(url, storage)?.place_name().to_owned())
}

/// Writes the object at `url`, in place of what is there; readers see all of it or nothing. Options as for [`read_object`].
pub async fn write_object(
    url: &str,
    storage: &[StorageOption],
    content: Bytes,
) -> Result<(), Error> {
    open(url, storage)?.put(ITSELF, content).await
}

fn open(url: &str, storage: &[StorageOption]) -> Result<Store, Error> {
    Store::open(&TableSource {
        url: url.to_owned(),
        storage: if is_local(url) {
            Vec::new()
        } else {
            storage.to_vec()
        },
        ..TableSource::default()
    })
}
