//! Which column chunks of a piece are fetched at once and held, and which are streamed. Pure.

use std::ops::Range;

/// A piece's bytes, by how they are fetched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Held until the piece is decoded, ascending.
    pub(crate) held: Vec<Range<u64>>,
    /// Streamed: by chunk, what is wanted of it, neighbours joined.
    pub(crate) streamed: Vec<Vec<Range<u64>>>,
    pub(crate) window_bytes: u64,
}

impl Holding {
    /// Everything at once.
    pub(crate) fn whole(ranges: &[Range<u64>]) -> Holding {
        Holding {
            held: ranges.to_vec(),
            ..Holding::default()
        }
    }
}

/// Divides the wanted `ranges` of `chunks`, all ascending, so that about `most_bytes` are held at a time.
///
/// Everything is held if it fits. Else chunks share alike, and those that are larger than their share are streamed. A share is
/// never less than [`WINDOWS`] of [`LEAST_WINDOW_BYTES`]: of very many chunks more is held.
pub(crate) fn divide(ranges: &[Range<u64>], chunks: &[Range<u64>], most_bytes: u64) -> Holding {
    let by_chunk = chunks.iter().map(|chunk| {
        let first = ranges.partition_point(|range| range.start < chunk.start);
        let end = ranges.partition_point(|range| range.start < chunk.end);
        &ranges[first..end]
    });
    let sizes: Vec<u64> = by_chunk.clone().map(total).collect();
    let Some(window_bytes) = window_bytes(&sizes, most_bytes) else {
        return Holding::whole(ranges);
    };
    let mut holding = Holding {
        window_bytes,
        ..Holding::default()
    };
    for (wanted, size) in by_chunk.zip(sizes) {
        match size <= WINDOWS * window_bytes {
            true => holding.held.extend_from_slice(wanted),
            false => holding.streamed.push(joined(wanted)),
        }
    }
    holding
}

/// Bytes held at a time of chunks of these sizes.
pub(crate) fn held_bytes(sizes: &[u64], most_bytes: u64) -> u64 {
    let share = window_bytes(sizes, most_bytes).map_or(u64::MAX, |window| WINDOWS * window);
    sizes.iter().map(|size| (*size).min(share)).sum()
}

/// Of streamed chunks; `None`: nothing needs to be streamed.
fn window_bytes(sizes: &[u64], most_bytes: u64) -> Option<u64> {
    let chunks = sizes.len() as u64;
    let fits = sizes.iter().sum::<u64>() <= most_bytes;
    let window = most_bytes / (WINDOWS * chunks.max(1));
    (!fits).then(|| window.clamp(LEAST_WINDOW_BYTES, MOST_WINDOW_BYTES))
}

/// Bytes in ranges.
pub(crate) fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// Neighbours as one.
pub(crate) fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range.clone()),
        }
    }
    joined
}

/// One that is decoded, one that follows, and what is left of the one before.
pub(crate) const WINDOWS: u64 = 3;
/// Less is not worth a request.
const LEAST_WINDOW_BYTES: u64 = 64 << 10;
/// More gains nothing.
const MOST_WINDOW_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_held() {
        let ranges = [0..10, 10..30];
        assert_eq!(divide(&ranges, &ranges, 30).held, ranges);
        assert_eq!(held_bytes(&[10, 20], 30), 30);
    }

    #[test]
    fn large_chunks_are_streamed_and_small_ones_held() {
        let (small, large) = (0..1000, 1000..1000 + (100 << 20));
        let ranges = [small.clone(), large.clone()];
        let most = 6 << 20;
        let holding = divide(&ranges, &ranges, most);
        assert_eq!(holding.held, [small]);
        assert_eq!(holding.streamed, [vec![large]]);
        assert_eq!(holding.window_bytes, 1 << 20);
        assert_eq!(held_bytes(&[1000, 100 << 20], most), 1000 + (3 << 20));
    }

    #[test]
    fn pages_of_a_chunk_are_joined() {
        let chunk = 0..(1 << 20);
        let pages = [0..10, 20..40, 40..500_000, 600_000..1_000_000];
        let holding = divide(&pages, &[chunk], 1000);
        assert_eq!(holding.streamed, [[0..10, 20..500_000, 600_000..1_000_000]]);
        assert_eq!(holding.window_bytes, LEAST_WINDOW_BYTES);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(divide(&[], &[], 0), Holding::default());
        assert_eq!(held_bytes(&[], 0), 0);
    }
}
