//! From settings and a provider of keys to what the Parquet writer wants, file by file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::schema::types::SchemaDescriptor;
use tokio::sync::OnceCell;

use super::EncryptionSettings;
use crate::encryption::column_keys::ColumnKeys;
use crate::encryption::keys::wrap::seal;
use crate::encryption::keys::{
    KEYS_IN_FLIGHT, KeyError, KeyFile, KeyMaterial, KeyProvider, PartKind, SecretKey, WrappedKek,
    WrappedKey, random,
};
use crate::error::Error;

/// How the files of a table are encrypted. Cheap to share; ask it once a file.
#[derive(Debug)]
pub struct EncryptionPlan {
    settings: EncryptionSettings,
    columns: ColumnKeys,
    provider: Arc<dyn KeyProvider>,
    /// A key-encryption key a master key, made when it is first needed.
    keks: Mutex<HashMap<String, Arc<OnceCell<Kek>>>>,
}

/// What encrypts one file. Do not use it for another: its keys must not repeat.
#[derive(Clone, Debug)]
pub struct FileEncryption {
    /// For `WriterPropertiesBuilder::with_file_encryption_properties`. The Parquet writer's copy of the keys is not
    /// wiped.
    pub properties: Arc<FileEncryptionProperties>,
    /// To be put beside the file, as [`key_material_name`], before the file is; `None` when the file holds its own.
    pub key_material: Option<Bytes>,
}

/// A key-encryption key as it is used, and as files store it.
#[derive(Clone, Debug)]
struct Kek {
    key: SecretKey,
    id: Vec<u8>,
    wrapped: String,
}

/// A data key, and how it is wrapped.
struct DataKey {
    key: SecretKey,
    wrapped: WrappedKey,
}

impl EncryptionPlan {
    /// Asks the provider nothing yet.
    pub fn new(settings: EncryptionSettings, provider: Arc<dyn KeyProvider>) -> EncryptionPlan {
        EncryptionPlan {
            columns: settings.columns.clone().into(),
            settings,
            provider,
            keks: Mutex::default(),
        }
    }

    /// A plan from a key file that holds the master keys too.
    pub fn from_key_file(path: impl AsRef<Path>) -> Result<EncryptionPlan, KeyError> {
        let file = KeyFile::read(path.as_ref())?;
        let settings = file.settings()?;
        Ok(EncryptionPlan::new(settings, Arc::new(file.into_ring()?)))
    }

