//! What is said about files that are to be encrypted: plain data, also the `encrypt` part of a key file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::encryption::keys::{KeyBits, KeyError, KeyFile};

/// Which master key protects what, and how the files say so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncryptionSettings {
    /// Master key of the footer; without `columns`, of everything.
    pub footer: String,
    /// Column → its master key. A root column's name means all its leaves. If there are none, all columns are encrypted
    /// with the footer's key (uniform); if there are some, the others stay readable without a key.
    pub columns: BTreeMap<String, String>,
    /// Says which file this is; readers can insist on it. By default there is none.
    pub aad_prefix: Option<Vec<u8>>,
    /// How it is done; mostly best left alone.
    pub style: EncryptionStyle,
}

/// How files are encrypted. The defaults are pyarrow's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EncryptionStyle {
    /// Leave the footer readable (schema, counts, statistics of columns that are not encrypted) and sign it.
    pub plaintext_footer: bool,
    /// Wrap data keys with a key-encryption key and only that with the master key, so that the key service is asked once
    /// a master key and not once a column of every file.
    pub double_wrapping: bool,
    /// Keep wrapped keys in the file; otherwise in `_KEY_MATERIAL_FOR_<file>.json` beside it, where master keys can be
    /// rotated without touching the file.
    pub internal_key_material: bool,
    /// Whether the file holds its AAD prefix; otherwise readers must know it.
    pub store_aad_prefix: bool,
    /// Length of data keys.
    pub data_key_bits: KeyBits,
}

impl EncryptionSettings {
    /// Everything under one master key.
    pub fn uniform(footer: &str) -> EncryptionSettings {
        EncryptionSettings {
            footer: footer.to_owned(),
            columns: BTreeMap::new(),
            aad_prefix: None,
            style: EncryptionStyle::default(),
        }
    }

    /// Reads what a key file says about writing: `footer`, `columns`, `aad_prefix` and `encrypt`; its `keys`, if it
    /// holds any, are not used.
    pub fn from_key_file(path: impl AsRef<Path>) -> Result<EncryptionSettings, KeyError> {
        KeyFile::read(path.as_ref())?.settings()
    }

    /// The same from the content of such a file.
    pub fn from_json(json: &str) -> Result<EncryptionSettings, KeyError> {
        KeyFile::parse("encryption", json)?.settings()
    }

    /// Adds a column with a master key of its own.
    pub fn with_column(mut self, column: &str, master_key: &str) -> EncryptionSettings {
        self.columns
            .insert(column.to_owned(), master_key.to_owned());
        self
    }
}

impl Default for EncryptionStyle {
    fn default() -> EncryptionStyle {
        EncryptionStyle {
            plaintext_footer: false,
            double_wrapping: true,
            internal_key_material: true,
            store_aad_prefix: true,
            data_key_bits: KeyBits::default(),
        }
    }
}
