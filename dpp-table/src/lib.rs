//! The table at rest: which files a run reads, and their rows as Arrow.
//!
//! In data order: a URL becomes a `store`; its listing, the files' `footer`s and a filter on partitions ([`predicate`])
//! a [`Snapshot`]; the files' schemas the table's `features`. A piece of a file is then planned, fetched and decoded by
//! `read`. Rows are written by `write`. Encrypted files open by `encryption`. [`Table`] is the door.

mod error;
pub mod metrics;

mod files;
mod options;
mod thrift;

mod store;

mod snapshot;

mod footer;

mod encryption;

mod features;

mod read;

mod write;

mod stored_columns;

mod table;

mod usage;

mod verify;

#[cfg(feature = "aws-kms")]
pub use encryption::keys::AwsKmsPlace;
#[cfg(feature = "vault")]
pub use encryption::keys::VaultPlace;
pub use encryption::keys::{
    KeyBits, KeyError, KeyProvider, KeyRing, KeySource, SecretKey, WantedKey,
};
pub use encryption::lock::{
    EncryptionPlan, EncryptionSettings, EncryptionStyle, FileEncryption, key_material_name,
};
pub use error::Error;
pub use features::{rows, text_id::text_id};
pub use footer::statistics::{ColumnBounds, StoredExtent};
pub use options::TableOptions;
pub use read::coalesce::{CoalesceSettings, coalesce};
pub use read::convert::arrow_type;
pub use read::decode::PieceBatches;
pub use read::fetch::{FetchedPiece, PieceRequest, ReadCounters};
pub use read::size::PieceSize;
pub use read::value_map::{MapValues, ValueMap};
pub use snapshot::place::SnapshotPlace;
pub use snapshot::take::Opened;
pub use snapshot::{Snapshot, predicate};
pub use store::disk::DiskCache;
pub use store::kept::StoredCache;
pub use store::object::{object_place, read_object, write_object};
pub use stored_columns::{ColumnKey, StoredColumn};
pub use table::{Description, Table};
pub use usage::Usage;
pub use verify::{Difference, Place, Verdict, verify};
pub use write::measure::{EncodingMeasured, Measured};
pub use write::order::order_by_usage;
pub use write::rewrite::{RewriteSettings, Rewritten, Watch, rewrite};
pub use write::rows::{TableSettings, Written, write_table};
pub use write::settings::{Codec, ColumnEncoding, WriteSettings};
