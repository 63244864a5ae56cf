//! Keys of encrypted tables: who gives them, how files name them, how long they are kept.
//!
//! A file names a key in its key metadata, either plainly or as wrapped key material (`material`). [`KeyProvider`] is
//! what unwraps it: a key management service, or a [`KeyRing`] held in memory, a file or the environment. `cache` asks
//! it as rarely as it may.

mod cache;
mod file;
mod material;
mod ring;
mod secret;
#[cfg(any(feature = "vault", feature = "aws-kms"))]
mod service;
mod source;
pub(crate) mod wrap;

use std::fmt;

use async_trait::async_trait;
use dpp_proto::{Fault, Faulty};

pub(crate) use cache::KeyCache;
pub(crate) use file::KeyFile;
pub(crate) use material::{KeyMaterial, PartKind, WrappedKek, WrappedKey, parse};
pub use ring::KeyRing;
pub(crate) use secret::random;
pub use secret::{KeyBits, SecretKey};
#[cfg(feature = "aws-kms")]
pub use service::aws_kms::AwsKmsPlace;
#[cfg(feature = "vault")]
pub use service::vault::VaultPlace;
pub use source::KeySource;

/// Gives the keys that encrypted files name. Asked only for keys of features that are read, and seldom twice.
#[async_trait]
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// Unwraps `wrapped`, as the master key's service returned it when it was wrapped.
    ///
    /// The service is the provider's own choice: an address inside a file is never followed.
    async fn unwrap_key(&self, master_key_id: &str, wrapped: &str) -> Result<SecretKey, KeyError>;

    /// Wraps `key` so that [`KeyProvider::unwrap_key`] gives it back: what writing needs. By default it can't.
    async fn wrap_key(&self, master_key_id: &str, key: &SecretKey) -> Result<String, KeyError> {
        let _ = key;
        Err(KeyError::ReadOnly {
            key: format!("{master_key_id:?}"),
        })
    }

    /// The key that a file's key metadata names without wrapping it. By default there are none.
    async fn find_key(&self, wanted: WantedKey<'_>) -> Result<SecretKey, KeyError> {
        Err(KeyError::Missing {
            key: wanted.to_string(),
        })
    }

    /// The AAD prefix that a file was written with, by its path relative to the table; `None` trusts the one the file
    /// stores, if it stores one. A file written with another prefix does not open.
    fn aad_prefix(&self, path: &str) -> Option<Vec<u8>> {
        let _ = path;
        None
    }
}

/// A key that a file names without wrapping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedKey<'a> {
    /// The key metadata as stored; `None` if there is none.
    pub metadata: Option<&'a [u8]>,
    /// Path of the leaf column, dot-separated, as the file writes it; `None` for the footer.
    pub column: Option<&'a str>,
}

/// Why there is no key. Never holds key bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The provider does not have it.
    #[error("there is no key {key}")]
    Missing {
        /// The key's name.
        key: String,
    },
    /// The provider has it, and we may not.
    #[error("access to key {key} is denied: {reason}")]
    Denied {
        /// The key's name.
        key: String,
        /// What the key service said; never what was sent to it.
        reason: String,
    },
    /// It does not open what it should have wrapped.
    #[error("key {key} is wrong: it does not unwrap the file's key")]
    Wrong {
        /// The key's name.
        key: String,
    },
    /// The key service did not answer, or not usefully. This says nothing about rights.
    #[error("the key service failed on key {key}")]
    Unavailable {
        /// The key's name.
        key: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What a file says about its keys makes no sense.
    #[error("key material can't be used: {reason}")]
    Material {
        /// What is wrong with it.
        reason: String,
    },
    /// A place of keys can't be used.
    #[error("keys at {place} can't be used: {reason}")]
    Ring {
        /// The file or environment variable.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The provider only unwraps.
    #[error("key {key} can't wrap: this provider of keys is for reading only")]
    ReadOnly {
        /// The key's name.
        key: String,
    },
    /// No key can be made.
    #[error("the system gives no random numbers: {reason}")]
    Random {
        /// What the system said.
        reason: String,
    },
    /// Key bytes of a length no cipher takes.
    #[error("a key has {bytes} bytes; AES takes 16, 24 or 32")]
    Length {
        /// How many there are.
        bytes: usize,
    },
}

impl Faulty for KeyError {
    fn fault(&self) -> Fault {
        match self {
            KeyError::Missing { .. } | KeyError::Denied { .. } | KeyError::Wrong { .. } => {
                Fault::Denied
            }
            KeyError::Unavailable { .. } | KeyError::Random { .. } => Fault::Unavailable,
            KeyError::Material { .. } => Fault::Corrupt,
            KeyError::Ring { .. } | KeyError::ReadOnly { .. } | KeyError::Length { .. } => {
                Fault::Invalid
            }
        }
    }
}

impl fmt::Display for WantedKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = self.metadata.unwrap_or_default();
        match (std::str::from_utf8(metadata), self.column) {
            (Ok(name), _) if !name.is_empty() => write!(formatter, "{name:?}"),
            (_, Some(column)) => write!(formatter, "of column {column}"),
            (_, None) => formatter.write_str("of the footer"),
        }
    }
}

/// Questions to a key service at a time, per file.
pub(crate) const KEYS_IN_FLIGHT: usize = 16;
