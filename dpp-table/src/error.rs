//! What can go wrong between a URL and its rows, and what the caller can do about it.

use std::io;

use arrow::error::ArrowError;
use dpp_proto::{Fault, Faulty};
use parquet::errors::ParquetError;

use crate::encryption::keys::KeyError;
use crate::store::transport::SentElsewhere;

/// Why a table could not be opened, described or read. Names the URL or file it is about; never holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table's URL is not one we can open.
    #[error("can't open {url:?}: {reason}")]
    Url {
        /// The URL as given, without query and credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A storage option is unknown or refused.
    #[error("storage option {key:?} for {url}: {reason}")]
    Option {
        /// The table's URL.
        url: String,
        /// The option's key; its value may be secret and is not kept.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name given to a map's feature is refused.
    #[error("feature {entry:?} can't be called {name:?}: {reason}")]
    FeatureName {
        /// The feature, as `column[key]`.
        entry: String,
        /// The name given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no bucket or directory.
    #[error("no table at {url}: the bucket, directory or file does not exist")]
    NoTable {
        /// The table's URL.
        url: String,
    },
    /// The table is there and has nothing to read.
    #[error("table {url} is empty: {reason}")]
    Empty {
        /// The table's URL.
        url: String,
        /// What is missing.
        reason: String,
    },
    /// A file of the snapshot is gone.
    #[error("{path} is not there (any more): a run reads exactly the files of its snapshot")]
    FileGone {
        /// URL of the file.
        path: String,
    },
    /// Nothing lies where an object is said to be.
    #[error("nothing is at {url}")]
    NoObject {
        /// The object's URL.
        url: String,
    },
    /// A file of the table is a link that leads nowhere.
    #[error(
        "{path} is a link to {target}, which is not there: restore the one or remove the other"
    )]
    DanglingLink {
        /// Path of the link.
        path: String,
        /// What it leads to.
        target: String,
    },
    /// A file is not the one the snapshot names.
    #[error("{path} has changed since the snapshot was taken: {reason}")]
    Changed {
        /// URL of the file.
        path: String,
        /// What differs.
        reason: String,
    },
    /// Storage refused us.
    #[error("storage denies access to {path}")]
    Denied {
        /// URL of the file or table.
        path: String,
        /// What storage said.
        source: Box<object_store::Error>,
    },
    /// Storage sends its readers on to somewhere that nobody named.
    #[error(
        "the store of {path} sends readers on to {to}, and redirects are not followed: give the endpoint and region that the \
         bucket is reached by"
    )]
    Elsewhere {
        /// URL of the file or table.
        path: String,
        /// Scheme and host of that place.
        to: String,
    },
    /// Storage did not answer, or not usefully.
    #[error("storage can't be reached for {path}")]
    Unavailable {
        /// URL of the file or table.
        path: String,
        /// What was tried.
        source: Box<object_store::Error>,
    },
    /// A local file could not be read.
    #[error("can't read {path}")]
    Io {
        /// Path or URL of the file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Stored bytes are not what they claim to be.
    #[error("{path} can't be read as Parquet: {reason}")]
    Corrupt {
        /// URL of the file.
        path: String,
        /// What the reader met.
        reason: String,
    },
    /// The file is encrypted, and the table was opened without keys.
    #[error("{path} is encrypted ({part}), and no keys were given to read it")]
    Encrypted {
        /// URL of the file.
        path: String,
        /// What of it: `footer` or `column …`.
        part: String,
    },
    /// There is no key to decrypt with.
    #[error("no key for {part} of {path}")]
    Key {
        /// URL of the file.
        path: String,
        /// What of it: `footer` or `column …`.
        part: String,
        /// Why there is none.
        source: KeyError,
    },
    /// A file that is to be written lacks a column that is to be encrypted.
    #[error(
        "{path} has no column {column}, which is to be encrypted: mend its name, or leave it out"
    )]
    EncryptedColumn {
        /// URL or path of the file.
        path: String,
        /// The column as the settings name it.
        column: String,
    },
    /// A key does not decrypt what it should.
    #[error("the key for {part} of {path} is wrong")]
    WrongKey {
        /// URL of the file.
        path: String,
        /// What of it: `footer` or `column …`.
        part: String,
    },
    /// The AAD prefix, which says which file this is, is not known or another one.
    #[error("{path} can't be decrypted: {reason}")]
    AadPrefix {
        /// URL of the file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A plaintext footer is not the one that was signed.
    #[error(
        "the footer of {path} does not fit its signature: the footer key or the AAD prefix is another one, or the \
         file was altered or swapped"
    )]
    Signature {
        /// URL of the file.
        path: String,
    },
    /// The file is encrypted in a way we do not read.
    #[error(
        "{path} is encrypted with AES_GCM_CTR_V1, which is not supported; write it with AES_GCM_V1"
    )]
    Cipher {
        /// URL of the file.
        path: String,
    },
    /// A stored value does not fit the feature's kind.
    #[error("feature {feature} in {path} can't be read as {wanted}")]
    Value {
        /// URL of the file.
        path: String,
        /// The feature.
        feature: String,
        /// Name of the wanted kind.
        wanted: String,
        /// What did not fit.
        source: ArrowError,
    },
    /// A file has two columns of one name.
    #[error("{path} has two columns called {feature}")]
    Duplicate {
        /// The name.
        feature: String,
        /// URL of the file.
        path: String,
    },
    /// Two files, or a file and a request, disagree on a feature's kind.
    #[error("feature {feature} is {kind} in {path} but {other_kind} in {other_path}")]
    Conflict {
        /// The feature.
        feature: String,
        /// URL of one file.
        path: String,
        /// Its kind there.
        kind: String,
        /// URL of the other file, or `the request`.
        other_path: String,
        /// Its kind there.
        other_kind: String,
    },
    /// Files of one table have different partition columns.
    #[error("{path} has partition columns {columns:?} but {other_path} has {other_columns:?}")]
    Partitions {
        /// URL of one file.
        path: String,
        /// Its partition columns.
        columns: Vec<String>,
        /// URL of the other file.
        other_path: String,
        /// Its partition columns.
        other_columns: Vec<String>,
    },
    /// A filter names a column that is not a partition column.
    #[error("filter on {column:?}, which is no partition column; the table has {existing:?}")]
    PartitionColumn {
        /// The column asked for.
        column: String,
        /// The ones that exist.
        existing: Vec<String>,
    },
    /// A partition value can't be compared with a number.
    #[error("filter compares partition column {column} with a number, but it holds {value:?}")]
    PartitionValue {
        /// The column.
        column: String,
        /// Its value.
        value: String,
    },
    /// A filter is incomplete.
    #[error("filter can't be evaluated: {reason}")]
    Predicate {
        /// What is missing.
        reason: String,
    },
    /// A read asks for rows the file does not have.
    #[error("read of {path} asks wrongly: {reason}")]
    Rows {
        /// URL of the file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows given in memory lack a feature.
    #[error("the rows lack feature {feature}; give a column of nulls where it is not known")]
    Lacking {
        /// The feature.
        feature: String,
    },
    /// There is no snapshot at the URL.
    #[error("no snapshot at {url}")]
    NoSnapshot {
        /// URL of the snapshot.
        url: String,
    },
    /// What lies at a snapshot's URL is not one of ours, or was changed.
    #[error("snapshot {url} can't be used: {reason}")]
    SnapshotFormat {
        /// URL of the snapshot.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another snapshot than the one wanted lies at the URL.
    #[error(
        "the snapshot at {url} is {found}, and {wanted} was asked for: it was replaced, or the URL is another run's"
    )]
    OtherSnapshot {
        /// URL of the snapshot.
        url: String,
        /// Hash of the one that is there.
        found: String,
        /// Hash, or the beginning of it, that was asked for.
        wanted: String,
    },
    /// A snapshot was to be saved where another one lies.
    #[error(
        "{url} holds snapshot {found} already, and a snapshot is never replaced: save {saved} under another URL, or in a \
         folder (a URL that ends with /)"
    )]
    SnapshotTaken {
        /// URL of the snapshot.
        url: String,
        /// Hash of the one that is there.
        found: String,
        /// Hash of the one that was to be saved.
        saved: String,
    },
    /// A store takes a conditional put and writes all the same.
    #[error(
        "the store of {url} ignores the condition of a conditional put (If-None-Match), so two writers could each \
         believe to be the first: keep snapshots in a store that honours it, or on a shared disk"
    )]
    IgnoresConditions {
        /// URL of the snapshot.
        url: String,
    },
    /// A file can't be written.
    #[error("can't write {path}")]
    Unwritable {
        /// URL of the file.
        path: String,
        /// What the system or storage said.
        source: io::Error,
    },
    /// The rows that were to be written did not come, or are not of their schema.
    #[error("the rows to be written can't be had")]
    Given {
        /// What whoever gives them said.
        source: ArrowError,
    },
    /// A folder that can't keep stored bytes.
    #[error("stored bytes can't be kept in {folder}: {reason}")]
    CacheFolder {
        /// As given.
        folder: String,
        /// What stands against it.
        reason: String,
    },
    /// Rows that can't be written as Parquet.
    #[error("can't write {path} as Parquet")]
    Encode {
        /// URL of the file.
        path: String,
        /// What the writer said.
        source: ParquetError,
    },
    /// A destination holds something already.
    #[error("{url} is not empty, it holds {found}: choose another destination{hint}")]
    Occupied {
        /// The destination.
        url: String,
        /// One of the things there.
        found: String,
        /// What else to do.
        hint: &'static str,
    },
    /// A broken run can't be gone on with.
    #[error("{url} can't be resumed: {reason}")]
    Resume {
        /// The destination.
        url: String,
        /// What stands against it.
        reason: String,
    },
    /// A wish about how to write that can't be met.
    #[error("can't write so: {reason}")]
    Writing {
        /// What is wrong with it.
        reason: String,
    },
    /// Our own mistake, or the runtime is shutting down.
    #[error("internal error while reading {path}: {reason}")]
    Internal {
        /// URL of the file or table.
        path: String,
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// An error of the object store about `path`, sorted by what the caller can do.
    pub(crate) fn storage(path: &str, error: object_store::Error) -> Error {
        use object_store::Error as Storage;
        let path = path.to_owned();
        if let Some(SentElsewhere { to }) = cause(&error) {
            let to = to.clone();
            return Error::Elsewhere { path, to };
        }
        match error {
            Storage::NotFound { .. } => Error::FileGone { path },
            Storage::Precondition { .. } => Error::Changed {
                path,
                reason: "it was written again".to_owned(),
            },
            Storage::PermissionDenied { .. } | Storage::Unauthenticated { .. } => Error::Denied {
                path,
                source: Box::new(error),
            },
            Storage::InvalidPath { source } => Error::Url {
                url: path,
                reason: source.to_string(),
            },
            _ if is_refused_by_the_system(&error) => Error::Denied {
                path,
                source: Box::new(error),
            },
            _ => Error::Unavailable {
                path,
                source: Box::new(error),
            },
        }
    }

    pub(crate) fn corrupt(path: &str, reason: impl ToString) -> Error {
        Error::Corrupt {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Url { .. }
            | Error::Option { .. }
            | Error::Cipher { .. }
            | Error::EncryptedColumn { .. }
            | Error::FeatureName { .. }
            | Error::Conflict { .. }
            | Error::Duplicate { .. }
            | Error::Partitions { .. }
            | Error::PartitionColumn { .. }
            | Error::PartitionValue { .. }
            | Error::Predicate { .. }
            | Error::SnapshotTaken { .. }
            | Error::IgnoresConditions { .. }
            | Error::Lacking { .. }
            | Error::Occupied { .. }
            | Error::CacheFolder { .. }
            | Error::Writing { .. }
            | Error::Given { .. }
            | Error::Rows { .. } => Fault::Invalid,
            Error::NoTable { .. }
            | Error::Empty { .. }
            | Error::NoObject { .. }
            | Error::NoSnapshot { .. }
            | Error::DanglingLink { .. }
            | Error::FileGone { .. } => Fault::NotFound,
            Error::Changed { .. } | Error::OtherSnapshot { .. } | Error::Resume { .. } => {
                Fault::Changed
            }
            Error::Denied { .. }
            | Error::Elsewhere { .. }
            | Error::Encrypted { .. }
            | Error::WrongKey { .. }
            | Error::AadPrefix { .. }
            | Error::Signature { .. } => Fault::Denied,
            Error::Key { source, .. } => source.fault(),
            Error::Unavailable { .. } => Fault::Unavailable,
            Error::Corrupt { .. } | Error::Value { .. } | Error::SnapshotFormat { .. } => {
                Fault::Corrupt
            }
            Error::Encode { .. } => Fault::Internal,
            Error::Unwritable { source, .. } | Error::Io { source, .. } => io_fault(source),
            Error::Internal { .. } => Fault::Internal,
        }
    }
}

/// A local file that the process may not read comes as a generic error with the system's as a cause.
fn is_refused_by_the_system(error: &object_store::Error) -> bool {
    cause::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// The first cause of this type.
fn cause<E: std::error::Error + 'static>(error: &object_store::Error) -> Option<&E> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        cause = inner.source();
    }
    None
}

fn io_fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => Fault::NotFound,
        io::ErrorKind::PermissionDenied => Fault::Denied,
        _ => Fault::Unavailable,
    }
}
