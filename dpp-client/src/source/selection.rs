//! What is left of a read after some of its rows have arrived. Pure.

/// The selection without its first `rows` rows. `pairs` are begin, end, begin, end, …; none means `0..length`.
///
/// Returns no pairs when nothing is left.
pub(crate) fn without_first(pairs: &[u64], length: u64, mut rows: u64) -> Vec<u64> {
    let all = [0, length];
    let pairs = if pairs.is_empty() { &all[..] } else { pairs };
    let mut left = Vec::with_capacity(pairs.len());
    for &[start, end] in pairs.as_chunks::<2>().0 {
        let skipped = rows.min(end - start);
        rows -= skipped;
        if start + skipped < end {
            left.extend([start + skipped, end]);
        }
    }
    left
}

/// Rows that the selection holds.
pub(crate) fn count(pairs: &[u64], length: u64) -> u64 {
    if pairs.is_empty() {
        length
    } else {
        pairs
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[start, end]| end - start)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions(pairs: &[u64]) -> Vec<u64> {
        pairs
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|&[start, end]| start..end)
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_tail(cuts in prop::collection::btree_set(0..60u64, 0..10), rows in 0..70u64) {
            let mut pairs: Vec<u64> = cuts.into_iter().collect();
            pairs.truncate(pairs.len() / 2 * 2);
            let all = if pairs.is_empty() { (0..60).collect() } else { positions(&pairs) };
            let left = without_first(&pairs, 60, rows);
            prop_assert_eq!(positions(&left), all[all.len().min(rows as usize)..].to_vec());
            prop_assert_eq!(count(&pairs, 60), all.len() as u64);
        }
    }
}
