//! Memory of large buffers, filled again once nobody holds them: fetched ranges, unpacked pages, decoded columns, and tensors of
//! batches.
//!
//! The system clears every page before it gives it away, so memory that was touched before fills ten times faster; allocators
//! give large buffers back as soon as they are freed. Such buffers are made all the time here, and have nearly the same sizes.
//!
//! One pool a process, as the allocator it stands before: a batch may be dropped anywhere, long after its loader.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Mutex, MutexGuard, TryLockError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::available_parallelism,
};

use arrow_buffer::{ArrowNativeType, Buffer, ToByteSlice as _};
use bytes::Bytes;

/// A vector that goes back where it came from when it is dropped, as a buffer, too.
#[derive(Debug)]
pub struct Pooled<T: Element>(Vec<T>);

/// What vectors of are kept.
pub trait Element: ArrowNativeType {
    /// Where they are kept.
    fn kept() -> &'static Kept<Self>;
}

/// Vectors that nobody holds.
#[derive(Debug)]
pub struct Kept<T>(Mutex<Classes<T>>);

/// By the power of two that they have room for.
type Classes<T> = [Class<T>; CLASSES];

#[derive(Debug)]
struct Class<T> {
    vectors: Vec<Vec<T>>,
    /// As few as that they were since it was last looked at: the first so many of them lay unused.
    fewest: usize,
}

/// A vector with room for `count` values; what it holds is left over from somebody else.
pub fn take<T: Element>(count: usize) -> Pooled<T> {
    let class = class_of(count);
    let kept = T::kept().try_lock();
    let known = kept.and_then(|mut kept| kept.get_mut(class)?.pop());
    Pooled(match known {
        Some(values) => {
            KEPT_BYTES.fetch_sub(bytes_of(&values), Relaxed);
            values
        }
        None if class < CLASSES => Vec::with_capacity(1 << class),
        None => Vec::with_capacity(count),
    })
}

/// An empty vector with room for `count` values.
pub fn empty<T: Element>(count: usize) -> Pooled<T> {
    let mut values = take(count);
    values.clear();
    values
}

/// Bytes that a buffer for so many takes of memory.
pub fn capacity_of(bytes: u64) -> u64 {
    match usize::try_from(bytes) {
        Ok(count) if class_of(count) < CLASSES => 1 << class_of(count),
        _ => bytes,
    }
}

/// Keeps fewer bytes from now on than usual where memory is short: an eighth of `memory` at most. Returns how many, which
/// this process holds beside what its reads do.
pub fn keep_little_of(memory: u64) -> u64 {
    let share = usize::try_from(memory / 8).unwrap_or(usize::MAX);
    let most = share.clamp(1, usually_kept_bytes());
    MOST_KEPT_BYTES.store(most, Relaxed);
    most as u64
}

impl<T: Element> Pooled<T> {
    /// Makes room for `more` values, with other memory of the pool where there is too little.
    pub fn reserve(&mut self, more: usize) {
        let wanted = self.len() + more;
        if wanted > self.capacity() {
            let mut larger = empty(wanted.max(2 * self.capacity()));
            larger.extend_from_slice(self);
            *self = larger;
        }
    }

    /// What was written, to be shared.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// What was written, as a tensor's memory: aligned for any number, as all that the system's allocator gives.
    pub fn into_buffer(self) -> Buffer {
        self.into_bytes().into()
    }
}

/// Without memory.
impl<T: Element> Default for Pooled<T> {
    fn default() -> Pooled<T> {
        Pooled(Vec::new())
    }
}

impl<T: Element> AsRef<[u8]> for Pooled<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice().to_byte_slice()
    }
}

impl<T: Element> Deref for Pooled<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Element> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Element> Drop for Pooled<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.0);
        let bytes = bytes_of(&values);
        // the largest class that it suffices for
        let class = class_of(values.capacity() + 1).saturating_sub(1);
        if bytes == 0 || values.capacity() > MOST_VALUES {
            return;
        }
        let before = KEPT_BYTES.fetch_add(bytes, Relaxed);
        let has_room = before + bytes <= most_kept_bytes();
        match has_room.then(|| T::kept().try_lock()).flatten() {
            Some(mut kept) => kept[class].vectors.push(values),
            None => _ = KEPT_BYTES.fetch_sub(bytes, Relaxed),
        }
        let came = CAME.fetch_add(1, Relaxed);
        if came.is_multiple_of(CAME_BETWEEN_LOOKS) {
            give_back_unused(came / CAME_BETWEEN_LOOKS % CLASSES);
        }
    }
}

impl<T> Kept<T> {
    const fn new() -> Kept<T> {
        Kept(Mutex::new([const { Class::new() }; CLASSES]))
    }

    /// Gives those of a class that lay unused since this was last called to the system.
    fn give_back_unused(&self, class: usize) {
        let unused = self.try_lock().map(|mut kept| kept[class].unused());
        let bytes = unused.iter().flatten().map(bytes_of).sum();
        KEPT_BYTES.fetch_sub(bytes, Relaxed);
    }

