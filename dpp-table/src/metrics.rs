//! Metrics of reading storage. Recorded through the `metrics` facade; a binary installs the recorder.

use ::metrics::{Unit, counter, describe_counter};

use crate::read::fetch::ReadCounters;

/// Bytes fetched from storage: footers, wanted bytes, and gaps read through.
pub const READ_BYTES: &str = "dpp_worker_read_bytes_total";
/// Stored bytes of the projected columns that reads needed.
pub const WANTED_BYTES: &str = "dpp_worker_wanted_bytes_total";
/// Requests made to storage.
pub const STORAGE_REQUESTS: &str = "dpp_worker_storage_requests_total";

/// Answers of storage that said to try again, or that never came.
pub const STORAGE_RETRIES: &str = "dpp_worker_storage_retries_total";

/// Bytes given from those that were fetched before.
pub const KEPT_BYTES: &str = "dpp_worker_cache_hit_bytes_total";

/// Bytes given from those that lay on the local disk.
pub const DISK_BYTES: &str = "dpp_worker_cache_disk_hit_bytes_total";

/// Tells the installed recorder each metric's unit and meaning.
pub fn describe() {
    describe_counter!(
        READ_BYTES,
        Unit::Bytes,
        "Bytes fetched from storage, footers and gaps between wanted ranges included"
    );
    describe_counter!(
        WANTED_BYTES,
        Unit::Bytes,
        "Stored bytes of the projected columns that reads needed"
    );
    describe_counter!(
        KEPT_BYTES,
        Unit::Bytes,
        "Stored bytes that reads found where earlier ones had left them, instead of asking storage"
    );
    describe_counter!(
        DISK_BYTES,
        Unit::Bytes,
        "Stored bytes that reads found on the local disk, instead of asking storage"
    );
    describe_counter!(STORAGE_REQUESTS, Unit::Count, "Requests made to storage");
    describe_counter!(
        STORAGE_RETRIES,
        Unit::Count,
        "Answers of storage that said to try again (429, 5xx), or that never came"
    );
}

/// So many bytes were not asked for at storage, since somebody had been before.
pub(crate) fn kept(bytes: u64) {
    counter!(KEPT_BYTES).increment(bytes);
}

/// So many bytes were on the local disk.
pub(crate) fn on_disk(bytes: u64) {
    counter!(DISK_BYTES).increment(bytes);
}

pub(crate) fn record(counters: ReadCounters) {
    counter!(READ_BYTES).increment(counters.read_bytes);
    counter!(WANTED_BYTES).increment(counters.wanted_bytes);
    counter!(STORAGE_REQUESTS).increment(counters.requests);
}
