//! Requests whose bytes are still coming. Who sends slowly, or not at all, holds a place; when all are held, a newcomer pushes out
//! who has been at it longest, so that those who are slow wait for nobody and nobody waits for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Arrivals {
    most: usize,
    arriving: Mutex<Arriving>,
}

#[derive(Debug, Default)]
struct Arriving {
    next: u64,
    /// The longest there first.
    pushed_out: BTreeMap<u64, Arc<Notify>>,
}

/// One request's place, left when dropped.
#[derive(Debug)]
pub(super) struct Arrival {
    arrivals: Arc<Arrivals>,
    number: u64,
    pushed_out: Arc<Notify>,
}

impl Arrivals {
    pub(super) fn new(most: usize) -> Arc<Arrivals> {
        Arc::new(Arrivals {
            most,
            arriving: Mutex::default(),
        })
    }

    /// A place, if need be that of who has had one longest.
    pub(super) fn enter(self: &Arc<Self>) -> Arrival {
        let pushed_out = Arc::new(Notify::new());
        let mut arriving = self.lock();
        let number = arriving.next;
        arriving.next += 1;
        arriving.pushed_out.insert(number, pushed_out.clone());
        if arriving.pushed_out.len() > self.most
            && let Some((_, slowest)) = arriving.pushed_out.pop_first()
        {
            slowest.notify_one();
        }
        Arrival {
            arrivals: self.clone(),
            number,
            pushed_out,
        }
    }

    /// Places stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrival {
    /// Completes when another needs the place.
    pub(super) async fn pushed_out(&self) {
        self.pushed_out.notified().await;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.arrivals.lock().pushed_out.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_pushed_out(arrival: &Arrival) -> bool {
        let pushed_out = std::pin::pin!(arrival.pushed_out());
        pushed_out.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn who_came_first_goes_first_and_only_for_want_of_room() {
        let arrivals = Arrivals::new(2);
        let (first, second) = (arrivals.enter(), arrivals.enter());
        assert!(!is_pushed_out(&first));
        drop(second);
        let third = arrivals.enter();
        assert!(!is_pushed_out(&first));
        let fourth = arrivals.enter();
        assert!(is_pushed_out(&first) && !is_pushed_out(&third) && !is_pushed_out(&fourth));
        drop(first);
        assert_eq!(arrivals.lock().pushed_out.len(), 2);
    }
}