    /// Nobody waits: in the child of a fork the holder may be a thread that is not there.
    fn try_lock(&self) -> Option<MutexGuard<'_, Classes<T>>> {
        match self.0.try_lock() {
            Ok(kept) => Some(kept),
            // every change leaves the lists usable
            Err(TryLockError::Poisoned(kept)) => Some(kept.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Class<T> {
    const fn new() -> Class<T> {
        Class {
            vectors: Vec::new(),
            fewest: 0,
        }
    }

    fn pop(&mut self) -> Option<Vec<T>> {
        let last = self.vectors.pop();
        self.fewest = self.fewest.min(self.vectors.len());
        last
    }

    /// Takes those that lay unused since this was last asked.
    fn unused(&mut self) -> Vec<Vec<T>> {
        let unused = self.vectors.drain(..self.fewest).collect();
        self.fewest = self.vectors.len();
        unused
    }
}

macro_rules! elements {
    ($($element:ty),*) => {
        $(impl Element for $element {
            fn kept() -> &'static Kept<Self> {
                static KEPT: Kept<$element> = Kept::new();
                &KEPT
            }
        })*

        fn give_back_unused(class: usize) {
            $(<$element>::kept().give_back_unused(class);)*
        }
    };
}

elements!(u8, i32, i64, f32);

/// The smallest power of two that is no less than `count`.
fn class_of(count: usize) -> usize {
    count.max(1).next_power_of_two().trailing_zeros() as usize
}

fn bytes_of<T>(values: &Vec<T>) -> usize {
    values.capacity() * size_of::<T>()
}

fn most_kept_bytes() -> usize {
    match MOST_KEPT_BYTES.load(Relaxed) {
        0 => {
            let usual = usually_kept_bytes();
            let set = MOST_KEPT_BYTES.compare_exchange(0, usual, Relaxed, Relaxed);
            set.err().unwrap_or(usual)
        }
        most => most,
    }
}

/// As many bytes as are kept unless memory is short. A bound that is reached costs more memory than it saves: what has no room here
/// is cut out of the allocator's heaps instead, which keep the pieces.
fn usually_kept_bytes() -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    KEPT_BYTES_OF_A_CORE.saturating_mul(cores.min(MOST_CORES))
}

/// Larger vectors are not kept: pages are a megabyte or so, and requests and frames some.
const MOST_VALUES: usize = 16 << 20;
const CLASSES: usize = MOST_VALUES.trailing_zeros() as usize + 1;
/// Of all types.
static KEPT_BYTES: AtomicUsize = AtomicUsize::new(0);
/// 0: not known yet.
static MOST_KEPT_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What the reads that a core has under way take of the largest row groups that were measured, 40 MB a read, and their frames.
const KEPT_BYTES_OF_A_CORE: usize = 192 << 20;
/// Where there are more, few read at the same time for one trainer.
const MOST_CORES: usize = 16;
/// How many came back, of all types.
static CAME: AtomicUsize = AtomicUsize::new(0);
/// After so many one class is looked at, so each every hundred batches or so: what is needed once in a pass of a small table stays.
const CAME_BETWEEN_LOOKS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_taken_for() {
        for count in [0, 1, 2, 3, 4095, 4096, 4097, 1 << 20, (17 << 20) + 1] {
            assert!(take::<u8>(count).capacity() >= count, "{count}");
            assert!(take::<u8>(count).capacity() >= count, "{count}, again");
            assert!(empty::<i64>(count).is_empty());
        }
        assert!(KEPT_BYTES.load(Relaxed) <= usually_kept_bytes());
    }

    #[test]
    fn what_is_too_large_to_be_taken_again_is_not_kept() {
        let mut large = take::<u8>(MOST_VALUES + 1);
        large.push(0);
        drop(large);
        let kept = u8::kept().0.lock().unwrap();
        let vectors = kept.iter().flat_map(|class| &class.vectors);
        assert!(vectors.map(Vec::capacity).all(|it| it <= MOST_VALUES));
    }

    #[test]
    fn what_grows_keeps_its_values_and_gives_back_what_was_too_little() {
        let mut values = empty::<i32>(700_000);
        let address = values.as_ptr();
        values.extend(0..500_000);
        values.reserve(200_000);
        assert_eq!(values.as_ptr(), address, "there was room");
        values.reserve(2_000_000);
        assert_eq!(take::<i32>(700_000).as_ptr(), address);
        assert!(values.capacity() >= 2_500_000);
        assert!(values.iter().copied().eq(0..500_000));
    }

    #[test]
    fn what_lay_unused_is_given_back_and_what_was_used_stays() {
        let mut class = Class::new();
        class.vectors = vec![vec![1], vec![2], vec![3]];
        assert!(class.unused().is_empty(), "they have only just come");
        for _ in 0..5 {
            let used = class.pop().unwrap();
            class.vectors.push(used);
        }
        assert_eq!(class.unused(), [[1], [2]]);
        assert_eq!(class.unused(), [[3]], "nobody took it since");
        assert_eq!(class.pop(), None::<Vec<u8>>);
    }

    #[test]
    fn what_nobody_takes_goes_while_other_memory_comes_and_goes() {
        const COUNT: usize = 3 << 20; // of no other test
        let kept = || i64::kept().0.lock().unwrap()[class_of(COUNT)].vectors.len();
        drop([(); 3].map(|()| take::<i64>(COUNT)));
        assert!(kept() > 0);
        for _ in 0..6 * CLASSES * CAME_BETWEEN_LOOKS {
            take::<u8>(1);
        }
        assert_eq!(kept(), 0);
    }

    #[test]
    fn memory_comes_back_when_its_last_holder_is_gone() {
        let mut values = empty::<f32>(300_000);
        values.resize(200_000, 1.5);
        let address = values.as_ptr();
        let buffer = values.into_buffer();
        let held = buffer.clone();
        drop(buffer);
        // taken by nobody else: no other test has so many
        let other = take::<f32>(300_000);
        assert_ne!(other.as_ptr(), address);
        assert_eq!(held.typed_data::<f32>(), [1.5; 200_000]);
        drop(held);
        assert_eq!(take::<f32>(290_000).as_ptr(), address);
    }
}
