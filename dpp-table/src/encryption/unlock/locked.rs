//! Which columns of a projection are encrypted. Pure.

use super::opener::ChunkKey;
use crate::footer::Footer;

/// A column with a key of its own: its path as the file writes it, and its key metadata.
pub(super) type LockedColumn = (String, Option<Vec<u8>>);

/// The encrypted columns of a projection; there is at least one.
pub(super) struct Locked {
    /// The first one, for messages.
    pub(super) first: String,
    /// Those with keys of their own; the others are encrypted with the footer's.
    pub(super) columns: Vec<LockedColumn>,
}

/// `None` when none is encrypted.
pub(super) fn locked(footer: &Footer, leaves: &[usize]) -> Option<Locked> {
    let keys = leaves
        .iter()
        .filter_map(|leaf| Some((leaf, footer.key_of(0, *leaf)?)));
    let (mut first, mut columns) = (None, Vec::new());
    for (leaf, key) in keys {
        match key {
            ChunkKey::Footer => first = first.or_else(|| Some(footer.name_of(*leaf).to_owned())),
            ChunkKey::Own { column, metadata } => {
                first = first.or_else(|| Some(column.clone()));
                columns.push((column, metadata));
            }
        }
    }
    Some(Locked {
        first: first?,
        columns,
    })
}
