//! Root columns by name, and the leaves below them. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

/// Names lie in one text and are found by their hashes: of a wide file, a string each would cost as much as finding a few saves.
#[derive(Default)]
pub(super) struct Roots {
    names: String,
    /// By root: where its name ends, and how many leaves there are up to its own.
    ends: Vec<(u32, u32)>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
}

impl Roots {
    /// Has room for so many.
    pub(super) fn with_capacity(roots: usize) -> Roots {
        Roots {
            names: String::with_capacity(roots * 16),
            ends: Vec::with_capacity(roots),
            by_hash: HashMap::with_capacity_and_hasher(roots, BuildHasherDefault::default()),
        }
    }

    /// Adds the next root column. Of two with one name, the first is found.
    pub(super) fn push(&mut self, name: &str, leaves: u32) {
        let before = self.ends.last().map_or(0, |(_, leaves)| *leaves);
        self.names.push_str(name);
        let hash = xxh3_64(name.as_bytes());
        self.by_hash.entry(hash).or_insert(self.ends.len() as u32);
        self.ends.push((self.names.len() as u32, before + leaves));
    }

    /// All leaves.
    pub(super) fn leaves(&self) -> usize {
        self.ends.last().map_or(0, |(_, leaves)| *leaves as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The root of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let root = *self.by_hash.get(&xxh3_64(name.as_bytes()))? as usize;
        match self.name(root) == name {
            true => Some(root),
            false => (0..self.len()).find(|root| self.name(*root) == name),
        }
    }

    pub(super) fn name(&self, root: usize) -> &str {
        let start = self.before(root).map_or(0, |(end, _)| end as usize);
        &self.names[start..self.ends[root].0 as usize]
    }

    /// The root that a leaf is below.
    pub(super) fn root_of(&self, leaf: usize) -> usize {
        self.ends
            .partition_point(|(_, leaves)| *leaves as usize <= leaf)
    }

    /// The leaves of one root.
    pub(super) fn leaves_of(&self, root: usize) -> Range<usize> {
        let start = self.before(root).map_or(0, |(_, leaves)| leaves as usize);
        start..self.ends[root].1 as usize
    }

    fn before(&self, root: usize) -> Option<(u32, u32)> {
        Some(self.ends[root.checked_sub(1)?])
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
