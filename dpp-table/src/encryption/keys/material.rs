//! Key metadata as Spark (parquet-java) and pyarrow write it: JSON of type `PKMT1`. Pure.
//!
//! ```text
//! single wrapping:  wrappedDEK ── master key, at the KMS ──▶ data key
//! double wrapping:  wrappedKEK ── master key, at the KMS ──▶ KEK;  wrappedDEK ── KEK, here ──▶ data key
//! ```
//!
//! It lies in the file, or beside it in `_KEY_MATERIAL_FOR_<file>.json`, where the file holds a reference only.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::KeyError;

/// What key metadata says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyMaterial {
    /// Look under this reference in the file beside.
    External { reference: String },
    /// A data key, wrapped.
    Wrapped(WrappedKey),
}

/// A data key wrapped once or twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrappedKey {
    pub(crate) master_key_id: String,
    /// As the KMS returned it if wrapped once; base64 of an AES-GCM message under the KEK if twice.
    pub(crate) wrapped_key: String,
    pub(crate) kek: Option<WrappedKek>,
}

/// The key between master key and data key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrappedKek {
    /// Authenticated together with the data key.
    pub(crate) id: Vec<u8>,
    /// As the KMS returned it.
    pub(crate) wrapped: String,
}

/// Reads key metadata; `None` when it is not key material, but a key's own name.
pub(crate) fn parse(metadata: &[u8]) -> Result<Option<KeyMaterial>, KeyError> {
    if metadata.first() != Some(&b'{') {
        return Ok(None);
    }
    // errors of serde_json quote nothing but positions and field names
    let stored: Stored = serde_json::from_slice(metadata).map_err(unusable)?;
    if stored.key_material_type != PKMT1 {
        let kind = &stored.key_material_type;
        return Err(unusable(format!("its type is {kind:?}, not PKMT1")));
    }
    if stored.internal_storage == Some(false) {
        let reference = stored.key_reference;
        let reference = reference.ok_or_else(|| lacks("keyReference"))?;
        return Ok(Some(KeyMaterial::External { reference }));
    }
    let kek = match stored.double_wrapping {
        Some(true) => Some(WrappedKek {
            id: BASE64_STANDARD
                .decode(
                    stored
                        .key_encryption_key_id
                        .ok_or_else(|| lacks("keyEncryptionKeyID"))?,
                )
                .map_err(|_| unusable("keyEncryptionKeyID is not base64"))?,
            wrapped: stored.wrapped_kek.ok_or_else(|| lacks("wrappedKEK"))?,
        }),
        _ => None,
    };
    Ok(Some(KeyMaterial::Wrapped(WrappedKey {
        master_key_id: stored.master_key_id.ok_or_else(|| lacks("masterKeyID"))?,
        wrapped_key: stored.wrapped_dek.ok_or_else(|| lacks("wrappedDEK"))?,
        kek,
    })))
}

impl KeyMaterial {
    /// As key metadata of a file that holds it.
    pub(crate) fn to_metadata(&self, of: PartKind) -> String {
        match self {
            KeyMaterial::External { reference } => Stored {
                internal_storage: Some(false),
                key_reference: Some(reference.clone()),
                ..Stored::default()
            }
            .into_json(),
            KeyMaterial::Wrapped(wrapped) => Stored {
                internal_storage: Some(true),
                ..wrapped.stored(of)
            }
            .into_json(),
        }
    }
}

impl WrappedKey {
    /// As it lies beside a file that refers to it.
    pub(crate) fn to_external(&self, of: PartKind) -> String {
        self.stored(of).into_json()
    }

    fn stored(&self, of: PartKind) -> Stored {
        let footer = of == PartKind::Footer;
        let service = footer.then(|| UNNAMED_SERVICE.to_owned());
        let kek = self.kek.as_ref();
        Stored {
            is_footer_key: Some(footer),
            kms_instance_id: service.clone(),
            kms_instance_url: service,
            master_key_id: Some(self.master_key_id.clone()),
            wrapped_dek: Some(self.wrapped_key.clone()),
            double_wrapping: Some(kek.is_some()),
            key_encryption_key_id: kek.map(|kek| BASE64_STANDARD.encode(&kek.id)),
            wrapped_kek: kek.map(|kek| kek.wrapped.clone()),
            ..Stored::default()
        }
    }
}

/// Whose key it is: other readers look for a key service in the footer's only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    Footer,
    Column,
}

