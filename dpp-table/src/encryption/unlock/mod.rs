//! Encrypted files: what of a footer is locked, and with which keys it opens.
//!
//! ```text
//! encrypted footer   algorithm │ footer under the footer key: schema, and columns' metadata, each
//! plaintext footer   footer, signed with the footer key: schema,      │ under its own key or the footer's
//! ```
//!
//! Keys are got before they are used, since getting them waits: the footer's when the file is opened (plaintext footers:
//! when a first encrypted column is read), a column's when it is read. An [`Opener`] holds those that are there: with it what is
//! said of the columns that are read is opened (`footer::cut`), and then their pages (`read::sealed`).

pub(crate) mod algorithm;
mod asking;
mod locked;
pub(crate) mod opener;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::OnceCell;

use algorithm::Algorithm;
use asking::Asking;
use locked::{LockedColumn, locked};
use opener::{ChunkKey, Opener};

use crate::encryption::cipher::{Cipher, unverified_first_block};
use crate::encryption::keys::SecretKey;
use crate::encryption::module::{LENGTH_BYTES, Module};
use crate::error::Error;
use crate::files::Files;
use crate::footer::{Footer, blocking};

/// What opens an encrypted file, as far as it was opened.
pub(crate) struct Seal {
    /// `None`: columns are encrypted, and the file does not say how.
    algorithm: Option<Algorithm>,
    /// A plaintext footer and its signature.
    signed: Option<Bytes>,
    /// `_KEY_MATERIAL_FOR_<file>.json`, once it was asked for.
    external: OnceCell<HashMap<String, String>>,
    unlocked: tokio::sync::Mutex<Option<Unlocked>>,
}

/// A footer, and the keys of some columns.
struct Unlocked {
    opener: Opener,
    expires: Instant,
    footer: Arc<Footer>,
}

/// An encrypted footer, opened.
pub(crate) struct OpenedFooter {
    pub(crate) metadata: Bytes,
    pub(crate) opener: Opener,
    pub(crate) seal: Seal,
}

/// Opens a stored footer that is encrypted, as far as its own key opens it.
pub(crate) async fn open_footer(
    files: &Files,
    path: &str,
    stored: Bytes,
) -> Result<OpenedFooter, Error> {
    let name = files.store.name(path);
    let Some(keys) = &files.keys else {
        return Err(Error::Encrypted {
            path: name,
            part: "footer".to_owned(),
        });
    };
    let Some((algorithm, sealed)) = Algorithm::before_footer(&stored) else {
        return Err(Error::corrupt(
            &name,
            "it does not say how its footer is encrypted",
        ));
    };
    let sealed = stored.slice_ref(sealed);
    let seal = Seal::new(Some(algorithm), None);
    let file_aad = seal.file_aad(files, path)?;
    let key = Asking::new(files, keys, path, &seal).footer_key().await?;
    let named = name.clone();
    let open = move || {
        let opener = Opener::new(Cipher::new(&key), file_aad);
        let opened = opener.open(&ChunkKey::Footer, &sealed, Module::Footer);
        let metadata = opened.ok_or_else(|| why_not(&named, &sealed, &key))?;
        Ok(OpenedFooter {
            metadata: metadata.into(),
            opener,
            seal,
        })
    };
    blocking(&name, open).await
}

/// The footer with some columns unlocked. Asks for the keys it lacks, and no others.
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
    let Some(locked) = locked(&footer, leaves) else {
        return Ok(footer);
    };
    if footer.opener.is_some() && locked.columns.is_empty() {
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
    let (mut opener, expires) = match known {
        Some(known) => (known.opener.clone(), known.expires.min(expires)),
        None => {
            let file_aad = seal.file_aad(files, path)?;
            let key = asking.footer_key().await?;
            let opener = Opener::new(Cipher::new(&key), file_aad);
            (seal.checked(&name, opener).await?, expires)
        }
    };
    asking.add(&mut opener, locked.columns).await?;
    let opened = Arc::new(footer.with_opener(&name, opener.clone())?);
    *unlocked = Some(Unlocked {
        opener,
        expires,
        footer: Arc::clone(&opened),
    });
    Ok(opened)
}

impl Seal {
    /// `signed`: a plaintext footer with its signature.
    pub(crate) fn new(algorithm: Option<Algorithm>, signed: Option<Bytes>) -> Seal {
        Seal {
            algorithm,
            signed,
            external: OnceCell::new(),
            unlocked: tokio::sync::Mutex::default(),
        }
    }

    fn algorithm(&self, name: &str) -> Result<&Algorithm, Error> {
        let unsaid = || {
            Error::corrupt(
                name,
                "columns are encrypted, but the footer does not say how",
            )
        };
        self.algorithm.as_ref().ok_or_else(unsaid)
    }

    fn file_aad(&self, files: &Files, path: &str) -> Result<Vec<u8>, Error> {
        let name = files.store.name(path);
        let given = files
            .keys
            .as_ref()
            .and_then(|keys| keys.provider().aad_prefix(path));
        self.algorithm(&name)?.file_aad(&name, given)
    }

    /// Refuses a plaintext footer that the footer's key did not sign.
    async fn checked(&self, name: &str, opener: Opener) -> Result<Opener, Error> {
        let Some(signed) = self.signed.clone() else {
            return Ok(opener);
        };
        let path = name.to_owned();
        let check = move || match opener.has_signed(&signed) {
            Some(true) => Ok(opener),
            _ => Err(Error::Signature { path }),
        };
        blocking(name, check).await
    }
}

impl Unlocked {
    fn opens(&self, locked: &[LockedColumn]) -> bool {
        let has = |(column, _): &LockedColumn| self.opener.columns.contains_key(column);
        locked.iter().all(has)
    }
}

/// Why an encrypted footer does not open: with the right key its first bytes decrypt to what every footer begins with, and only
/// what is authenticated beside them differs.
fn why_not(name: &str, sealed: &[u8], key: &SecretKey) -> Error {
    let path = name.to_owned();
    let begins = sealed
        .get(LENGTH_BYTES..)
        .and_then(|sealed| unverified_first_block(key, sealed));
    // field 1, a small i32 (version); field 2, a list (schema)
    match begins.is_some_and(|begins| begins[0] == 0x15 && begins[2] == 0x19) {
        true => Error::AadPrefix {
            path,
            reason: "the key is right, but the file was written with another AAD prefix: it may have been swapped".to_owned(),
        },
        false => Error::WrongKey {
            path,
            part: "footer".to_owned(),
        },
    }
}
