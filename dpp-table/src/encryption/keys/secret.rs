//! Key bytes that are wiped when dropped and never shown.

use std::fmt;

use aes_gcm::aead::Generate;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::KeyError;

/// An AES key: 16, 24 or 32 bytes. `Debug` shows how many, nothing else.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// Takes key bytes. Fails unless there are 16, 24 or 32.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<SecretKey, KeyError> {
        let bytes = Zeroizing::new(bytes.into());
        match bytes.len() {
            16 | 24 | 32 => Ok(SecretKey(bytes)),
            other => Err(KeyError::Length { bytes: other }),
        }
    }

    /// Takes key bytes in base64.
    pub fn from_base64(text: &str) -> Result<SecretKey, KeyError> {
        let bytes = BASE64_STANDARD.decode(text.trim());
        SecretKey::new(bytes.map_err(|_| KeyError::Material {
            reason: "a key is not base64".to_owned(),
        })?)
    }

    /// A new random key. Fails when the system gives no random numbers.
    pub(crate) fn generate(bits: KeyBits) -> Result<SecretKey, KeyError> {
        match bits {
            KeyBits::B128 => random::<16>().and_then(SecretKey::new),
            KeyBits::B256 => random::<32>().and_then(SecretKey::new),
        }
    }

    /// The bytes themselves: for ciphers only.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey({} bytes)", self.0.len())
    }
}

/// Length of a key in bits: what readers and writers of Parquet agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub enum KeyBits {
    /// AES-128.
    #[default]
    B128,
    /// AES-256.
    B256,
}

impl TryFrom<u32> for KeyBits {
    type Error = &'static str;

    fn try_from(bits: u32) -> Result<KeyBits, &'static str> {
        match bits {
            128 => Ok(KeyBits::B128),
            256 => Ok(KeyBits::B256),
            _ => Err("a data key has 128 or 256 bits"),
        }
    }
}

/// Random bytes of the system: keys, nonces and names that must not repeat.
pub(crate) fn random<const BYTES: usize>() -> Result<[u8; BYTES], KeyError> {
    <[u8; BYTES]>::try_generate().map_err(|error| KeyError::Random {
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_length_is_shown() {
        let key = SecretKey::new(*b"hunter2hunter2!!").unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(16 bytes)");
        let error = SecretKey::new(*b"hunter2").unwrap_err();
        assert!(error.to_string().contains("7 bytes"), "{error}");
        let error = SecretKey::from_base64("hunter2!").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
