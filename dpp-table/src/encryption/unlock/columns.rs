//! Which columns of a projection are encrypted. Pure.

use parquet::file::column_crypto_metadata::ColumnCryptoMetaData;
use parquet::file::metadata::ParquetMetaData;

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
pub(super) fn locked(footer: &ParquetMetaData, leaves: &[usize]) -> Option<Locked> {
    let group = footer.row_groups().first()?;
    let projected = leaves.iter().map(|leaf| group.column(*leaf));
    let mut encrypted = projected.filter_map(|column| Some((column, column.crypto_metadata()?)));
    let (column, crypto) = encrypted.next()?;
    let own_key = |crypto: &ColumnCryptoMetaData| match crypto {
        ColumnCryptoMetaData::ENCRYPTION_WITH_COLUMN_KEY(own) => {
            Some((own.path_in_schema.join("."), own.key_metadata.clone()))
        }
        ColumnCryptoMetaData::ENCRYPTION_WITH_FOOTER_KEY => None,
    };
    let others = encrypted.filter_map(|(_, crypto)| own_key(crypto));
    Some(Locked {
        first: column.column_path().string(),
        columns: own_key(crypto).into_iter().chain(others).collect(),
    })
}
