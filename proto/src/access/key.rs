//! Keys that sign tokens, and those that vouch for what was signed: Ed25519, as PEM, as `openssl genpkey` writes them too.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    error::Unspecified,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};

use crate::listen::Error;

/// Signs tokens. Whoever has it may make any.
pub struct SigningKey(Ed25519KeyPair);

/// Tells tokens of one signing key from others. No secret.
#[derive(Clone)]
pub struct PublicKey(ParsedPublicKey);

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> io::Result<SigningKey> {
        let made = Ed25519KeyPair::generate();
        made.map(SigningKey).map_err(|Unspecified| {
            io::Error::other("no key can be made: the system gives no randomness")
        })
    }

    /// Reads a private key in PKCS #8.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be read, [`Error::TokenKey`] when it is no such key.
    pub fn read(path: &Path) -> Result<SigningKey, Error> {
        let wrong = || Error::TokenKey {
            path: path.to_owned(),
            wanted: "private",
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(&read(path)?).map_err(|_| wrong())?;
        let key = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der());
        key.map(SigningKey).map_err(|_| wrong())
    }

    /// Writes it to `path`, for its owner only, and the public one beside it, with `.pub` in the end.
    ///
    /// # Errors
    /// There is a file already, or it can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let failed = |Unspecified| io::Error::other("the key can't be encoded");
        let private = self.0.to_pkcs8v1().map_err(failed)?;
        let public = self.0.public_key().as_der().map_err(failed)?;
        let public: &PublicKeyX509Der<'_> = &public;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(pem("PRIVATE KEY", private.as_ref()).as_bytes())?;
        let mut name = path.as_os_str().to_owned();
        name.push(".pub");
        fs::write(name, pem("PUBLIC KEY", public.as_ref()))
    }

    /// The key that vouches for what this one signs.
    pub fn public_key(&self) -> PublicKey {
        let raw = self.0.public_key().as_ref();
        PublicKey(ParsedPublicKey::new(&ED25519, raw).expect("it is that of a pair"))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl PublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be read, [`Error::TokenKey`] when it is no such key.
    pub fn read(path: &Path) -> Result<PublicKey, Error> {
        let wrong = || Error::TokenKey {
            path: path.to_owned(),
            wanted: "public",
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(&read(path)?).map_err(|_| wrong())?;
        let key = ParsedPublicKey::new(&ED25519, der.as_ref());
        key.map(PublicKey).map_err(|_| wrong())
    }

    pub(super) fn vouches_for(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

/// Says nothing that is secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PublicKey")
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!(
        "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
        lines.join("\n")
    )
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
