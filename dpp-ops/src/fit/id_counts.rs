//! How often ids come.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::ops::hash::twang;

/// Counts so far.
#[derive(Clone, Debug, Default)]
pub(super) struct IdCounts(HashMap<i64, u64, IdHash>);

impl IdCounts {
    pub(super) fn add(&mut self, id: i64, times: u64) {
        let count = self.0.entry(id).or_default();
        *count = count.saturating_add(times);
    }

    /// The ids, ascending, each with how often it came.
    pub(super) fn ascending(&self) -> Vec<(i64, u64)> {
        let mut counted: Vec<(i64, u64)> = self.0.iter().map(|(id, count)| (*id, *count)).collect();
        counted.sort_unstable();
        counted
    }

    pub(super) fn distinct(&self) -> usize {
        self.0.len()
    }

    /// Ids that came `least` times or more, at most `most`, with how often: the most frequent first, and of equally frequent
    /// ones the smallest.
    pub(super) fn most_frequent(self, least: u64, most: Option<usize>) -> (Vec<i64>, Vec<u64>) {
        let counted = self.0.into_iter().filter(|(_, count)| *count >= least);
        let mut counted: Vec<(i64, u64)> = counted.collect();
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        counted.truncate(most.unwrap_or(usize::MAX));
        counted.into_iter().unzip()
    }
}

/// Ids are mixed by twang, which is one to one and far cheaper than what keeps strangers from choosing keys.
pub(crate) type IdHash = BuildHasherDefault<Mixed>;

#[derive(Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn write_i64(&mut self, id: i64) {
        self.0 = twang(id.cast_unsigned());
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.0 = twang(self.0 ^ u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
