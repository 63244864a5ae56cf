//! How this process reads a table: what does not travel with a job.

use std::sync::Arc;
use std::time::Duration;

use crate::encryption::keys::KeyProvider;
use crate::read::coalesce::CoalesceSettings;
use crate::store::kept::StoredCache;

/// What a table's reader brings along. The default reads every table that is not encrypted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableOptions {
    /// Who gives the keys of encrypted files; none by default.
    pub keys: Option<Arc<dyn KeyProvider>>,
    /// How long a key is used before the provider is asked for it again; 10 minutes by default, as elsewhere.
    pub key_lifetime: Duration,
    /// When ranges of bytes share a request, in place of what suits the store: for measuring.
    pub coalesce: Option<CoalesceSettings>,
    /// Where tables of this process meet each other's stored bytes; by default they do not.
    pub cache: Option<Arc<StoredCache>>,
}

impl TableOptions {
    /// Reads encrypted tables with the keys of `provider`.
    pub fn with_keys(provider: Arc<dyn KeyProvider>) -> TableOptions {
        TableOptions {
            keys: Some(provider),
            ..TableOptions::default()
        }
    }
}

impl Default for TableOptions {
    fn default() -> TableOptions {
        TableOptions {
            keys: None,
            key_lifetime: Duration::from_secs(600),
            coalesce: None,
            cache: None,
        }
    }
}
