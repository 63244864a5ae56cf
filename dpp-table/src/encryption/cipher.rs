//! AES-GCM under one key, as Parquet uses it. Sealed things are stored as nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).

use std::fmt;

use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AeadInOut, AesGcm, KeyInit};

use crate::encryption::keys::SecretKey;

/// A key made ready to be used; wiped when dropped and never shown.
pub(crate) struct Cipher(Sized);

enum Sized {
    B128(Box<AesGcm<Aes128, U12>>),
    B192(Box<AesGcm<Aes192, U12>>),
    B256(Box<AesGcm<Aes256, U12>>),
}

impl Cipher {
    pub(crate) fn new(key: &SecretKey) -> Cipher {
        fn sized<C: KeyInit>(key: &SecretKey) -> Box<C> {
            Box::new(C::new_from_slice(key.bytes()).expect("it has the length it was sorted by"))
        }
        Cipher(match key.bytes().len() {
            16 => Sized::B128(sized(key)),
            24 => Sized::B192(sized(key)),
            _ => Sized::B256(sized(key)),
        })
    }

    /// Opens what was sealed into `opened`, in place of what that holds; `None` when key or `aad` are other ones.
    pub(crate) fn open(&self, sealed: &[u8], aad: &[u8], opened: &mut Vec<u8>) -> Option<()> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        opened.clear();
        opened.resize(ciphertext.len(), 0);
        let (nonce, tag) = (&Array::from(*nonce), &Array::from(*tag));
        let text = InOutBuf::new(ciphertext, &mut opened[..]).ok()?;
        let opening = match &self.0 {
            Sized::B128(aes) => aes.decrypt_inout_detached(nonce, aad, text, tag),
            Sized::B192(aes) => aes.decrypt_inout_detached(nonce, aad, text, tag),
            Sized::B256(aes) => aes.decrypt_inout_detached(nonce, aad, text, tag),
        };
        opening.ok()
    }

    /// Seals `plain` under a nonce that must not repeat for the key.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_BYTES], plain: &[u8], aad: &[u8]) -> Vec<u8> {
        let mut sealed = [&nonce[..], plain].concat();
        let text = InOutBuf::from(&mut sealed[NONCE_BYTES..]);
        let nonce = &Array::from(nonce);
        let tag = match &self.0 {
            Sized::B128(aes) => aes.encrypt_inout_detached(nonce, aad, text),
            Sized::B192(aes) => aes.encrypt_inout_detached(nonce, aad, text),
            Sized::B256(aes) => aes.encrypt_inout_detached(nonce, aad, text),
        };
        sealed.extend_from_slice(&tag.expect("it is shorter than what AES-GCM can seal"));
        sealed
    }

    /// Whether a text was signed: its tag was made as if it had been sealed, and it was left as it is.
    pub(crate) fn has_signed(
        &self,
        text: &[u8],
        nonce: [u8; NONCE_BYTES],
        tag: &[u8],
        aad: &[u8],
    ) -> bool {
        self.seal(nonce, text, aad).ends_with(tag)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cipher")
    }
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
        16 => Aes128::new_from_slice(key.bytes())
            .ok()?
            .encrypt_block(&mut stream),
        24 => Aes192::new_from_slice(key.bytes())
            .ok()?
            .encrypt_block(&mut stream),
        _ => Aes256::new_from_slice(key.bytes())
            .ok()?
            .encrypt_block(&mut stream),
    }
    Some(std::array::from_fn(|at| stream[at] ^ ciphertext[at]))
}

/// Bytes of an AES-GCM nonce.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of what says that nothing was altered.
pub(crate) const TAG_BYTES: usize = 16;
/// AES-GCM keeps counter 1 for the tag.
const FIRST_COUNTER: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_the_same_key_and_aad_only() {
        for length in [16, 24, 32] {
            let key = SecretKey::new(vec![7; length]).unwrap();
            let cipher = Cipher::new(&key);
            let plain = b"sixteen bytes it and more";
            let sealed = cipher.seal([1; 12], plain, b"aad");
            assert_eq!(sealed.len(), 12 + plain.len() + 16);
            let mut opened = b"left over".to_vec();
            cipher.open(&sealed, b"aad", &mut opened).unwrap();
            assert_eq!(opened, plain);
            assert_eq!(unverified_first_block(&key, &sealed).unwrap(), plain[..16]);
            assert!(cipher.open(&sealed, b"other", &mut opened).is_none());
            let other = Cipher::new(&SecretKey::new(vec![8; length]).unwrap());
            assert!(other.open(&sealed, b"aad", &mut opened).is_none());
            for short in [&sealed[..11], &sealed[..27], &sealed[..28]] {
                assert!(cipher.open(short, b"aad", &mut opened).is_none());
            }
            let tag = &sealed[sealed.len() - 16..];
            assert!(cipher.has_signed(plain, [1; 12], tag, b"aad"));
            assert!(!cipher.has_signed(plain, [2; 12], tag, b"aad"));
            assert!(!cipher.has_signed(b"another text", [1; 12], tag, b"aad"));
            assert_eq!(format!("{cipher:?}"), "Cipher");
        }
    }
}
