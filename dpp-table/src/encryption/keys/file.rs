//! A key file: keys, which of them is whose, and how files are encrypted when they are written.
//!
//! ```json
//! { "keys": { "kf": "base64 of 16, 24 or 32 bytes", "kc1": ["the old version", "the new one"] },
//!   "footer": "kf", "columns": { "price": "kc1" }, "aad_prefix": "tester",
//!   "encrypt": { "plaintext_footer": true } }
//! ```
//!
//! Reading needs `keys`; the others only where files do not say it themselves. Writing needs `footer`, and may leave
//! `keys` to a key service; `encrypt` is an [`EncryptionStyle`].

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{KeyError, KeyRing, SecretKey};
use crate::encryption::lock::{EncryptionSettings, EncryptionStyle};

/// The content of a key file, checked.
pub(crate) struct KeyFile {
    place: String,
    keys: BTreeMap<String, Vec<SecretKey>>,
    footer: Option<String>,
    columns: BTreeMap<String, String>,
    aad_prefix: Option<Vec<u8>>,
    encrypt: EncryptionStyle,
}

impl KeyFile {
    /// Refuses a file that holds keys and that others than its owner may read (on Unix).
    pub(crate) fn read(path: &Path) -> Result<KeyFile, KeyError> {
        let place = path.display().to_string();
        let json = std::fs::read_to_string(path).map(Zeroizing::new);
        let json = json.map_err(|error| refuse(&place, error))?;
        let file = KeyFile::parse(&place, &json)?;
        match file.keys.is_empty() || is_private(path).map_err(|error| refuse(&place, error))? {
            true => Ok(file),
            false => Err(refuse(
                &place,
                "others than its owner may read it; run chmod 600 on it",
            )),
        }
    }

    pub(crate) fn from_environment(variable: &str) -> Result<KeyFile, KeyError> {
        let place = format!("${variable}");
        match std::env::var(variable).map(Zeroizing::new) {
            Ok(json) => KeyFile::parse(&place, &json),
            Err(_) => Err(refuse(&place, "it is not set, or no text")),
        }
    }

    pub(crate) fn parse(place: &str, json: &str) -> Result<KeyFile, KeyError> {
        let stored: Stored = serde_json::from_str(json).map_err(|error| {
            // the error's own text may quote a value, and a value may be a key
            let (line, column) = (error.line(), error.column());
            let text = format!("line {line} column {column} is not as it should be");
            refuse(place, text)
        })?;
        let mut keys = BTreeMap::new();
        for (name, versions) in &stored.keys {
            let read = versions
                .texts()
                .iter()
                .map(|text| SecretKey::from_base64(text));
            let read: Result<Vec<_>, _> = read.collect();
            let read = read.map_err(|error| refuse(place, format!("key {name:?}: {error}")))?;
            keys.insert(name.clone(), read);
        }
        Ok(KeyFile {
            place: place.to_owned(),
            keys,
            footer: stored.footer,
            columns: stored.columns,
            aad_prefix: stored.aad_prefix.map(String::into_bytes),
            encrypt: stored.encrypt,
        })
    }

    /// The keys, for reading and for wrapping. Fails when the file names one that it lacks.
    pub(crate) fn into_ring(self) -> Result<KeyRing, KeyError> {
        let mut named = self.columns.values().chain(&self.footer);
        if let Some(name) = named.find(|name| !self.keys.contains_key(*name)) {
            let text = format!("it names key {name:?}, which it lacks");
            return Err(refuse(&self.place, text));
        }
        let mut ring = KeyRing::new();
        for (name, versions) in self.keys {
            for key in versions {
                ring = ring.with_key(&name, key);
            }
        }
        for (column, name) in &self.columns {
            ring = ring.with_column(column, name);
        }
        if let Some(name) = &self.footer {
            ring = ring.with_footer(name);
        }
        Ok(match self.aad_prefix {
            Some(prefix) => ring.with_aad_prefix(prefix),
            None => ring,
        })
    }

