//! Which worker makes a piece: rendezvous hashing, spilling to the next under load. Pure.
//!
//! All reads of a block of rows meet at one worker, whose cache of stored bytes is warm for it, whichever runs and ranks ask, unless
//! that worker has more than its share in flight. Adding or losing a worker moves only that worker's blocks.
//!
//! Sources: Thaler, Ravishankar, "Using name-based mappings to increase hit rates", 1998; bounded loads after
//! Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads", 2016.

use dpp_proto::v1::ReadRequest;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A worker that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) address: &'a str,
    /// Our reads in flight there.
    pub(crate) load: usize,
}

/// What is read at one worker: a row group, or a part of one that is large. Lanes, ranks and runs that ask for parts of it share its
/// stored bytes there.
pub(crate) fn block(request: &ReadRequest) -> String {
    let Some(file) = &request.file else {
        return String::new();
    };
    let mut group = 0;
    for rows in &file.row_group_rows {
        if request.from_row < group + rows {
            break;
        }
        group += rows;
    }
    let first = group + request.from_row.saturating_sub(group) / BLOCK_ROWS * BLOCK_ROWS;
    format!("{}@{first}", file.path)
}

/// The index of the worker that reads `block`; `None` when there is none.
pub(crate) fn route(block: &str, candidates: &[Candidate<'_>]) -> Option<usize> {
    let in_flight: usize = candidates.iter().map(|candidate| candidate.load).sum();
    let most = most(in_flight, candidates.len());
    let open = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.load < most);
    open.max_by_key(|(_, candidate)| weight(block, candidate.address))
        .map(|(index, _)| index)
}

/// A quarter above the mean, and some: spilling whenever a few reads fell to one worker would read much of a table twice.
fn most(in_flight: usize, workers: usize) -> usize {
    ((in_flight + 1) * 5).div_ceil(workers.max(1) * 4) + SLACK
}

fn weight(block: &str, address: &str) -> u64 {
    xxh3_64_with_seed(block.as_bytes(), xxh3_64_with_seed(address.as_bytes(), 0))
}

/// As many rows as a split has unless it is set otherwise.
const BLOCK_ROWS: u64 = 65_536;
const SLACK: usize = 2;

#[cfg(test)]
mod tests {
    use std::{
        cmp::Reverse,
        collections::{BinaryHeap, HashSet},
    };

    use dpp_proto::{shuffle::mix, v1::SnapshotFile};
    use proptest::prelude::*;

    use super::*;

    fn idle(addresses: &[String]) -> Vec<Candidate<'_>> {
        addresses
            .iter()
            .map(|address| Candidate { address, load: 0 })
            .collect()
    }

    proptest! {
        /// Losing a worker moves its own files and no others.
        #[test]
        fn only_the_lost_workers_files_move(workers in prop::collection::btree_set("[a-z]{1,8}:[0-9]{2}", 2..9), lost in any::<prop::sample::Index>(), file in "[a-z/]{1,20}") {
            let workers: Vec<String> = workers.into_iter().collect();
            let lost = lost.index(workers.len());
            let before = &workers[route(&file, &idle(&workers)).unwrap()];
            let rest: Vec<String> = workers.iter().filter(|worker| **worker != workers[lost]).cloned().collect();
            let after = &rest[route(&file, &idle(&rest)).unwrap()];
            prop_assert!(*before == workers[lost] || before == after);
        }

        /// However blocks fall, nobody has more than a quarter above the mean, rounded up, and the slack.
        #[test]
        fn load_is_bounded(count in 1..9usize, files in prop::collection::vec("[ab]{1,3}", 1..100)) {
            let workers: Vec<String> = (0..count).map(|i| format!("worker-{i}:1")).collect();
            let mut loads = vec![0usize; count];
            for (sent, file) in files.iter().enumerate() {
                let candidates: Vec<_> = workers.iter().zip(&loads).map(|(address, &load)| Candidate { address, load }).collect();
                loads[route(file, &candidates).unwrap()] += 1;
                prop_assert!(*loads.iter().max().unwrap() <= most(sent, count));
            }
        }
    }

    #[test]
    fn nobody_is_no_route() {
        assert_eq!(route("part-0.parquet", &[]), None);
    }

    #[test]
    fn parts_of_a_row_group_are_one_block() {
        let file = SnapshotFile {
            path: "a".into(),
            row_group_rows: vec![1_000, 200_000],
            ..SnapshotFile::default()
        };
        let of = |from_row| {
            block(&ReadRequest {
                file: Some(file.clone()),
                from_row,
                ..ReadRequest::default()
            })
        };
        assert_eq!(
            ["a@0", "a@0"],
            [of(0), of(999)].each_ref().map(String::as_str)
        );
        let large = [of(1_000), of(66_535), of(66_536), of(200_999)];
        let blocks = ["a@1000", "a@1000", "a@66536", "a@197608"];
        assert_eq!(blocks, large.each_ref().map(String::as_str));
    }

    /// Blocks that workers fetch, all in all, for one that is wanted, when so many runs read the same ones, each at its own pace.
    fn fetched(workers: u64, in_flight: usize, runs: u64) -> f64 {
        const BLOCKS: u64 = 2_000;
        let addresses: Vec<String> = (0..workers)
            .map(|worker| format!("10.0.0.{worker}:7401"))
            .collect();
        let mut kept = HashSet::new();
        for run in 0..runs {
            let mut loads = vec![0usize; addresses.len()];
            let mut ends = BinaryHeap::new();
            let mut now = 0;
            for number in 0..BLOCKS {
                while ends.len() >= in_flight {
                    let Reverse((at, worker)) = ends.pop().unwrap();
                    now = at;
                    loads[worker] -= 1;
                }
                let candidates = addresses.iter().zip(&loads);
                let candidates: Vec<_> = candidates
                    .map(|(address, &load)| Candidate { address, load })
                    .collect();
                let worker = route(&format!("part@{number}"), &candidates).unwrap();
                loads[worker] += 1;
                // what waits at a worker takes longer
                let took = (700 + mix(&[run, number]) % 600) * (1 + loads[worker] as u64 / 2);
                ends.push(Reverse((now + took, worker)));
                kept.insert((number, worker));
            }
        }
        kept.len() as f64 / BLOCKS as f64
    }

    #[test]
    fn runs_on_one_table_meet_at_the_same_workers() {
        for workers in [2, 4, 50, 200] {
            // as many as a client opens ahead, and twice as many
            for in_flight in [2 * workers, 4 * workers] {
                let fetched = fetched(workers, in_flight as usize, 2);
                eprintln!("{workers} workers, {in_flight} in flight: {fetched:.3} of one run's");
                assert!(fetched <= 1.1, "{workers} workers: {fetched}");
            }
        }
    }
}
