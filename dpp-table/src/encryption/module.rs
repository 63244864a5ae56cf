//! Modules: the parts of an encrypted file that are sealed one by one, each tied to its place. Pure.
//!
//! ```text
//! stored          length (4 bytes) │ nonce ‖ ciphertext ‖ tag
//! authenticated   AAD of the file │ kind │ row group │ column │ page          the last ones as far as a kind has them
//! ```
//!
//! As the format's definition (Encryption.md) has them.

use crate::encryption::cipher::{Cipher, NONCE_BYTES, TAG_BYTES};

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Footer,
    ColumnMetaData(ChunkPlace),
    DictionaryPage(ChunkPlace, Part),
    /// With its ordinal among the chunk's data pages.
    DataPage(ChunkPlace, Part, usize),
    OffsetIndex(ChunkPlace),
}

/// Of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Header,
    Body,
}

/// Of a column chunk in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) row_group: usize,
    /// Among the leaves.
    pub(crate) column: usize,
}

impl Module {
    fn kind(self) -> u8 {
        match self {
            Module::Footer => 0,
            Module::ColumnMetaData(_) => 1,
            Module::DataPage(_, Part::Body, _) => 2,
            Module::DictionaryPage(_, Part::Body) => 3,
            Module::DataPage(_, Part::Header, _) => 4,
            Module::DictionaryPage(_, Part::Header) => 5,
            Module::OffsetIndex(_) => 7,
        }
    }

    /// What is authenticated beside a module; `None` of a place that is beyond what can be written there.
    pub(crate) fn aad(self, file: &[u8]) -> Option<Vec<u8>> {
        let (place, page) = match self {
            Module::Footer => (None, None),
            Module::ColumnMetaData(place)
            | Module::DictionaryPage(place, _)
            | Module::OffsetIndex(place) => (Some(place), None),
            Module::DataPage(place, _, page) => (Some(place), Some(page)),
        };
        let mut aad = Vec::with_capacity(file.len() + 7);
        aad.extend_from_slice(file);
        aad.push(self.kind());
        let ordinals = place
            .into_iter()
            .flat_map(|place| [place.row_group, place.column]);
        for ordinal in ordinals.chain(page) {
            aad.extend_from_slice(&i16::try_from(ordinal).ok()?.to_le_bytes());
        }
        Some(aad)
    }
}

/// Opens a module that was stored with its length, into `opened` in place of what that holds; `None` where key, place or file
/// are other ones, or bytes were altered.
pub(crate) fn open(
    cipher: &Cipher,
    stored: &[u8],
    module: Module,
    file_aad: &[u8],
    opened: &mut Vec<u8>,
) -> Option<()> {
    let (length, sealed) = stored.split_first_chunk::<LENGTH_BYTES>()?;
    let sealed = sealed.get(..u32::from_le_bytes(*length) as usize)?;
    cipher.open(sealed, &module.aad(file_aad)?, opened)
}

/// Bytes of a module's length.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Bytes that a module has more than what is sealed in it.
pub(crate) const SEALING_BYTES: usize = LENGTH_BYTES + NONCE_BYTES + TAG_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_the_format_has_them() {
        let place = ChunkPlace {
            row_group: 1,
            column: 0x0203,
        };
        let aad = |module: Module| module.aad(b"f").unwrap();
        assert_eq!(aad(Module::Footer), b"f\0");
        assert_eq!(aad(Module::ColumnMetaData(place)), b"f\x01\x01\0\x03\x02");
        assert_eq!(
            aad(Module::DictionaryPage(place, Part::Header)),
            b"f\x05\x01\0\x03\x02"
        );
        assert_eq!(
            aad(Module::DataPage(place, Part::Body, 9)),
            b"f\x02\x01\0\x03\x02\x09\0"
        );
        assert_eq!(aad(Module::OffsetIndex(place)), b"f\x07\x01\0\x03\x02");
        assert_eq!(Module::DataPage(place, Part::Body, 40_000).aad(b"f"), None);
    }
}
