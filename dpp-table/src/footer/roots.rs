//! Root columns by name. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parquet::schema::types::TypePtr;
use xxhash_rust::xxh3::xxh3_64;

/// Where root columns are, by the hash of their names: copying the names of a wide file would cost as much as finding a few of
/// them saves.
pub(super) struct Roots(HashMap<u64, usize, BuildHasherDefault<Hashed>>);

impl Roots {
    pub(super) fn new(fields: &[TypePtr]) -> Roots {
        let hash = |field: &TypePtr| xxh3_64(field.name().as_bytes());
        Roots(fields.iter().map(hash).zip(0..).collect())
    }

    /// The index in `fields`, those of before, of the one with this name.
    pub(super) fn find(&self, name: &str, fields: &[TypePtr]) -> Option<usize> {
        let root = *self.0.get(&xxh3_64(name.as_bytes()))?;
        match fields[root].name() == name {
            true => Some(root),
            false => fields.iter().position(|field| field.name() == name),
        }
    }
}

/// Of keys that are hashes: as they are.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
