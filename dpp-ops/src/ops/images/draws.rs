//! Random numbers that are functions of a row: the same on any worker, at any time.

use crate::ops::hash::{h128, twang};

/// Numbers drawn one after another for one row in one epoch: the k-th is twang(h128(h128(seed, epoch), row id) + k·γ), with
/// SplitMix64's γ.
#[derive(Debug)]
pub(super) struct Draws(u64);

impl Draws {
    /// `stream` keeps ops of one seed apart.
    pub(super) fn of(stream: u64, seed: i64, epoch: i64, row_id: i64) -> Draws {
        let run = h128(seed.cast_unsigned() ^ stream, epoch.cast_unsigned());
        Draws(h128(run, row_id.cast_unsigned()))
    }

    /// In [0, 1), in steps of 2^-53.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In `0..=most`.
    pub(super) fn up_to(&mut self, most: u32) -> u32 {
        let wide = u128::from(self.next()) * (u128::from(most) + 1);
        u32::try_from(wide >> 64).unwrap_or(most)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        twang(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Draws;

    #[test]
    fn are_golden_and_differ_by_every_argument() {
        let first = |stream, seed, epoch, row| Draws::of(stream, seed, epoch, row).next();
        assert_eq!(first(1, 2, 3, 4), first(1, 2, 3, 4));
        let others = [
            first(0, 2, 3, 4),
            first(1, 0, 3, 4),
            first(1, 2, 0, 4),
            first(1, 2, 3, 0),
        ];
        assert!(others.iter().all(|other| *other != first(1, 2, 3, 4)));
    }

    #[test]
    fn spread_evenly() {
        let mut seen = [0; 10];
        let mut sum = 0.0;
        for row in 0..10_000 {
            let mut draws = Draws::of(0, 7, 0, row);
            seen[draws.up_to(9) as usize] += 1;
            sum += draws.unit();
        }
        assert!(
            seen.iter().all(|count| (800..1200).contains(count)),
            "{seen:?}"
        );
        assert!((4_900.0..5_100.0).contains(&sum), "{sum}");
    }
}
