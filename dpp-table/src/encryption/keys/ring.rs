//! Keys in memory, from code, a key file or the environment: what tests and small places use instead of a key service.
//!
//! A key of the ring is used as it is where a file's key metadata is its name, and as a master key where a file holds
//! wrapped keys. Which key is whose in files without key metadata, the ring says itself.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::file::KeyFile;
use super::wrap::{open, seal};
use super::{KeyError, KeyProvider, SecretKey, WantedKey, random};
use crate::encryption::column_keys::ColumnKeys;

/// Named keys, each in one or more versions. `Debug` shows names only.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, Vec<SecretKey>>,
    footer: Option<String>,
    columns: ColumnKeys,
    aad_prefix: Option<Vec<u8>>,
}

impl KeyRing {
    /// A ring without keys.
    pub fn new() -> KeyRing {
        KeyRing::default()
    }

    /// Adds a key, or a newer version of one: what older versions wrapped can still be unwrapped.
    pub fn with_key(mut self, name: &str, key: SecretKey) -> KeyRing {
        self.keys.entry(name.to_owned()).or_default().push(key);
        self
    }

    /// Says which key opens footers without key metadata.
    pub fn with_footer(mut self, name: &str) -> KeyRing {
        self.footer = Some(name.to_owned());
        self
    }

    /// Says which key opens a column (a leaf's dotted path, or a root column with all its leaves) without key metadata.
    pub fn with_column(mut self, column: &str, name: &str) -> KeyRing {
        self.columns.insert(column, name);
        self
    }

    /// Says with which AAD prefix all files were written.
    pub fn with_aad_prefix(mut self, prefix: impl Into<Vec<u8>>) -> KeyRing {
        self.aad_prefix = Some(prefix.into());
        self
    }

    /// Reads a ring from JSON, as a key file has it. Errors name no key bytes.
    pub fn from_json(json: &str) -> Result<KeyRing, KeyError> {
        KeyFile::parse("JSON", json)?.into_ring()
    }

    /// Reads a ring from a key file. Refuses one that others than its owner may read (on Unix).
    pub fn from_file(path: impl AsRef<Path>) -> Result<KeyRing, KeyError> {
        KeyFile::read(path.as_ref())?.into_ring()
    }

    /// Reads a ring from an environment variable that holds what a key file would.
    pub fn from_environment(variable: &str) -> Result<KeyRing, KeyError> {
        KeyFile::from_environment(variable)?.into_ring()
    }

    pub(super) fn versions(&self, name: &str) -> Result<&[SecretKey], KeyError> {
        let versions = self.keys.get(name).ok_or_else(|| missing(name))?;
        Ok(versions)
    }

    /// The name of the key that a file wants, by its metadata or by what the ring says of columns.
    fn name_of(&self, wanted: WantedKey<'_>) -> Option<&str> {
        let by_metadata = wanted
            .metadata
            .and_then(|name| std::str::from_utf8(name).ok());
        if let Some((name, _)) = by_metadata.and_then(|name| self.keys.get_key_value(name)) {
            return Some(name);
        }
        let Some(column) = wanted.column else {
            return self.footer.as_deref();
        };
        self.columns.get(column).map(|(_, key)| key)
    }
}

#[async_trait]
impl KeyProvider for KeyRing {
    /// Tries the newest version of the master key first.
    async fn unwrap_key(&self, master_key_id: &str, wrapped: &str) -> Result<SecretKey, KeyError> {
        let versions = self.versions(master_key_id)?;
        let sealed = sealed_bytes(wrapped)?;
        let opened = |master| open(master, &sealed, master_key_id.as_bytes());
        match versions.iter().rev().find_map(opened) {
            Some(key) => SecretKey::new(key.to_vec()),
            None => Err(KeyError::Wrong {
                key: format!("{master_key_id:?}"),
            }),
        }
    }

    /// With the newest version of the master key: base64 of an AES-GCM message with the master key's name as AAD, as
    /// the in-memory services of other implementations do.
    async fn wrap_key(&self, master_key_id: &str, key: &SecretKey) -> Result<String, KeyError> {
        let master = self.versions(master_key_id)?.last();
        let master = master.ok_or_else(|| missing(master_key_id))?;
        let sealed = seal(master, random()?, key.bytes(), master_key_id.as_bytes());
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// The newest version of the key that is named.
    async fn find_key(&self, wanted: WantedKey<'_>) -> Result<SecretKey, KeyError> {
        let name = self.name_of(wanted);
        let key = name.and_then(|name| self.keys.get(name)?.last());
        key.cloned().ok_or_else(|| KeyError::Missing {
            key: wanted.to_string(),
        })
    }

    fn aad_prefix(&self, _path: &str) -> Option<Vec<u8>> {
        self.aad_prefix.clone()
    }
}

/// A wrapped key is base64, alone or (as local wrapping had it) inside JSON.
fn sealed_bytes(wrapped: &str) -> Result<Vec<u8>, KeyError> {
    #[derive(Deserialize)]
    struct Local {
        #[serde(rename = "encryptedKey")]
        encrypted_key: String,
    }
    let local = serde_json::from_str::<Local>(wrapped);
    let text = local.map_or_else(|_| wrapped.to_owned(), |local| local.encrypted_key);
    BASE64_STANDARD
        .decode(text.trim())
        .map_err(|_| KeyError::Material {
            reason: "a wrapped key is not base64".to_owned(),
        })
}

fn missing(name: &str) -> KeyError {
    KeyError::Missing {
        key: format!("{name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::new(vec![byte; 16]).unwrap()
    }

    #[tokio::test]
    async fn older_versions_still_unwrap() {
        let old = KeyRing::new().with_key("k", key(1));
        let wrapped = old.wrap_key("k", &key(9)).await.unwrap();
        let new = old.with_key("k", key(2));
        assert_eq!(
            new.unwrap_key("k", &wrapped).await.unwrap().bytes(),
            [9; 16]
        );
        let wrapped = new.wrap_key("k", &key(9)).await.unwrap();
        let local = format!(r#"{{"masterKeyVersion":"NO_VERSION","encryptedKey":"{wrapped}"}}"#);
        assert_eq!(new.unwrap_key("k", &local).await.unwrap().bytes(), [9; 16]);
        let other = KeyRing::new().with_key("k", key(3));
        let error = other.unwrap_key("k", &wrapped).await.unwrap_err();
        assert!(matches!(error, KeyError::Wrong { .. }), "{error}");
        let error = other.unwrap_key("x", &wrapped).await.unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{error}");
    }

    #[tokio::test]
    async fn plain_keys_by_metadata_then_by_column() {
        let ring = KeyRing::new().with_key("a", key(1)).with_key("b", key(2));
        let ring = ring.with_column("x.list.item", "a").with_column("y", "b");
        let find = async |metadata, column| {
            let wanted = WantedKey { metadata, column };
            ring.find_key(wanted).await.map(|key| key.bytes()[0]).ok()
        };
        assert_eq!(find(Some(b"a"), Some("y")).await, Some(1));
        assert_eq!(find(None, Some("y.list.element")).await, Some(2));
        assert_eq!(find(Some(b"unknown"), Some("x.list.item")).await, Some(1));
        assert_eq!(find(None, Some("x.list.element")).await, Some(1));
        assert_eq!(find(None, Some("z")).await, None);
        assert_eq!(find(None, None).await, None);
    }
}
