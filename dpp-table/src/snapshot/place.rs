//! Where a snapshot is kept: one object at a URL, written once and never replaced.
//!
//! ```text
//! hash@URL   exactly that snapshot       URL   the one that is there, or that the first to come writes
//! FOLDER/    kept as FOLDER/<hash>.json; its newest one is what to extend
//! ```
//!
//! Writing is a conditional put, so that of many writers one wins and the others learn it. A store may take the condition
//! and ignore it; that is found out with an object of our own before anything else is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dpp_proto::v1::StorageOption;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use crate::error::Error;
use crate::snapshot::{Snapshot, stored};
use crate::store::url::{Place, is_local, locate};

/// A URL for one snapshot, or a folder of them.
pub struct SnapshotPlace {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    shown: String,
    /// The one name of this place.
    pub(crate) name: String,
    place: Place,
    is_folder: bool,
}

/// A snapshot as users refer to it.
pub(crate) struct SnapshotReference {
    /// The hash, or at least its first [`LEAST_DIGITS`] digits.
    pub(crate) hash: Option<String>,
    pub(crate) place: SnapshotPlace,
}

impl Snapshot {
    /// Writes the snapshot to `url` and returns what refers to it: `hash@URL`. A URL that ends with `/` is a folder, in
    /// which it is called by its hash. Saving it again is fine; a URL that holds another snapshot is an error.
    ///
    /// `storage` are options as for a table.
    pub async fn save(&self, url: &str, storage: &[StorageOption]) -> Result<String, Error> {
        let place = SnapshotPlace::open(url, storage)?.of(self.hash());
        place.create(self).await?;
        Ok(format!("{}@{}", self.hash(), place.shown))
    }

    /// Reads what [`save`](Self::save) wrote, from `hash@URL` or `URL`. Fails when nothing is there, when it is not a
    /// snapshot or does not have the hash it states, and when that is not the hash asked for.
    pub async fn load(reference: &str, storage: &[StorageOption]) -> Result<Snapshot, Error> {
        let reference = SnapshotReference::parse(reference, storage)?;
        reference.place.load(reference.hash.as_deref()).await
    }
}

impl SnapshotReference {
    pub(crate) fn parse(text: &str, storage: &[StorageOption]) -> Result<Self, Error> {
        let is_hash = |text: &str| {
            text.len() >= LEAST_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let (hash, url) = match text.split_once('@') {
            Some((hash, url)) if is_hash(hash) => (Some(hash.to_ascii_lowercase()), url),
            _ => (None, text),
        };
        let mut place = SnapshotPlace::open(url, storage)?;
        if let Some(hash) = &hash {
            place = place.of(hash);
        }
        match place.is_folder {
            false => Ok(SnapshotReference { hash, place }),
            true => Err(Error::SnapshotFormat {
                url: place.shown,
                reason: "it is a folder: say which snapshot in it, as hash@URL".to_owned(),
            }),
        }
    }
}

impl SnapshotPlace {
    /// Parses the URL; contacts nobody. Options for object stores are not held against a local path.
    pub fn open(url: &str, storage: &[StorageOption]) -> Result<SnapshotPlace, Error> {
        let storage = if is_local(url) { &[] } else { storage };
        let location = locate(url, storage)?;
        Ok(SnapshotPlace {
            objects: location.objects,
            path: location.base,
            shown: location.shown,
            name: location.name,
            place: location.place,
            is_folder: url.ends_with('/'),
        })
    }

