//! Buffers for fetched ranges and decompressed pages, used again: memory that was touched before fills ten times faster.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// A buffer that goes back where it came from.
pub(crate) struct Pooled(Vec<u8>);

/// Keeps fewer bytes of buffers from now on than usual where memory is short: an eighth of `memory` at most. Returns how many, which
/// this process holds beside what its reads do.
pub fn keep_little_of(memory: u64) -> u64 {
    let share = usize::try_from(memory / 8).unwrap_or(usize::MAX);
    let kept = share.min(USUALLY_KEPT_BYTES);
    MAX_KEPT_BYTES.store(kept, Ordering::Relaxed);
    kept as u64
}

/// A buffer for `bytes`; what it holds is left over from somebody else's page.
pub(crate) fn take(bytes: usize) -> Pooled {
    let class = class_of(bytes);
    let known = kept().classes.get_mut(class).and_then(Vec::pop);
    match known {
        Some(buffer) => {
            kept().bytes -= buffer.capacity();
            Pooled(buffer)
        }
        None if class < CLASSES => Pooled(Vec::with_capacity(1 << class)),
        None => Pooled(Vec::with_capacity(bytes)),
    }
}

/// Bytes that a buffer for so many takes of memory.
pub(crate) fn capacity_of(bytes: u64) -> u64 {
    match usize::try_from(bytes) {
        Ok(count) if class_of(count) < CLASSES => 1 << class_of(count),
        _ => bytes,
    }
}

impl Pooled {
    /// What was written, to be shared: the buffer goes back after the last of it was dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Pooled {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        let bytes = buffer.capacity();
        let mut kept = kept();
        // the largest class that the buffer suffices for
        let class = class_of(bytes + 1).saturating_sub(1);
        if bytes == 0
            || class >= CLASSES
            || kept.bytes + bytes > MAX_KEPT_BYTES.load(Ordering::Relaxed)
        {
            return;
        }
        kept.bytes += bytes;
        kept.classes[class].push(buffer);
    }
}

/// Buffers by the power of two that they hold.
struct Kept {
    classes: [Vec<Vec<u8>>; CLASSES],
    bytes: usize,
}

/// The smallest power of two that holds `bytes`.
fn class_of(bytes: usize) -> usize {
    bytes.max(1).next_power_of_two().trailing_zeros() as usize
}

fn kept() -> MutexGuard<'static, Kept> {
    // every change leaves the lists usable
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

static KEPT: Mutex<Kept> = Mutex::new(Kept {
    classes: [const { Vec::new() }; CLASSES],
    bytes: 0,
});
/// Buffers of more than 16 MiB are not kept: pages are a megabyte or so, and requests no larger than that.
const CLASSES: usize = 25;
/// Over all threads.
static MAX_KEPT_BYTES: AtomicUsize = AtomicUsize::new(USUALLY_KEPT_BYTES);
/// What some hundred columns of a piece take.
const USUALLY_KEPT_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_taken_for() {
        for bytes in [0, 1, 2, 3, 4095, 4096, 4097, 1 << 20, (17 << 20) + 1] {
            assert!(take(bytes).capacity() >= bytes, "{bytes}");
            assert!(take(bytes).capacity() >= bytes, "{bytes}, again");
        }
        assert!(kept().bytes <= USUALLY_KEPT_BYTES);
    }
}
