//! Which files lie in the folder, what they take, and which was used when.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

use sha2::{Digest as _, Sha256};

use crate::store::output::HIDDEN;

/// What lies in the folder.
#[derive(Default)]
pub(super) struct Ranges {
    /// The bytes of a file of this name, and its last use.
    files: HashMap<String, (u64, u64)>,
    by_use: BTreeMap<u64, String>,
    /// Of all files, those that are being written too.
    bytes: u64,
    uses: u64,
}

impl Ranges {
    /// What a process before left in a folder, used when it was written. What it did not finish is removed.
    pub(super) fn of(folder: &Path) -> io::Result<Ranges> {
        let mut found: Vec<(SystemTime, String, u64)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with(HIDDEN) {
                fs::remove_file(entry.path())?;
            } else if is_name(&name) {
                let metadata = entry.metadata()?;
                found.push((metadata.modified()?, name, on_disk(metadata.len())));
            }
        }
        found.sort_unstable();
        let mut ranges = Ranges::default();
        for (_, name, bytes) in found {
            ranges.bytes += bytes;
            ranges.insert(name, bytes);
        }
        Ok(ranges)
    }

    pub(super) fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// Whether a file is there, which is then the last one used.
    pub(super) fn was_used(&mut self, name: &str) -> bool {
        let last_use = self.next_use();
        let Some((_, known)) = self.files.get_mut(name) else {
            return false;
        };
        let name = self.by_use.remove(&std::mem::replace(known, last_use));
        self.by_use.extend(name.map(|name| (last_use, name)));
        true
    }

    /// A file that is written and was counted. It takes the place of what had its name.
    pub(super) fn insert(&mut self, name: String, bytes: u64) {
        self.forget(&name);
        let last_use = self.next_use();
        self.by_use.insert(last_use, name.clone());
        self.files.insert(name, (bytes, last_use));
    }

    /// Bytes that were counted, and are not there after all.
    pub(super) fn not_written(&mut self, bytes: u64) {
        self.bytes -= bytes;
    }

    /// Whether it was known.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let Some((bytes, last_use)) = self.files.remove(name) else {
            return false;
        };
        self.by_use.remove(&last_use);
        self.bytes -= bytes;
        true
    }

    /// Counts `bytes` that will be written, and forgets files until they fit.
    pub(super) fn make_room(&mut self, bytes: u64, max_bytes: u64) -> Vec<String> {
        self.bytes += bytes;
        let mut dropped = Vec::new();
        while self.bytes > max_bytes
            && let Some((_, oldest)) = self.by_use.first_key_value()
        {
            let oldest = oldest.clone();
            self.forget(&oldest);
            dropped.push(oldest);
        }
        dropped
    }
}

/// What a file takes.
pub(super) fn on_disk(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

fn is_name(text: &str) -> bool {
    text.len() == 2 * Sha256::output_size() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Of usual file systems.
const BLOCK_BYTES: u64 = 4 << 10;