    /// New keys for one file of this schema, wrapped. `path` is for messages. Fails when the settings name a column that
    /// the file lacks (it would be left readable elsewhere by a slip of the pen), and when the provider does not wrap.
    pub async fn for_file(
        &self,
        path: &str,
        schema: &SchemaDescriptor,
    ) -> Result<FileEncryption, Error> {
        let footer = self.data_key(path, "footer", &self.settings.footer).await?;
        let columns = self.column_keys(path, schema).await?;
        let style = &self.settings.style;
        let mut material = Material::new(style.internal_key_material);
        let mut builder = FileEncryptionProperties::builder(footer.key.bytes().to_vec())
            .with_footer_key_metadata(material.footer(footer.wrapped))
            .with_plaintext_footer(style.plaintext_footer);
        for (leaf, column) in columns {
            builder = builder.with_column_key_and_metadata(
                &leaf,
                column.key.bytes().to_vec(),
                material.column(column.wrapped),
            );
        }
        if let Some(prefix) = &self.settings.aad_prefix {
            builder = builder
                .with_aad_prefix(prefix.clone())
                .with_aad_prefix_storage(style.store_aad_prefix);
        }
        let properties = builder.build().map_err(|error| Error::Internal {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(FileEncryption {
            properties,
            key_material: material.external(),
        })
    }

    /// A data key for every leaf that the settings name.
    async fn column_keys(
        &self,
        path: &str,
        schema: &SchemaDescriptor,
    ) -> Result<Vec<(String, DataKey)>, Error> {
        let mut unmet: HashSet<&str> = self.columns.columns().collect();
        let mut wanted = Vec::new();
        for column in schema.columns() {
            let leaf = column.path().string();
            if let Some((name, master_key)) = self.columns.get(&leaf) {
                unmet.remove(name);
                wanted.push((leaf, master_key));
            }
        }
        if let Some(column) = unmet.into_iter().min() {
            return Err(Error::EncryptedColumn {
                path: path.to_owned(),
                column: column.to_owned(),
            });
        }
        let keys = wanted.into_iter().map(async |(leaf, master_key)| {
            let part = format!("column {leaf}");
            let key = self.data_key(path, &part, master_key).await?;
            Ok((leaf, key))
        });
        let keys: Vec<_> = keys.collect();
        stream::iter(keys)
            .buffered(KEYS_IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn data_key(&self, path: &str, part: &str, master_key: &str) -> Result<DataKey, Error> {
        let made = self.make_data_key(master_key).await;
        made.map_err(|source| Error::Key {
            path: path.to_owned(),
            part: part.to_owned(),
            source,
        })
    }

    async fn make_data_key(&self, master_key: &str) -> Result<DataKey, KeyError> {
        let key = SecretKey::generate(self.settings.style.data_key_bits)?;
        let (wrapped_key, kek) = match self.settings.style.double_wrapping {
            false => (self.provider.wrap_key(master_key, &key).await?, None),
            true => {
                let kek = self.kek(master_key).await?;
                let sealed = seal(&kek.key, random()?, key.bytes(), &kek.id);
                let stored = WrappedKek {
                    id: kek.id,
                    wrapped: kek.wrapped,
                };
                (BASE64_STANDARD.encode(sealed), Some(stored))
            }
        };
        let wrapped = WrappedKey {
            master_key_id: master_key.to_owned(),
            wrapped_key,
            kek,
        };
        Ok(DataKey { key, wrapped })
    }

    /// Made once; those who want it at once wait for one answer.
    async fn kek(&self, master_key: &str) -> Result<Kek, KeyError> {
        let cell = {
            let mut keks = self.keks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(keks.entry(master_key.to_owned()).or_default())
        };
        let make = async || {
            let key = SecretKey::new(random::<KEK_BYTES>()?)?;
            let wrapped = self.provider.wrap_key(master_key, &key).await?;
            let id = random::<KEK_BYTES>()?.to_vec();
            Ok(Kek { key, id, wrapped })
        };
        cell.get_or_try_init(make).await.cloned()
    }
}

/// The name of the file that holds the key material of `file`, in the same folder.
pub fn key_material_name(file: &str) -> String {
    format!("_KEY_MATERIAL_FOR_{file}.json")
}

/// Key material of one file, as it is stored inside or beside it.
struct Material {
    /// Reference → material; `None` if it is stored inside.
    beside: Option<BTreeMap<String, String>>,
    columns: usize,
}

impl Material {
    fn new(internal: bool) -> Material {
        Material {
            beside: (!internal).then(BTreeMap::new),
            columns: 0,
        }
    }

    fn footer(&mut self, wrapped: WrappedKey) -> Vec<u8> {
        self.metadata("footerKey".to_owned(), wrapped, PartKind::Footer)
    }

    fn column(&mut self, wrapped: WrappedKey) -> Vec<u8> {
        let reference = format!("columnKey{}", self.columns);
        self.columns += 1;
        self.metadata(reference, wrapped, PartKind::Column)
    }

    fn metadata(&mut self, reference: String, wrapped: WrappedKey, of: PartKind) -> Vec<u8> {
        let material = match &mut self.beside {
            None => KeyMaterial::Wrapped(wrapped),
            Some(beside) => {
                beside.insert(reference.clone(), wrapped.to_external(of));
                KeyMaterial::External { reference }
            }
        };
        material.to_metadata(of).into_bytes()
    }

    fn external(self) -> Option<Bytes> {
        let beside = self.beside?;
        Some(Bytes::from(
            serde_json::to_vec(&beside).expect("a map of texts is always JSON"),
        ))
    }
}

/// As other writers have it.
const KEK_BYTES: usize = 16;
