//! Merges nearby byte ranges, so that a piece costs few requests, and cuts long ones, so that each is bounded.
//!
//! Ranges come from `read_plan`; requests go to `fetch`. Pure.

use std::ops::Range;

/// When two ranges may share a request, and how long a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoalesceSettings {
    /// Largest gap, in bytes, worth reading and dropping.
    pub max_gap_bytes: u64,
    /// Largest request, in bytes, at least 1. Bounds the memory one request holds.
    pub max_request_bytes: u64,
}

impl CoalesceSettings {
    /// For this machine's files: a read call costs about as much as copying a few pages. `figures flatten` measures it (its
    /// `gaps`): 51 MB in 288 chunks took 19 ms by gaps of 16 KiB, 22 ms by none and by 64 KiB, 35 ms by 256 KiB.
    pub const LOCAL: CoalesceSettings = CoalesceSettings {
        max_gap_bytes: 16 << 10,
        max_request_bytes: 16 << 20,
    };
    /// For object stores: a request waits 10 to 30 ms, in which a connection moves about a megabyte. `figures reorder
    /// --request-ms 20 --bandwidth-mb 50` tries all powers of two and finds this one the fastest, in either order of features. How
    /// much of it is spent: [`CoalesceSettings::sparing`]; through `figures flatten`'s S3 server that took 99 ms of CPU, whole
    /// gaps of 1 MiB 193 ms and none 101 ms.
    pub const OBJECT_STORE: CoalesceSettings = CoalesceSettings {
        max_gap_bytes: 1 << 20,
        max_request_bytes: 16 << 20,
    };

    /// The same with the largest gap at which no more than a tenth of the wanted bytes is read and dropped: many ranges
    /// far apart are then fetched side by side instead of with everything between them. Gaps of [`FREE_GAP_BYTES`] are
    /// always read through.
    ///
    /// `ranges` as for [`coalesce`].
    pub fn sparing(self, ranges: &[Range<u64>]) -> CoalesceSettings {
        let mut gaps: Vec<u64> = ranges
            .windows(2)
            .map(|pair| pair[1].start.saturating_sub(pair[0].end))
            .filter(|gap| *gap <= self.max_gap_bytes)
            .collect();
        gaps.sort_unstable();
        let wanted: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let (mut dropped, mut largest) = (0, FREE_GAP_BYTES.min(self.max_gap_bytes));
        // equal gaps are read through together or not at all
        for same in gaps.chunk_by(|a, b| a == b) {
            dropped += same.iter().sum::<u64>();
            if dropped > wanted / MOST_DROPPED {
                break;
            }
            largest = largest.max(same[0]);
        }
        CoalesceSettings {
            max_gap_bytes: largest,
            ..self
        }
    }
}

/// Reading this much costs less than any request.
const FREE_GAP_BYTES: u64 = 16 << 10;
/// One in so many bytes.
const MOST_DROPPED: u64 = 10;

/// Returns requests, ascending and disjoint, that together cover `ranges`.
///
/// `ranges` are sorted by start and may overlap; empty ones are ignored. No ranges give no requests. A range longer
/// than `max_request_bytes` is cut into adjacent requests.
pub fn coalesce(ranges: &[Range<u64>], settings: CoalesceSettings) -> Vec<Range<u64>> {
    debug_assert!(ranges.is_sorted_by_key(|range| range.start));
    let mut requests: Vec<Range<u64>> = Vec::new();
    for range in ranges.iter().filter(|range| range.start < range.end) {
        let covered = requests.last().map_or(0, |last| last.end);
        let mut rest = range.start.max(covered)..range.end;
        if let Some(last) = requests.last_mut() {
            let fits = rest.end.saturating_sub(last.start) <= settings.max_request_bytes;
            let near = rest.start - last.end <= settings.max_gap_bytes;
            if fits && near {
                last.end = last.end.max(rest.end);
                continue;
            }
        }
        while rest.start < rest.end {
            let end = rest
                .end
                .min(rest.start.saturating_add(settings.max_request_bytes.max(1)));
            requests.push(rest.start..end);
            rest.start = end;
        }
    }
    requests
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of ranges are what is tested"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: CoalesceSettings = CoalesceSettings {
        max_gap_bytes: 4,
        max_request_bytes: 30,
    };

    #[track_caller]
    fn check(ranges: &[Range<u64>], requests: &[Range<u64>]) {
        assert_eq!(coalesce(ranges, SETTINGS), requests);
    }

    #[test]
    fn small_gap_is_read_through() {
        check(&[0..10, 14..20], &[0..20]);
    }

    #[test]
    fn wide_gap_is_skipped() {
        check(&[0..10, 15..20], &[0..10, 15..20]);
    }

    #[test]
    fn requests_are_bounded() {
        check(&[0..70], &[0..30, 30..60, 60..70]);
        check(&[0..20, 22..40], &[0..20, 22..40]);
    }

    #[test]
    fn gaps_are_read_through_while_they_are_few_bytes() {
        let largest = |ranges: &[Range<u64>]| {
            let settings = CoalesceSettings::OBJECT_STORE.sparing(ranges);
            assert_eq!(settings.max_request_bytes, 16 << 20);
            settings.max_gap_bytes
        };
        let (kib, mib) = (1 << 10, 1 << 20);
        assert_eq!(largest(&[0..mib, mib + 100 * kib..2 * mib]), 100 * kib);
        assert_eq!(largest(&[0..mib, 2 * mib..3 * mib]), FREE_GAP_BYTES);
        let two = [
            0..mib,
            mib + 90 * kib..2 * mib,
            2 * mib + 200 * kib..3 * mib,
        ];
        assert_eq!(largest(&two), 90 * kib);
        assert_eq!(largest(&[0..10, 100..110]), FREE_GAP_BYTES);
        assert_eq!(largest(&[]), FREE_GAP_BYTES);
        let far = CoalesceSettings::LOCAL.sparing(&[0..64 * mib, 65 * mib..80 * mib]);
        assert_eq!(far, CoalesceSettings::LOCAL);
    }

    #[test]
    fn overlap_and_nothing() {
        check(&[0..10, 2..5, 8..12], &[0..12]);
        check(&[0..25, 20..40], &[0..25, 25..40]);
        check(&[3..3], &[]);
        check(&[], &[]);
    }

    proptest! {
        #[test]
        fn every_wanted_byte_once(
            parts in prop::collection::vec((0_u64..200, 0_u64..60), 0..12),
            max_gap_bytes in 0_u64..20,
            max_request_bytes in 1_u64..80,
        ) {
            let mut ranges: Vec<_> = parts.iter().map(|(start, length)| *start..start + length).collect();
            ranges.sort_by_key(|range| range.start);
            let requests = coalesce(&ranges, CoalesceSettings { max_gap_bytes, max_request_bytes });
            for pair in requests.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for request in &requests {
                prop_assert!(request.start < request.end && request.end - request.start <= max_request_bytes);
            }
            for byte in ranges.iter().flat_map(Clone::clone) {
                prop_assert!(requests.iter().any(|request| request.contains(&byte)));
            }
            let wanted = |byte: u64| ranges.iter().any(|range| range.contains(&byte));
            let mut gap = 0;
            for byte in requests.iter().flat_map(Clone::clone) {
                gap = if wanted(byte) { 0 } else { gap + 1 };
                prop_assert!(gap <= max_gap_bytes);
            }
        }
    }
}
