//! Memory of large buffers, filled again once nobody holds them.
//!
//! The system clears every page before it gives it away, which takes longer than to fill it, and allocators give large
//! buffers back as soon as they are freed. A batch's buffers are large, are made all the time and have nearly the same sizes.
//!
//! One pool a process and type, as the allocator it stands before: a batch may be dropped anywhere, long after its loader.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use arrow_buffer::{ArrowNativeType, Buffer, ToByteSlice as _};
use bytes::Bytes;

/// Vectors of a type that nobody holds, those that were given back last at the end.
#[derive(Debug)]
pub struct Pool<T> {
    idle: Mutex<Idle<T>>,
}

#[derive(Debug)]
struct Idle<T> {
    vectors: VecDeque<Vec<T>>,
    bytes: usize,
}

/// Elements of a batch's buffers.
pub trait Pooled: ArrowNativeType {
    /// Where their vectors are kept.
    fn pool() -> &'static Pool<Self>;
}

/// An empty vector with room for `count` values.
pub fn empty<T: Pooled>(count: usize) -> Vec<T> {
    let mut values = T::pool().take(count);
    values.clear();
    values
}

/// `count` values, any: they are to be written before they are read.
pub fn unwritten<T: Pooled>(count: usize) -> Vec<T> {
    let mut values = T::pool().take(count);
    values.resize(count, T::default());
    values
}

/// The values as a buffer whose memory comes back here when it is dropped.
pub fn buffer<T: Pooled>(values: Vec<T>) -> Buffer {
    match size_of_val(values.as_slice()) {
        ..SMALL_BYTES => Buffer::from_vec(values),
        _ => Buffer::from(Bytes::from_owner(Lent(values))),
    }
}

/// Bounds what is kept for later in this process, from now on, over all types.
pub fn keep_at_most(bytes: usize) {
    MOST_IDLE_BYTES.store(bytes / TYPES, Relaxed);
}

impl<T: ArrowNativeType> Pool<T> {
    const fn new() -> Pool<T> {
        Pool {
            idle: Mutex::new(Idle {
                vectors: VecDeque::new(),
                bytes: 0,
            }),
        }
    }

    /// A vector of anything, with room for `count` values and for little more.
    fn take(&self, count: usize) -> Vec<T> {
        let bytes = count * size_of::<T>();
        if bytes < SMALL_BYTES {
            return Vec::with_capacity(count);
        }
        let fits = |values: &Vec<T>| {
            (bytes..=bytes + bytes / SLACK).contains(&(values.capacity() * size_of::<T>()))
        };
        let mut idle = self.lock();
        if let Some(found) = idle.vectors.iter().rposition(fits) {
            let values = idle.vectors.remove(found).expect("it was just found");
            idle.bytes -= values.capacity() * size_of::<T>();
            return values;
        }
        drop(idle);
        // some more, so that it fits the next batches as well
        Vec::with_capacity(count + count / (2 * SLACK))
    }

    fn give_back(&self, values: Vec<T>) {
        let bytes = values.capacity() * size_of::<T>();
        let most = MOST_IDLE_BYTES.load(Relaxed);
        let mut dropped = Vec::new();
        let mut idle = self.lock();
        idle.bytes += bytes;
        idle.vectors.push_back(values);
        while idle.bytes > most {
            let oldest = idle
                .vectors
                .pop_front()
                .expect("bytes are those of vectors");
            idle.bytes -= oldest.capacity() * size_of::<T>();
            dropped.push(oldest);
        }
        // freed by nobody who holds the lock
        drop(idle);
    }

    /// Vectors are whole between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Idle<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A vector in use as a buffer.
struct Lent<T: Pooled>(Vec<T>);

impl<T: Pooled> AsRef<[u8]> for Lent<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice().to_byte_slice()
    }
}

impl<T: Pooled> Drop for Lent<T> {
    fn drop(&mut self) {
        T::pool().give_back(std::mem::take(&mut self.0));
    }
}

macro_rules! pooled {
    ($($element:ty),*) => {
        $(impl Pooled for $element {
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$element> = Pool::new();
                &POOL
            }
        })*
    };
}

pooled!(u8, i32, i64, f32);

const TYPES: usize = 4;
/// What an allocator keeps by itself.
const SMALL_BYTES: usize = 32 << 10;
/// A vector may have a fourth more than is asked for.
const SLACK: usize = 4;
/// Of one type.
static MOST_IDLE_BYTES: AtomicUsize = AtomicUsize::new((64 << 20) / TYPES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_the_last_holder_is_gone() {
        let pool = Pool::<i64>::new();
        let mut first = pool.take(10_000);
        first.resize(10_000, 7);
        let address = first.as_ptr();
        pool.give_back(first);
        // of nearly the same size
        let (smaller, again, another) = (pool.take(5_000), pool.take(9_900), pool.take(9_900));
        assert_eq!(again.as_ptr(), address);
        assert!(
            [smaller, another]
                .iter()
                .all(|it| it.is_empty() && it.as_ptr() != address)
        );
    }

    #[test]
    fn buffers_hold_what_was_written() {
        let round = |first: f32| {
            let mut values = unwritten::<f32>(20_000);
            assert_eq!(values.len(), 20_000);
            let numbers = (0..20_000_u16).map(|row| first + f32::from(row));
            values
                .iter_mut()
                .zip(numbers.clone())
                .for_each(|(value, number)| *value = number);
            let buffer = buffer(values);
            let held = buffer.clone();
            drop(buffer);
            assert!(held.typed_data::<f32>().iter().copied().eq(numbers));
        };
        [0.0, 1.0, 2.0].into_iter().for_each(round);
        assert_eq!(empty::<f32>(20_000).len(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let pool = Pool::<u8>::new();
        let each = 3 << 20;
        let vectors: Vec<_> = (0..9).map(|_| pool.take(each)).collect();
        vectors
            .into_iter()
            .for_each(|values| pool.give_back(values));
        let idle = pool.lock();
        assert_eq!(
            idle.vectors.len(),
            MOST_IDLE_BYTES.load(Relaxed) / (each + each / 8)
        );
        assert!(idle.bytes <= MOST_IDLE_BYTES.load(Relaxed));
    }
}
