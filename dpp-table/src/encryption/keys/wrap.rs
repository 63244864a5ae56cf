//! Keys wrapped by keys.

use zeroize::Zeroizing;

use super::SecretKey;
use crate::encryption::cipher::Cipher;
pub(crate) use crate::encryption::cipher::NONCE_BYTES;

/// Opens what [`seal`] or another writer sealed; `None` when key or `aad` are other ones.
pub(crate) fn open(key: &SecretKey, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut opened = Zeroizing::new(Vec::new());
    Cipher::new(key).open(sealed, aad, &mut opened)?;
    Some(opened)
}

/// Seals `plain` under a nonce that must not repeat for the key.
pub(crate) fn seal(key: &SecretKey, nonce: [u8; NONCE_BYTES], plain: &[u8], aad: &[u8]) -> Vec<u8> {
    Cipher::new(key).seal(nonce, plain, aad)
}
