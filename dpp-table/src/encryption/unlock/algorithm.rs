//! How a file says that it is encrypted: before an encrypted footer, or within a plaintext one. Pure.

use crate::error::Error;
use crate::thrift::{BINARY, MAX_DEPTH, STOP, STRUCT, TRUE, Thrift};

/// What has to be known before anything of a file can be opened.
#[derive(Debug)]
pub(crate) struct Algorithm {
    /// Whether pages have no tags (AES_GCM_CTR_V1).
    is_ctr: bool,
    aad_prefix: Vec<u8>,
    file_unique: Vec<u8>,
    wants_prefix: bool,
    /// How the footer's key is found.
    pub(super) key_metadata: Option<Vec<u8>>,
}

impl Algorithm {
    /// Of what stands before an encrypted footer, and the sealed footer, as a module.
    pub(super) fn before_footer(stored: &[u8]) -> Option<(Algorithm, &[u8])> {
        let mut thrift = Thrift(stored);
        let (mut algorithm, mut key_metadata) = (None, None);
        let mut field = 0;
        loop {
            let (id, kind) = thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (1, STRUCT) => algorithm = Some(thrift.value(STRUCT)?),
                (2, BINARY) => key_metadata = Some(thrift.binary()?),
                _ => thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        Some((Algorithm::parse(algorithm?, key_metadata)?, thrift.0))
    }

    /// Of the struct that names it, and of how the footer's key is found.
    pub(crate) fn parse(stored: &[u8], key_metadata: Option<&[u8]>) -> Option<Algorithm> {
        let mut thrift = Thrift(stored);
        let (which, STRUCT) = thrift.field(0)? else {
            return None;
        };
        let is_ctr = match which {
            GCM => false,
            GCM_CTR => true,
            _ => return None,
        };
        let (mut aad_prefix, mut file_unique, mut wants_prefix) = (Vec::new(), Vec::new(), false);
        let mut field = 0;
        loop {
            let (id, kind) = thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (1, BINARY) => aad_prefix = thrift.binary()?.to_vec(),
                (2, BINARY) => file_unique = thrift.binary()?.to_vec(),
                (3, TRUE) => wants_prefix = true,
                _ => thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        Some(Algorithm {
            is_ctr,
            aad_prefix,
            file_unique,
            wants_prefix,
            // some writers leave it empty
            key_metadata: key_metadata.filter(|it| !it.is_empty()).map(<[u8]>::to_vec),
        })
    }

    /// What of the file's identity is authenticated with each of its modules. A `given` prefix goes before a stored one.
    pub(super) fn file_aad(&self, name: &str, given: Option<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let path = || name.to_owned();
        if self.is_ctr {
            return Err(Error::Cipher { path: path() });
        }
        if self.wants_prefix && given.is_none() {
            let reason = "it was written with an AAD prefix that it does not store; give the prefix with the keys".to_owned();
            return Err(Error::AadPrefix {
                path: path(),
                reason,
            });
        }
        let prefix = given.unwrap_or_else(|| self.aad_prefix.clone());
        Ok([prefix, self.file_unique.clone()].concat())
    }
}

const GCM: i64 = 1;
const GCM_CTR: i64 = 2;