    /// How to encrypt. Fails when the file names no key of the footer.
    pub(crate) fn settings(&self) -> Result<EncryptionSettings, KeyError> {
        let footer = self.footer.clone().ok_or_else(|| {
            refuse(
                &self.place,
                "to encrypt, it must say which key is the `footer`'s",
            )
        })?;
        Ok(EncryptionSettings {
            footer,
            columns: self.columns.clone(),
            aad_prefix: self.aad_prefix.clone(),
            style: self.encrypt.clone(),
        })
    }
}

fn refuse(place: &str, reason: impl ToString) -> KeyError {
    KeyError::Ring {
        place: place.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(unix)]
fn is_private(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_path: &Path) -> std::io::Result<bool> {
    Ok(true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    keys: BTreeMap<String, Versions>,
    footer: Option<String>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    aad_prefix: Option<String>,
    #[serde(default)]
    encrypt: EncryptionStyle,
}

/// One key, or its versions from the oldest on.
#[derive(Deserialize)]
#[serde(untagged)]
enum Versions {
    One(Zeroizing<String>),
    Many(Vec<Zeroizing<String>>),
}

impl Versions {
    fn texts(&self) -> &[Zeroizing<String>] {
        match self {
            Versions::One(text) => std::slice::from_ref(text),
            Versions::Many(texts) => texts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::keys::KeyBits;

    #[test]
    fn json_is_checked_and_errors_hold_no_keys() {
        let ring = r#"{"keys":{"kf":"MDEyMzQ1Njc4OTAxMjM0NQ==","kc":["MDEyMzQ1Njc4OTAxMjM0NQ=="]},"footer":"kf"}"#;
        let ring = KeyRing::from_json(ring).unwrap();
        assert_eq!(ring.versions("kf").unwrap()[0].bytes(), b"0123456789012345");
        assert!(!format!("{ring:?}").contains("0123"));
        for (wrong, says) in [
            (r#"{"keys":{"a":"aHVudGVyMg=="}}"#, "7 bytes"),
            (r#"{"keys":{"a":"hunter2"}}"#, "base64"),
            (r#"{"keys":{"a":17}}"#, "line 1"),
            (r#"{"keys":{},"footer":"hunter"}"#, "lacks"),
            (r#"{"keys":{},"foot":"x"}"#, "line 1"),
        ] {
            let error = KeyRing::from_json(wrong).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(says) && !text.contains("hunter2"), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let json = r#"{"keys":{"k":"MDEyMzQ1Njc4OTAxMjM0NQ=="}}"#;
        std::fs::write(file.path(), json).unwrap();
        let set = |mode| std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode));
        set(0o640).unwrap();
        let error = KeyRing::from_file(file.path()).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        set(0o600).unwrap();
        KeyRing::from_file(file.path()).unwrap();
        assert!(KeyRing::from_environment("DPP_NO_SUCH_VARIABLE").is_err());
    }

    #[test]
    fn how_to_encrypt_is_read_and_checked() {
        let file = r#"{"footer":"kf","columns":{"price":"kc"},"aad_prefix":"shop",
            "encrypt":{"plaintext_footer":true,"data_key_bits":256}}"#;
        let settings = KeyFile::parse("JSON", file).unwrap().settings().unwrap();
        assert_eq!(settings.footer, "kf");
        assert_eq!(settings.columns["price"], "kc");
        assert_eq!(settings.aad_prefix.as_deref(), Some(&b"shop"[..]));
        assert!(settings.style.plaintext_footer && settings.style.double_wrapping);
        assert_eq!(settings.style.data_key_bits, KeyBits::B256);
        let error = KeyFile::parse("JSON", "{}")
            .unwrap()
            .settings()
            .unwrap_err();
        assert!(error.to_string().contains("footer"), "{error}");
        for wrong in [
            r#"{"encrypt":{"data_key_bits":192}}"#,
            r#"{"encrypt":{"plain":true}}"#,
        ] {
            assert!(KeyFile::parse("JSON", wrong).is_err(), "{wrong}");
        }
    }
}
