//! The meaning of a read's [`Shuffle`](crate::v1::Shuffle), shared by the trainer's order and the worker.
//!
//! A piece of rows is cut into windows from its start; each window's rows are sorted by a seeded hash.
//! Pure; equal to `mix` and the row shuffle of the order's reference.

use std::ops::Range;

/// 64-bit hash of integers: splitmix64's finaliser, chained.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0, |hash, word| {
        let mut h = (hash ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        h = (h ^ (h >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        h = (h ^ (h >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        h ^ (h >> 31)
    })
}

/// The rows of one window in shuffled order.
///
/// `piece_first_row` and `window` are positions in the snapshot; `window` lies in the piece that starts there.
/// Returns the window's positions, `window.end - window.start` of them.
pub fn shuffled_window(
    seed: u64,
    epoch: u64,
    piece_first_row: u64,
    window: Range<u64>,
) -> Vec<u64> {
    let mut rows: Vec<u64> = window.collect();
    rows.sort_by_cached_key(|&row| (mix(&[seed, epoch, piece_first_row, row]), row));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_is_the_references() {
        // printed by order_reference.py: mix(), mix(0), mix(1, 2, 3), mix(-1)
        assert_eq!(mix(&[]), 0);
        assert_eq!(mix(&[0]), 0xe220a8397b1dcdaf);
        assert_eq!(mix(&[1, 2, 3]), 0xd0734750fde362b3);
        assert_eq!(mix(&[u64::MAX]), 0xe4d971771b652c20);
    }

    #[test]
    fn a_window_is_permuted_not_changed() {
        let mut rows = shuffled_window(7, 1, 100, 110..140);
        assert_ne!(rows, (110..140).collect::<Vec<_>>());
        rows.sort_unstable();
        assert_eq!(rows, (110..140).collect::<Vec<_>>());
    }
}