    /// The newest snapshot at this place, to be extended; `None` when there is none yet.
    pub async fn newest(&self) -> Result<Option<Snapshot>, Error> {
        let newest = match self.is_folder {
            false => self.load(None).await,
            true => match self.newest_in_folder().await? {
                None => return Ok(None),
                Some(place) => place.load(None).await,
            },
        };
        match newest {
            Err(Error::NoSnapshot { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    async fn newest_in_folder(&self) -> Result<Option<SnapshotPlace>, Error> {
        let failed = |error| Error::storage(&self.shown, error);
        let mut listing = self.objects.list(Some(&self.path));
        let mut newest = None;
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            let written = Some(meta.last_modified);
            if meta.location.as_ref().ends_with(SUFFIX)
                && newest.as_ref().is_none_or(|(known, _)| written > *known)
            {
                newest = Some((written, meta.location));
            }
        }
        Ok(newest.map(|(_, path)| SnapshotPlace {
            shown: format!("{}/{}", self.shown, path.filename().unwrap_or_default()),
            ..self.at(path)
        }))
    }

    /// Where a snapshot of this hash lies: in a folder, under the hash.
    fn of(self, hash: &str) -> SnapshotPlace {
        match self.is_folder {
            false => self,
            true => SnapshotPlace {
                shown: format!("{}/{hash}{SUFFIX}", self.shown),
                ..self.at(self.path.clone().join(format!("{hash}{SUFFIX}")))
            },
        }
    }

    fn at(&self, path: Path) -> SnapshotPlace {
        SnapshotPlace {
            objects: Arc::clone(&self.objects),
            path,
            shown: self.shown.clone(),
            name: self.name.clone(),
            place: self.place,
            is_folder: false,
        }
    }

    /// The snapshot here; of the hash that is `wanted`, if one is.
    pub(crate) async fn load(&self, wanted: Option<&str>) -> Result<Snapshot, Error> {
        let failed = |error| match error {
            object_store::Error::NotFound { .. } => Error::NoSnapshot {
                url: self.shown.clone(),
            },
            error => Error::storage(&self.shown, error),
        };
        let unusable = |reason| Error::SnapshotFormat {
            url: self.shown.clone(),
            reason,
        };
        let answer = self.objects.get(&self.path).await.map_err(failed)?;
        if answer.meta.size > MAX_BYTES {
            return Err(unusable("it is too long for a snapshot".to_owned()));
        }
        let text = answer.bytes().await.map_err(failed)?;
        let snapshot = stored::from_json(&text).map_err(unusable)?;
        match wanted {
            Some(wanted) if !snapshot.hash().starts_with(wanted) => Err(Error::OtherSnapshot {
                url: self.shown.clone(),
                found: snapshot.hash().to_owned(),
                wanted: wanted.to_owned(),
            }),
            _ => Ok(snapshot),
        }
    }

    /// Writes the snapshot here unless one is here; [`Error::SnapshotTaken`] if that is another.
    pub(crate) async fn create(&self, snapshot: &Snapshot) -> Result<(), Error> {
        if self.place == Place::Remote {
            self.probe().await?;
        }
        match self
            .put(&self.path, stored::to_json(snapshot), PutMode::Create)
            .await
        {
            Ok(()) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let found = self.load(None).await?;
                match found == *snapshot {
                    true => Ok(()),
                    false => Err(Error::SnapshotTaken {
                        url: self.shown.clone(),
                        found: found.hash().to_owned(),
                        saved: snapshot.hash().to_owned(),
                    }),
                }
            }
            Err(error) => Err(Error::storage(&self.shown, error)),
        }
    }

    /// Whether the store refuses to create what is there. Asked with an object that only this call knows.
    async fn probe(&self) -> Result<(), Error> {
        let name = format!("{}.probe-{}", self.path, unlike_others());
        let path = Path::parse(name).map_err(|error| Error::Url {
            url: self.shown.clone(),
            reason: error.to_string(),
        })?;
        let failed = |error| Error::storage(&self.shown, error);
        let put = |mode| self.put(&path, PROBE.to_vec(), mode);
        put(PutMode::Overwrite).await.map_err(failed)?;
        let again = put(PutMode::Create).await;
        if let Err(error) = self.objects.delete(&path).await {
            tracing::warn!(%error, object = %path, "an empty probe object can't be removed");
        }
        match again {
            Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Ok(()) => Err(Error::IgnoresConditions {
                url: self.shown.clone(),
            }),
            Err(error) => Err(failed(error)),
        }
    }

    async fn put(
        &self,
        path: &Path,
        content: Vec<u8>,
        mode: PutMode,
    ) -> Result<(), object_store::Error> {
        let payload = PutPayload::from(content);
        self.objects
            .put_opts(path, payload, mode.into())
            .await
            .map(|_| ())
    }
}

/// A name that no other call on any machine is likely to choose.
fn unlike_others() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |now| now.as_nanos());
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!("{nanoseconds:x}-{:x}-{call:x}", std::process::id())
}

/// Of a hash in a reference: fewer would not name one snapshot.
const LEAST_DIGITS: usize = 12;
const SUFFIX: &str = ".json";
const PROBE: &[u8] = b"dpp asks whether this store honours If-None-Match";
/// A million files take about 200 MB.
const MAX_BYTES: u64 = 4 << 30;
