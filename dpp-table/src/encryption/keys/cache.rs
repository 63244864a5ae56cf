//! Keys asked for lately: a provider is asked once per key and lifetime, however many files and readers want it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::OnceCell;

use super::material::WrappedKey;
use super::wrap::open;
use super::{KeyError, KeyProvider, SecretKey, WantedKey};

/// A provider and the keys it gave.
pub(crate) struct KeyCache {
    provider: Arc<dyn KeyProvider>,
    lifetime: Duration,
    /// Entries at the most.
    most: usize,
    entries: Mutex<HashMap<Name, Entry>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Wrapped {
        master_key_id: String,
        wrapped: String,
    },
    Plain {
        metadata: Option<Vec<u8>>,
        column: Option<String>,
    },
}

struct Entry {
    key: Arc<OnceCell<SecretKey>>,
    expires: Instant,
}

impl KeyCache {
    pub(crate) fn new(provider: Arc<dyn KeyProvider>, lifetime: Duration) -> KeyCache {
        KeyCache {
            provider,
            lifetime,
            most: MAX_KEYS,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn provider(&self) -> &dyn KeyProvider {
        &*self.provider
    }

    /// When a key asked for now must be asked for again.
    pub(crate) fn expiry(&self) -> Instant {
        Instant::now() + self.lifetime
    }

    /// Unwraps a data key.
    pub(crate) async fn data_key(&self, wrapped: &WrappedKey) -> Result<SecretKey, KeyError> {
        let Some(kek) = &wrapped.kek else {
            return self
                .unwrap(&wrapped.master_key_id, &wrapped.wrapped_key)
                .await;
        };
        let wrapping = self.unwrap(&wrapped.master_key_id, &kek.wrapped).await?;
        let sealed = BASE64_STANDARD.decode(&wrapped.wrapped_key);
        let sealed = sealed.map_err(|_| KeyError::Material {
            reason: "wrappedDEK is not base64".to_owned(),
        })?;
        match open(&wrapping, &sealed, &kek.id) {
            Some(key) => SecretKey::new(key.to_vec()),
            None => Err(KeyError::Wrong {
                key: format!("{:?} (its key-encryption key)", wrapped.master_key_id),
            }),
        }
    }

    /// A key that is not wrapped.
    pub(crate) async fn find(&self, wanted: WantedKey<'_>) -> Result<SecretKey, KeyError> {
        let name = Name::Plain {
            metadata: wanted.metadata.map(<[u8]>::to_vec),
            column: wanted.column.map(str::to_owned),
        };
        let ask = || self.provider.find_key(wanted);
        let entry = self.entry(name, Instant::now());
        entry.get_or_try_init(ask).await.cloned()
    }

    async fn unwrap(&self, master_key_id: &str, wrapped: &str) -> Result<SecretKey, KeyError> {
        self.unwrap_at(master_key_id, wrapped, Instant::now()).await
    }

    async fn unwrap_at(
        &self,
        master_key_id: &str,
        wrapped: &str,
        now: Instant,
    ) -> Result<SecretKey, KeyError> {
        let name = Name::Wrapped {
            master_key_id: master_key_id.to_owned(),
            wrapped: wrapped.to_owned(),
        };
        let ask = || self.provider.unwrap_key(master_key_id, wrapped);
        let entry = self.entry(name, now);
        entry.get_or_try_init(ask).await.cloned()
    }

    /// The live entry of a key; those who want it at once wait for one answer. A failure is not kept.
    fn entry(&self, name: Name, now: Instant) -> Arc<OnceCell<SecretKey>> {
        // every change leaves the map usable, so a panic elsewhere does not spoil it
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&name).filter(|entry| entry.expires > now) {
            return Arc::clone(&entry.key);
        }
        if entries.len() >= self.most {
            entries.retain(|_, entry| entry.expires > now);
        }
        if entries.len() >= self.most {
            entries.clear(); // who waits for one still holds it
        }
        let entry = Entry {
            key: Arc::default(),
            expires: now + self.lifetime,
        };
        let key = Arc::clone(&entry.key);
        entries.insert(name, entry);
        key
    }
}

/// Shows no key and no count of them.
impl fmt::Debug for KeyCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyCache").finish_non_exhaustive()
    }
}

/// Wrapped once, a table has a key per file and column: enough for the files being read.
const MAX_KEYS: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl KeyProvider for Counting {
        async fn unwrap_key(&self, master_key_id: &str, _: &str) -> Result<SecretKey, KeyError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            match master_key_id {
                "down" => Err(KeyError::Unavailable {
                    key: master_key_id.to_owned(),
                    source: "timeout".into(),
                }),
                _ => SecretKey::new([1; 16]),
            }
        }
    }

    #[tokio::test]
    async fn one_question_per_key_and_lifetime() {
        let provider = Arc::new(Counting::default());
        let asked = || provider.0.load(Ordering::Relaxed);
        let cache = KeyCache::new(Arc::clone(&provider) as _, Duration::from_secs(60));
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let first = cache.unwrap_at("a", "w", begin);
        let both = tokio::join!(first, cache.unwrap_at("a", "w", begin));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(asked(), 1);
        cache.unwrap_at("a", "w", after(59)).await.unwrap();
        assert_eq!(asked(), 1);
        cache.unwrap_at("a", "w", after(60)).await.unwrap();
        assert_eq!(asked(), 2);
        cache.unwrap_at("a", "other", after(60)).await.unwrap();
        assert_eq!(asked(), 3);
        assert!(cache.unwrap("down", "w").await.is_err());
        assert!(cache.unwrap("down", "w").await.is_err());
        assert_eq!(asked(), 5, "failures are not remembered");
    }

    #[tokio::test]
    async fn no_more_keys_than_there_is_room_for() {
        let provider = Arc::new(Counting::default());
        let asked = || provider.0.load(Ordering::Relaxed);
        let mut cache = KeyCache::new(Arc::clone(&provider) as _, Duration::from_secs(60));
        cache.most = 3;
        let begin = Instant::now();
        for round in 0..4 {
            for name in ["a", "b", "c"] {
                let now = begin + Duration::from_secs(round);
                cache.unwrap_at("k", name, now).await.unwrap();
            }
        }
        assert_eq!(asked(), 3, "what fits is kept");
        for index in 0..100 {
            let name = index.to_string();
            cache.unwrap_at("k", &name, begin).await.unwrap();
            assert!(cache.entries.lock().unwrap().len() <= 3);
        }
        let later = begin + Duration::from_secs(61);
        cache.unwrap_at("k", "fresh", later).await.unwrap();
        cache.unwrap_at("k", "99", later).await.unwrap();
        assert_eq!(asked(), 3 + 100 + 2, "what has expired is asked for again");
    }
}