/// The JSON. A KMS address in it is ignored: files do not tell us whom to send our credentials.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    key_material_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_storage: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_footer_key: Option<bool>,
    #[serde(rename = "kmsInstanceID", skip_serializing_if = "Option::is_none")]
    kms_instance_id: Option<String>,
    #[serde(rename = "kmsInstanceURL", skip_serializing_if = "Option::is_none")]
    kms_instance_url: Option<String>,
    #[serde(rename = "masterKeyID", skip_serializing_if = "Option::is_none")]
    master_key_id: Option<String>,
    #[serde(rename = "wrappedDEK", skip_serializing_if = "Option::is_none")]
    wrapped_dek: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    double_wrapping: Option<bool>,
    #[serde(rename = "keyEncryptionKeyID", skip_serializing_if = "Option::is_none")]
    key_encryption_key_id: Option<String>,
    #[serde(rename = "wrappedKEK", skip_serializing_if = "Option::is_none")]
    wrapped_kek: Option<String>,
}

impl Stored {
    fn into_json(mut self) -> String {
        PKMT1.clone_into(&mut self.key_material_type);
        serde_json::to_string(&self).expect("text and flags are always JSON")
    }
}

const PKMT1: &str = "PKMT1";
/// What other writers say where no particular service is meant.
const UNNAMED_SERVICE: &str = "DEFAULT";

fn lacks(field: &str) -> KeyError {
    unusable(format!("it lacks {field}"))
}

fn unusable(reason: impl ToString) -> KeyError {
    KeyError::Material {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(json: &str) -> KeyMaterial {
        parse(json.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn single_double_and_external() {
        let single = r#"{"keyMaterialType":"PKMT1","internalStorage":true,"isFooterKey":true,"kmsInstanceID":"D",
            "kmsInstanceURL":"http://evil","masterKeyID":"kf","wrappedDEK":"w","doubleWrapping":false}"#;
        let wrapped = WrappedKey {
            master_key_id: "kf".to_owned(),
            wrapped_key: "w".to_owned(),
            kek: None,
        };
        assert_eq!(material(single), KeyMaterial::Wrapped(wrapped));
        let double = r#"{"keyMaterialType":"PKMT1","masterKeyID":"k","wrappedDEK":"w","doubleWrapping":true,
            "keyEncryptionKeyID":"AAE=","wrappedKEK":"x"}"#;
        let KeyMaterial::Wrapped(double) = material(double) else {
            panic!("not wrapped")
        };
        assert_eq!(double.kek.unwrap().id, [0, 1]);
        let external =
            r#"{"keyMaterialType":"PKMT1","internalStorage":false,"keyReference":"footerKey"}"#;
        let reference = "footerKey".to_owned();
        assert_eq!(material(external), KeyMaterial::External { reference });
    }

    #[test]
    fn what_is_written_is_read_and_looks_like_others() {
        let single = WrappedKey {
            master_key_id: "kf".to_owned(),
            wrapped_key: "w".to_owned(),
            kek: None,
        };
        let double = WrappedKey {
            kek: Some(WrappedKek {
                id: vec![0, 1],
                wrapped: "x".to_owned(),
            }),
            master_key_id: "kc".to_owned(),
            wrapped_key: "w".to_owned(),
        };
        assert_eq!(
            double.to_external(PartKind::Column),
            r#"{"keyMaterialType":"PKMT1","isFooterKey":false,"masterKeyID":"kc","wrappedDEK":"w","doubleWrapping":true,"keyEncryptionKeyID":"AAE=","wrappedKEK":"x"}"#
        );
        assert_eq!(
            material(&double.to_external(PartKind::Column)),
            KeyMaterial::Wrapped(double)
        );
        let single = KeyMaterial::Wrapped(single);
        let metadata = single.to_metadata(PartKind::Footer);
        assert_eq!(
            metadata,
            r#"{"keyMaterialType":"PKMT1","internalStorage":true,"isFooterKey":true,"kmsInstanceID":"DEFAULT","kmsInstanceURL":"DEFAULT","masterKeyID":"kf","wrappedDEK":"w","doubleWrapping":false}"#
        );
        assert_eq!(material(&metadata), single);
        let reference = KeyMaterial::External {
            reference: "columnKey0".to_owned(),
        };
        let metadata = reference.to_metadata(PartKind::Column);
        assert_eq!(
            metadata,
            r#"{"keyMaterialType":"PKMT1","internalStorage":false,"keyReference":"columnKey0"}"#
        );
        assert_eq!(material(&metadata), reference);
    }

    #[test]
    fn names_are_no_material_and_broken_material_is_an_error() {
        for name in [&b"kf"[..], b"", b"\xff\x00"] {
            assert_eq!(parse(name).unwrap(), None);
        }
        for broken in [
            "{",
            "{}",
            r#"{"keyMaterialType":"PKMT2"}"#,
            r#"{"keyMaterialType":"PKMT1","wrappedDEK":"w"}"#,
            r#"{"keyMaterialType":"PKMT1","internalStorage":false}"#,
            r#"{"keyMaterialType":"PKMT1","masterKeyID":"k","wrappedDEK":"w","doubleWrapping":true}"#,
        ] {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
