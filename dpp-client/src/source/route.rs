//! Which worker reads a file: rendezvous hashing, spilling to the next under load. Pure.
//!
//! All reads of a file meet at one worker, whose footers and caches are warm for it, unless that worker has
//! more than its share in flight. Adding or losing a worker moves only that worker's files.
//!
//! Sources: Thaler, Ravishankar, "Using name-based mappings to increase hit rates", 1998; bounded loads after
//! Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads", 2016.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A worker that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) address: &'a str,
    /// Our reads in flight there.
    pub(crate) load: usize,
}

/// The index of the worker that reads `file`; `None` when there is none.
pub(crate) fn route(file: &str, candidates: &[Candidate<'_>]) -> Option<usize> {
    let in_flight: usize = candidates.iter().map(|candidate| candidate.load).sum();
    let most = ((in_flight + 1) * 5).div_ceil(candidates.len().max(1) * 4); // a quarter above the mean
    let open = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.load < most);
    open.max_by_key(|(_, candidate)| weight(file, candidate.address))
        .map(|(index, _)| index)
}

fn weight(file: &str, address: &str) -> u64 {
    xxh3_64_with_seed(file.as_bytes(), xxh3_64_with_seed(address.as_bytes(), 0))
}

#[cfg(test)]
mod tests {
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

        /// However files fall, nobody has more than a quarter above the mean, rounded up.
        #[test]
        fn load_is_bounded(count in 1..9usize, files in prop::collection::vec("[ab]{1,3}", 1..100)) {
            let workers: Vec<String> = (0..count).map(|i| format!("worker-{i}:1")).collect();
            let mut loads = vec![0usize; count];
            for (sent, file) in files.iter().enumerate() {
                let candidates: Vec<_> = workers.iter().zip(&loads).map(|(address, &load)| Candidate { address, load }).collect();
                loads[route(file, &candidates).unwrap()] += 1;
                prop_assert!(*loads.iter().max().unwrap() <= ((sent + 1) * 5).div_ceil(count * 4));
            }
        }
    }

    #[test]
    fn nobody_is_no_route() {
        assert_eq!(route("part-0.parquet", &[]), None);
    }
}
