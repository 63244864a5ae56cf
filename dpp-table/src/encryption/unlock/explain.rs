//! Why a footer does not open: the decoder's text, sorted by what the caller can do. Pure.

use parquet::errors::ParquetError;

use super::StoredFooter;
use crate::encryption::keys::SecretKey;
use crate::encryption::keys::wrap::unverified_first_block;
use crate::error::Error;
use crate::footer::load::TAIL_BYTES;

/// Why a footer does not decode with keys.
pub(super) fn explain(
    name: &str,
    stored: &StoredFooter,
    footer_key: &SecretKey,
    error: &ParquetError,
) -> Error {
    let text = error.to_string();
    let path = name.to_owned();
    if text.contains("unable to decrypt parquet footer") {
        return match is_right(stored, footer_key) {
                true => Error::AadPrefix {
                    path,
                    reason: "the key is right, but the file was written with another AAD prefix: it may have \
                             been swapped"
                        .to_owned(),
                },
                false => Error::WrongKey {
                    path,
                    part: "footer".to_owned(),
                },
            };
    }
    if text.contains("Footer signature verification failed") {
        return Error::Signature { path };
    }
    match text.split_once("Unable to decrypt column '") {
        Some((_, rest)) => Error::WrongKey {
            path,
            part: format!("column {}", rest.split('\'').next().unwrap_or_default()),
        },
        None => refused(name, error),
    }
}

/// What is known of a failure before any key was tried.
pub(super) fn refused(name: &str, error: &ParquetError) -> Error {
    let text = error.to_string();
    let path = name.to_owned();
    if text.contains("AAD prefix") {
        let reason = "it was written with an AAD prefix that it does not store; give the prefix with the keys".to_owned();
        return Error::AadPrefix { path, reason };
    }
    match text.contains("AES_GCM_CTR_V1") {
        true => Error::Cipher { path },
        false => Error::corrupt(name, text),
    }
}

/// Whether a key that did not open the encrypted footer is right all the same: then its first bytes decrypt to what
/// every footer begins with, and only what is authenticated beside them differs.
fn is_right(stored: &StoredFooter, footer_key: &SecretKey) -> bool {
    let footer = &stored.bytes[..stored.bytes.len() - TAIL_BYTES];
    // the sealed part follows crypto metadata of unknown length, and is preceded by its own length
    let sealed = (0..footer.len()).find_map(|at| {
        let (length, sealed) = footer[at..].split_first_chunk::<4>()?;
        (u32::from_le_bytes(*length) as usize == sealed.len()).then_some(sealed)
    });
    let begins = sealed.and_then(|sealed| unverified_first_block(footer_key, sealed));
    // field 1, a small i32 (version); field 2, a list (schema)
    begins.is_some_and(|begins| begins[0] == 0x15 && begins[2] == 0x19)
}
