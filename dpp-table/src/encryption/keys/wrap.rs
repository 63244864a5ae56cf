//! AES-GCM over small things: keys wrapped by keys. Stored as nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).

use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AesGcm, KeyInit};
use zeroize::Zeroizing;

use super::SecretKey;

/// Opens what [`seal`] or another writer sealed; `None` when key or `aad` are other ones.
pub(crate) fn open(key: &SecretKey, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg, aad };
    let nonce = &Array::from(*nonce);
    let opened = match key.bytes().len() {
        16 => cipher::<AesGcm<Aes128, U12>>(key)?.decrypt(nonce, payload),
        24 => cipher::<AesGcm<Aes192, U12>>(key)?.decrypt(nonce, payload),
        _ => cipher::<AesGcm<Aes256, U12>>(key)?.decrypt(nonce, payload),
    };
    opened.ok().map(Zeroizing::new)
}

/// Seals `plain` under a nonce that must not repeat for the key.
pub(crate) fn seal(key: &SecretKey, nonce: [u8; NONCE_BYTES], plain: &[u8], aad: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad };
    let array = &Array::from(nonce);
    let sealed = match key.bytes().len() {
        16 => cipher::<AesGcm<Aes128, U12>>(key).and_then(|it| it.encrypt(array, payload).ok()),
        24 => cipher::<AesGcm<Aes192, U12>>(key).and_then(|it| it.encrypt(array, payload).ok()),
        _ => cipher::<AesGcm<Aes256, U12>>(key).and_then(|it| it.encrypt(array, payload).ok()),
    };
    let sealed = sealed.expect("a key is shorter than what AES-GCM can seal");
    [&nonce[..], &sealed].concat()
}

/// The first block of what was sealed, decrypted without asking whether it is authentic: only to tell why opening
/// failed, never to be used.
pub(crate) fn unverified_first_block(key: &SecretKey, sealed: &[u8]) -> Option<[u8; 16]> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let ciphertext = ciphertext.first_chunk::<16>()?;
    let mut block = [0; 16];
    block[..NONCE_BYTES].copy_from_slice(nonce);
    block[15] = FIRST_COUNTER;
    let mut stream = Array::from(block);
    match key.bytes().len() {
        16 => cipher::<Aes128>(key)?.encrypt_block(&mut stream),
        24 => cipher::<Aes192>(key)?.encrypt_block(&mut stream),
        _ => cipher::<Aes256>(key)?.encrypt_block(&mut stream),
    }
    Some(std::array::from_fn(|at| stream[at] ^ ciphertext[at]))
}

fn cipher<C: KeyInit>(key: &SecretKey) -> Option<C> {
    C::new_from_slice(key.bytes()).ok()
}

/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// AES-GCM keeps counter 1 for the tag.
const FIRST_COUNTER: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_the_same_key_and_aad_only() {
        for length in [16, 24, 32] {
            let key = SecretKey::new(vec![7; length]).unwrap();
            let sealed = seal(&key, [1; 12], b"sixteen bytes it", b"aad");
            assert_eq!(sealed.len(), 12 + 16 + 16);
            assert_eq!(
                open(&key, &sealed, b"aad").unwrap().as_slice(),
                b"sixteen bytes it"
            );
            assert_eq!(
                &unverified_first_block(&key, &sealed).unwrap(),
                b"sixteen bytes it"
            );
            assert!(open(&key, &sealed, b"other").is_none());
            let other = SecretKey::new(vec![8; length]).unwrap();
            assert!(open(&other, &sealed, b"aad").is_none());
            assert!(open(&key, &sealed[..11], b"aad").is_none());
        }
    }
}
