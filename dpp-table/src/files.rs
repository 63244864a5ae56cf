//! What every read of a table needs: its store, the footers seen before, how its features are called, and its keys.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::encryption::keys::KeyCache;
use crate::features::feature_map::FeatureNames;
use crate::footer::cache::FooterCache;
use crate::read::coalesce::CoalesceSettings;
use crate::store::Store;

/// An open table's parts, shared by its clones.
pub(crate) struct Files {
    pub(crate) store: Arc<Store>,
    pub(crate) footers: FooterCache,
    pub(crate) names: FeatureNames,
    pub(crate) keys: Option<KeyCache>,
    /// In place of what suits the store.
    pub(crate) coalesce: Option<CoalesceSettings>,
    /// Of the longest footer met so far: the next file's is probably like it.
    pub(crate) footer_bytes: AtomicU64,
}
