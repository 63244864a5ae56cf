//! Gets the keys of one file: reads how the file names them, and asks for those.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Seal;
use super::locked::LockedColumn;
use super::opener::Opener;
use crate::encryption::cipher::Cipher;
use crate::encryption::keys::{
    KEYS_IN_FLIGHT, KeyCache, KeyError, KeyMaterial, SecretKey, WantedKey, parse,
};
use crate::error::Error;
use crate::files::Files;

/// Gets keys for one file.
pub(super) struct Asking<'a> {
    files: &'a Files,
    keys: &'a KeyCache,
    path: &'a str,
    seal: &'a Seal,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        files: &'a Files,
        keys: &'a KeyCache,
        path: &'a str,
        seal: &'a Seal,
    ) -> Asking<'a> {
        Asking {
            files,
            keys,
            path,
            seal,
        }
    }

    pub(super) async fn footer_key(&self) -> Result<SecretKey, Error> {
        let name = self.files.store.name(self.path);
        let algorithm = self.seal.algorithm(&name)?;
        self.key(algorithm.key_metadata.as_deref(), None).await
    }

    /// Adds the keys of `locked` that are lacking.
    pub(super) async fn add(
        &self,
        opener: &mut Opener,
        locked: Vec<LockedColumn>,
    ) -> Result<(), Error> {
        let lacking: Vec<_> = locked
            .into_iter()
            .filter(|(column, _)| !opener.columns.contains_key(column))
            .map(|(column, metadata)| self.column_key(column, metadata))
            .collect();
        let found = stream::iter(lacking).buffer_unordered(KEYS_IN_FLIGHT);
        opener.columns.extend(found.try_collect::<Vec<_>>().await?);
        Ok(())
    }

    async fn column_key(
        &self,
        column: String,
        metadata: Option<Vec<u8>>,
    ) -> Result<(String, Arc<Cipher>), Error> {
        let key = self.key(metadata.as_deref(), Some(&column)).await?;
        Ok((column, Arc::new(Cipher::new(&key))))
    }

    /// The key of the footer, or of a column.
    async fn key(&self, metadata: Option<&[u8]>, column: Option<&str>) -> Result<SecretKey, Error> {
        let no_key = |source| Error::Key {
            path: self.files.store.name(self.path),
            part: column.map_or_else(|| "footer".to_owned(), |column| format!("column {column}")),
            source,
        };
        let material = match metadata {
            Some(metadata) => parse(metadata).map_err(no_key)?,
            None => None,
        };
        let wrapped = match material {
            None => {
                let wanted = WantedKey { metadata, column };
                return self.keys.find(wanted).await.map_err(no_key);
            }
            Some(KeyMaterial::Wrapped(wrapped)) => wrapped,
            Some(KeyMaterial::External { reference }) => {
                let external = self.external().await?.get(&reference);
                let unusable = |reason: &str| {
                    no_key(KeyError::Material {
                        reason: format!("reference {reference:?} {reason}"),
                    })
                };
                let external = external.ok_or_else(|| unusable("is not beside the file"))?;
                match parse(external.as_bytes()).map_err(no_key)? {
                    Some(KeyMaterial::Wrapped(wrapped)) => wrapped,
                    _ => return Err(unusable("refers to no wrapped key")),
                }
            }
        };
        self.keys.data_key(&wrapped).await.map_err(no_key)
    }

    async fn external(&self) -> Result<&HashMap<String, String>, Error> {
        let read = async || {
            let stored = self.files.store.read_key_material(self.path).await?;
            serde_json::from_slice(&stored).map_err(|error| Error::Key {
                path: self.files.store.name(self.path),
                part: "footer".to_owned(),
                source: KeyError::Material {
                    reason: format!("the file of key material is no JSON of strings: {error}"),
                },
            })
        };
        self.seal.external.get_or_try_init(read).await
    }
}
