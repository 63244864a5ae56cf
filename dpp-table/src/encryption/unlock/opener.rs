//! What opens a file, as far as its keys are known; and whose key a column chunk is sealed with. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::encryption::cipher::{Cipher, NONCE_BYTES, TAG_BYTES};
use crate::encryption::module::{self, Module};
use crate::thrift::{BINARY, LIST, MAX_DEPTH, STOP, STRUCT, Thrift};

/// The ciphers of a file.
#[derive(Clone)]
pub(crate) struct Opener {
    pub(crate) file_aad: Arc<[u8]>,
    footer: Arc<Cipher>,
    /// By path, as the file writes it.
    pub(super) columns: BTreeMap<String, Arc<Cipher>>,
}

/// Whose key a column chunk is sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChunkKey {
    /// The footer's.
    Footer,
    /// One of the column's own.
    Own {
        /// The column's path as the file writes it.
        column: String,
        /// How the key is found.
        metadata: Option<Vec<u8>>,
    },
}

impl Opener {
    pub(super) fn new(footer: Cipher, file_aad: Vec<u8>) -> Opener {
        Opener {
            file_aad: file_aad.into(),
            footer: Arc::new(footer),
            columns: BTreeMap::new(),
        }
    }

    /// `None` where the key is not known.
    pub(crate) fn cipher(&self, key: &ChunkKey) -> Option<&Arc<Cipher>> {
        match key {
            ChunkKey::Footer => Some(&self.footer),
            ChunkKey::Own { column, .. } => self.columns.get(column),
        }
    }

    /// Opens a module that was sealed with a key; `None` if that is not known, and as [`module::open`] has it.
    pub(crate) fn open(&self, key: &ChunkKey, stored: &[u8], module: Module) -> Option<Vec<u8>> {
        let mut opened = Vec::new();
        module::open(
            self.cipher(key)?,
            stored,
            module,
            &self.file_aad,
            &mut opened,
        )?;
        Some(opened)
    }

    /// Whether the footer's key signed a plaintext footer: its metadata ‖ nonce ‖ tag.
    pub(super) fn has_signed(&self, footer: &[u8]) -> Option<bool> {
        let (rest, tag) = footer.split_last_chunk::<TAG_BYTES>()?;
        let (metadata, nonce) = rest.split_last_chunk::<NONCE_BYTES>()?;
        let aad = Module::Footer.aad(&self.file_aad)?;
        Some(self.footer.has_signed(metadata, *nonce, tag, &aad))
    }
}

impl ChunkKey {
    /// As a column chunk's description has it.
    pub(crate) fn parse(stored: &[u8]) -> Option<ChunkKey> {
        let mut thrift = Thrift(stored);
        match thrift.field(0)? {
            (1, STRUCT) => Some(ChunkKey::Footer),
            (2, STRUCT) => ChunkKey::own(&mut thrift),
            _ => None,
        }
    }

    fn own(thrift: &mut Thrift<'_>) -> Option<ChunkKey> {
        let (mut path, mut metadata) = (None, None);
        let mut field = 0;
        loop {
            let (id, kind) = thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (1, LIST) => path = Some(texts(thrift)?),
                (2, BINARY) => metadata = Some(thrift.binary()?.to_vec()),
                _ => thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        Some(ChunkKey::Own {
            column: path?.join("."),
            metadata,
        })
    }
}

fn texts<'a>(thrift: &mut Thrift<'a>) -> Option<Vec<&'a str>> {
    let (count, BINARY) = thrift.list()? else {
        return None;
    };
    let texts = (0..count).map(|_| std::str::from_utf8(thrift.binary()?).ok());
    texts.collect()
}
