//! Encrypted files: what of a footer is locked, and with which keys it opens.
//!
//! ```text
//! encrypted footer   file crypto metadata │ footer under the footer key: schema, and columns' metadata, each
//! plaintext footer   footer, signed with the footer key: schema,         │ under its own key or the footer's
//! ```
//!
//! Keys are got before decoding, since getting them waits: the footer's when the file is opened (plaintext footers:
//! when a first encrypted column is read), a column's when it is read. Then the footer is decoded with just those.

mod asking;
mod columns;
mod explain;
mod stored;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parquet::file::metadata::ParquetMetaData;
use tokio::sync::OnceCell;

use asking::Asking;
use columns::{LockedColumn, locked};
use stored::FileKeys;
pub(crate) use stored::StoredFooter;

use crate::error::Error;
use crate::files::Files;
use crate::footer::{self, Footer};

/// What opens an encrypted file, as far as it was opened.
pub(crate) struct Seal {
    stored: StoredFooter,
    /// `_KEY_MATERIAL_FOR_<file>.json`, once it was asked for.
    external: OnceCell<HashMap<String, String>>,
    unlocked: tokio::sync::Mutex<Option<Unlocked>>,
}

/// A footer decoded with some columns' keys.
struct Unlocked {
    keys: FileKeys,
    expires: Instant,
    footer: Arc<Footer>,
}

/// Gets the key of an encrypted footer. Decode with [`OpenedFooter::decode`].
pub(crate) async fn open_footer(
    files: &Files,
    path: &str,
    stored: StoredFooter,
) -> Result<OpenedFooter, Error> {
    let Some(keys) = &files.keys else {
        return Err(Error::Encrypted {
            path: files.store.name(path),
            part: "footer".to_owned(),
        });
    };
    let seal = Seal::new(stored);
    let keys = Asking::new(files, keys, path, &seal).footer_key().await?;
    Ok(OpenedFooter { keys, seal })
}

/// An encrypted footer and its key.
pub(crate) struct OpenedFooter {
    keys: FileKeys,
    seal: Seal,
}

impl OpenedFooter {
    /// Schema and rows, and the metadata of columns without keys of their own.
    pub(crate) fn decode(self, name: &str) -> Result<(ParquetMetaData, Seal), Error> {
        let metadata = self.seal.stored.decode_with(name, &self.keys)?;
        Ok((metadata, self.seal))
    }
}

/// The seal of a plaintext footer, if any of the file's columns is encrypted.
pub(crate) fn seal_of(metadata: &ParquetMetaData, stored: StoredFooter) -> Option<Seal> {
    let group = metadata.row_groups().first()?;
    let mut columns = group.columns().iter();
    columns
        .any(|column| column.crypto_metadata().is_some())
        .then(|| Seal::new(stored))
}

/// The footer with the metadata of some columns unlocked. Asks for the keys it lacks, and no others.
pub(crate) async fn open_columns(
    files: &Files,
    path: &str,
    footer: Arc<Footer>,
    leaves: &[usize],
) -> Result<Arc<Footer>, Error> {
    let Some(seal) = &footer.seal else {
        return Ok(footer);
    };
    let name = files.store.name(path);
    let Some(locked) = locked(&*footer.metadata(&name)?, leaves) else {
        return Ok(footer);
    };
    if seal.stored.encrypted && locked.columns.is_empty() {
        return Ok(footer);
    }
    let Some(keys) = &files.keys else {
        return Err(Error::Encrypted {
            path: name,
            part: format!("column {}", locked.first),
        });
    };
    // readers of one file wait for each other here, so that none asks for what another is getting
    let mut unlocked = seal.unlocked.lock().await;
    let known = unlocked
        .as_ref()
        .filter(|known| known.expires > Instant::now());
    if let Some(known) = known.filter(|known| known.opens(&locked.columns)) {
        return Ok(Arc::clone(&known.footer));
    }
    let asking = Asking::new(files, keys, path, seal);
    let expires = keys.expiry();
    let (mut file_keys, expires) = match known {
        Some(known) => (known.keys.clone(), known.expires.min(expires)),
        None => (asking.footer_key().await?, expires),
    };
    asking.add(&mut file_keys, locked.columns).await?;
    let opened = seal.decode(&name, file_keys, footer.etag.clone(), expires);
    let opened = opened.await?;
    let footer = Arc::clone(&opened.footer);
    *unlocked = Some(opened);
    Ok(footer)
}

impl Seal {
    fn new(stored: StoredFooter) -> Seal {
        Seal {
            stored,
            external: OnceCell::new(),
            unlocked: tokio::sync::Mutex::default(),
        }
    }

    /// The footer, decoded with these keys on a thread that may compute.
    async fn decode(
        &self,
        name: &str,
        keys: FileKeys,
        etag: Option<String>,
        expires: Instant,
    ) -> Result<Unlocked, Error> {
        let (stored, path) = (self.stored.clone(), name.to_owned());
        let decode = move || {
            let metadata = stored.decode_with(&path, &keys)?;
            let footer = footer::from_metadata(&path, metadata, &stored, etag, None)?;
            Ok((keys, Arc::new(footer)))
        };
        let (keys, footer) = footer::blocking(name, decode).await?;
        Ok(Unlocked {
            keys,
            expires,
            footer,
        })
    }
}

impl Unlocked {
    fn opens(&self, locked: &[LockedColumn]) -> bool {
        let has = |(column, _): &LockedColumn| self.keys.columns.contains_key(column);
        locked.iter().all(has)
    }
}
