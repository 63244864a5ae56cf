//! When a worker is far slower than the others, and whether another may be asked as well. Pure.
//!
//! Waits for a read's first message and for later ones are noted apart. One is too long when it lasts four times as
//! long as nine in ten of the last ones did. Asking a second worker does work twice, so hedges are at most a tenth of
//! the reads, and a few to begin with; a read that waits too long with no hedge left earns one within about a second.
//!
//! Source: Dean, Barroso, "The tail at scale", 2013 (hedged requests).

use std::{collections::VecDeque, time::Duration};

/// What one run's reads have waited, and how many more it may hedge.
#[derive(Debug)]
pub(crate) struct Pace {
    first: Waits,
    later: Waits,
    hedges: f64,
}

/// The last waits of one kind.
#[derive(Debug, Default)]
struct Waits(VecDeque<Duration>);

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            first: Waits::default(),
            later: Waits::default(),
            hedges: MOST_HEDGES,
        }
    }
}

impl Pace {
    /// A message came after this long; `is_first`: of its read.
    pub(crate) fn note(&mut self, is_first: bool, waited: Duration) {
        self.waits(is_first).note(waited);
    }

    /// From when on a wait is too long.
    pub(crate) fn too_long(&mut self, is_first: bool) -> Duration {
        self.waits(is_first).too_long()
    }

    /// A read begins, or has waited a while longer than it should: a part of a hedge is earned.
    pub(crate) fn earn(&mut self) {
        self.hedges = (self.hedges + HEDGES_A_READ).min(MOST_HEDGES);
    }

    /// Whether another worker may be asked as well; uses a hedge up.
    pub(crate) fn spend(&mut self) -> bool {
        let may = self.hedges >= 1.0;
        if may {
            self.hedges -= 1.0;
        }
        may
    }

    fn waits(&mut self, is_first: bool) -> &mut Waits {
        if is_first {
            &mut self.first
        } else {
            &mut self.later
        }
    }
}

impl Waits {
    fn note(&mut self, waited: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(waited);
    }

    fn too_long(&self) -> Duration {
        if self.0.len() < ENOUGH {
            return UNKNOWN;
        }
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        (sorted[sorted.len() * 9 / 10] * 4).max(LEAST)
    }
}

const REMEMBERED: usize = 64;
const ENOUGH: usize = 4;
/// While too little is known.
const UNKNOWN: Duration = Duration::from_secs(2);
/// Storage and schedulers are this uneven by themselves.
const LEAST: Duration = Duration::from_millis(250);
const HEDGES_A_READ: f64 = 0.1;
const MOST_HEDGES: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn too_long_is_four_times_what_nine_in_ten_took() {
        let mut pace = Pace::default();
        assert_eq!(pace.too_long(true), UNKNOWN);
        for wait in 1..=100 {
            pace.note(true, milliseconds(10 * wait));
        }
        // Of the last 64, 370 … 1000 ms.
        assert_eq!(pace.too_long(true), milliseconds(4 * 940));
        assert_eq!(pace.too_long(false), UNKNOWN, "kinds are apart");
        for _ in 0..REMEMBERED {
            pace.note(true, milliseconds(1));
        }
        assert_eq!(pace.too_long(true), LEAST);
    }

    #[test]
    fn hedges_are_a_few_and_then_a_tenth() {
        let mut pace = Pace::default();
        let spent = (0..100).filter(|_| pace.spend()).count();
        assert_eq!(spent, 4);
        let mut spent = 0;
        for _ in 0..1000 {
            pace.earn();
            spent += usize::from(pace.spend());
        }
        assert!((99..=101).contains(&spent), "{spent}");
    }
}
