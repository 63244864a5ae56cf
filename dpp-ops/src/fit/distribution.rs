//! How values are spread, in bounded memory: counts of distinct values, of which last bits are dropped when they are many.
//!
//! Values are counted by their bits in the order of numbers. While at most [`MOST`] are distinct, counts are exact; then the
//! last bits go, one by one, until as many buckets hold them. How many go depends on the set of values alone, not on the order
//! in which they came, nor on the parts in which they were counted.

/// Values so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Distribution {
    /// Ascending, without `dropped` last bits, each with how often it came.
    counts: Vec<(u32, u64)>,
    dropped: u32,
    /// Not counted yet.
    waiting: Vec<u32>,
}

impl Distribution {
    pub(super) fn add(&mut self, value: f32) {
        self.waiting.push(ordered(value) >> self.dropped);
        if self.waiting.len() >= MOST {
            self.settle();
        }
    }

    /// Adds what other values were counted as: buckets, ascending, of which so many last bits were dropped.
    pub(super) fn merge(&mut self, (dropped, counts): (u32, Vec<(u32, u64)>)) {
        self.settle();
        let most = self.dropped.max(dropped);
        let coarser = |counts: Vec<(u32, u64)>, by: u32| {
            let counts = counts.into_iter();
            counts.map(move |(bucket, count)| (bucket >> by, count))
        };
        let own = coarser(std::mem::take(&mut self.counts), most - self.dropped);
        self.counts = merged(own, coarser(counts, most - dropped));
        self.dropped = most;
        self.coarsen();
    }

    /// Buckets, and values that wait.
    pub(super) fn size(&self) -> usize {
        self.counts.len() + self.waiting.len()
    }

    /// Last bits that were dropped, and the buckets.
    pub(super) fn counts(&mut self) -> (u32, &[(u32, u64)]) {
        self.settle();
        (self.dropped, &self.counts)
    }

    /// The smallest value that at least i/parts of all values do not exceed, for i from 0 to parts; empty of no values. Where
    /// bits were dropped, the least value of its bucket: within 2^(dropped − 23) of it.
    pub(super) fn quantiles(mut self, parts: u32) -> Vec<f32> {
        self.settle();
        let all: u64 = self.counts.iter().map(|(_, count)| count).sum();
        let mut quantiles = Vec::new();
        let (mut place, mut passed) = (0, 0);
        for part in 0..=parts {
            if all == 0 {
                break;
            }
            let rank = (f64::from(part) / f64::from(parts) * all as f64).ceil();
            let rank = (rank as u64).clamp(1, all);
            while passed + self.counts[place].1 < rank {
                passed += self.counts[place].1;
                place += 1;
            }
            quantiles.push(value_of(self.counts[place].0 << self.dropped));
        }
        quantiles
    }

    /// Counts what waits.
    fn settle(&mut self) {
        self.waiting.sort_unstable();
        let added = self.waiting.drain(..).map(|bucket| (bucket, 1));
        self.counts = merged(self.counts.drain(..), added);
        self.coarsen();
    }

    /// Drops last bits until there are few enough buckets.
    fn coarsen(&mut self) {
        while self.counts.len() > MOST {
            self.dropped += 1;
            let coarser = self
                .counts
                .drain(..)
                .map(|(bucket, count)| (bucket >> 1, count));
            self.counts = merged(coarser, std::iter::empty());
        }
    }
}

/// Both, ascending, equal buckets together.
fn merged(
    one: impl Iterator<Item = (u32, u64)>,
    other: impl Iterator<Item = (u32, u64)>,
) -> Vec<(u32, u64)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    let mut merged: Vec<(u32, u64)> = Vec::new();
    loop {
        let takes_one = match (one.peek(), other.peek()) {
            (Some(a), Some(b)) => a.0 <= b.0,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return merged,
        };
        let Some((bucket, count)) = (if takes_one { one.next() } else { other.next() }) else {
            return merged;
        };
        match merged.last_mut() {
            Some(last) if last.0 == bucket => last.1 += count,
            _ => merged.push((bucket, count)),
        }
    }
}

/// Bits that compare as their values do; −0 is 0.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    match bits >> 31 {
        0 => bits | 1 << 31,
        _ => !bits,
    }
}

/// The value whose bits [`ordered`] gives.
fn value_of(ordered: u32) -> f32 {
    f32::from_bits(match ordered >> 31 {
        0 => !ordered,
        _ => ordered & !(1 << 31),
    })
}

/// Buckets of an output: 16 bytes each.
const MOST: usize = 1 << 13;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn of(values: &[f32]) -> Distribution {
        let mut distribution = Distribution::default();
        values.iter().for_each(|value| distribution.add(*value));
        distribution
    }

    fn naive(values: &[f32], parts: u32) -> Vec<f32> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f32::total_cmp);
        let at = |part: u32| {
            let rank = (f64::from(part) / f64::from(parts) * sorted.len() as f64).ceil();
            sorted[(rank as usize).max(1) - 1] + 0.0
        };
        (0..=parts).map(at).collect()
    }

    proptest! {
        #[test]
        fn few_values_are_exact(values in vec(-5f32..5.0, 1..200), parts in 1u32..20) {
            prop_assert_eq!(of(&values).quantiles(parts), naive(&values, parts));
        }

        #[test]
        fn order_is_kept_by_bits(a: f32, b: f32) {
            if !a.is_nan() && !b.is_nan() {
                prop_assert_eq!(a < b, ordered(a) < ordered(b));
                prop_assert_eq!(value_of(ordered(a)), a);
            }
        }
    }

    #[test]
    fn many_values_are_near_whatever_their_order() {
        let values: Vec<f32> = (0u32..60_000)
            .map(|it| (it.wrapping_mul(2_654_435_761) as f32 / 1e9 - 1.5).powi(3))
            .collect();
        let found = of(&values).quantiles(50);
        for (near, exact) in found.iter().zip(naive(&values, 50)) {
            assert!(
                (near - exact).abs() <= exact.abs() * 2f32.powi(-6),
                "{near} for {exact}"
            );
        }
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!(of(&sorted).quantiles(50), found);
        let mut merged = Distribution::default();
        for part in [&values[..100], &values[100..30_000], &values[30_000..]] {
            let mut part = of(part);
            let (dropped, counts) = part.counts();
            merged.merge((dropped, counts.to_vec()));
            assert!(merged.counts.len() <= MOST);
        }
        assert_eq!(merged.quantiles(50), found);
        assert!(of(&[]).quantiles(3).is_empty());
    }
}
