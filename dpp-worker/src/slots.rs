//! How much of a worker's slots reads take while they wait for storage.
//!
//! They wait side by side: of ten reads that wait for a second on a worker of two slots, each took a fifth of a slot-second
//! a slot, and all of them two. So a clock runs for each waiting read, more slowly the more of them there are:
//!
//! ```text
//! waiting reads   1    2    5      10      of 2 slots
//! clock runs at   1    1    2/5    1/5     slot-seconds a second
//! ```

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The slots of one engine.
#[derive(Debug)]
pub(crate) struct Slots {
    began: Instant,
    shared: Mutex<Shared>,
}

/// Pure: time is an argument.
#[derive(Debug)]
struct Shared {
    slots: f64,
    waiting: u32,
    at: Duration,
    clock: f64,
}

/// A read that waits, until dropped: what it took is added to some seconds.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    slots: &'a Slots,
    from: f64,
    seconds: &'a mut f64,
}

impl Slots {
    pub(crate) fn new(slots: usize) -> Slots {
        Slots {
            began: Instant::now(),
            shared: Mutex::new(Shared {
                slots: slots as f64,
                waiting: 0,
                at: Duration::ZERO,
                clock: 0.0,
            }),
        }
    }

    /// A read begins to wait; slot-seconds that it takes go to `seconds`.
    pub(crate) fn take<'a>(&'a self, seconds: &'a mut f64) -> Taken<'a> {
        Taken {
            from: self.lock().begin(self.began.elapsed()),
            slots: self,
            seconds,
        }
    }

    /// Sums stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let now = self.slots.began.elapsed();
        *self.seconds += self.slots.lock().end(now) - self.from;
    }
}

impl Shared {
    fn begin(&mut self, now: Duration) -> f64 {
        self.advance(now);
        self.waiting += 1;
        self.clock
    }

    fn end(&mut self, now: Duration) -> f64 {
        self.advance(now);
        self.waiting -= 1;
        self.clock
    }

    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        if self.waiting > 0 {
            self.clock += passed * (self.slots / f64::from(self.waiting)).min(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever waits when: alone it takes its time, and together no more than there are slots.
        #[test]
        fn slots_are_never_taken_twice(
            slots in 1..8usize,
            waits in prop::collection::vec((0..5_000u64, 1..2_000u64), 1..40),
        ) {
            let mut moments: Vec<(u64, usize, bool)> = (0..)
                .zip(&waits)
                .flat_map(|(read, (from, length))| [(*from, read, true), (from + length, read, false)])
                .collect();
            moments.sort_unstable();
            let mut shared = Slots::new(slots).shared.into_inner().unwrap();
            let mut taken = vec![0.0; waits.len()];
            for &(at, read, begins) in &moments {
                let at = Duration::from_millis(at);
                if begins {
                    taken[read] = -shared.begin(at);
                } else {
                    taken[read] += shared.end(at);
                }
            }
            let mut most = 0.0;
            let mut waiting = 0usize;
            for pair in moments.windows(2) {
                waiting = if pair[0].2 { waiting + 1 } else { waiting - 1 };
                most += waiting.min(slots) as f64 * (pair[1].0 - pair[0].0) as f64 / 1e3;
            }
            let all: f64 = taken.iter().sum();
            prop_assert!((all - most).abs() < 1e-6, "{all} of {most}");
            for (taken, (_, length)) in taken.iter().zip(&waits) {
                prop_assert!(*taken <= *length as f64 / 1e3 + 1e-9);
            }
        }
    }
}
