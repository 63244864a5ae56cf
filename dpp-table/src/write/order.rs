//! The order of features that runs read together: plans in, names out. Pure, and the same for the same plans.
//!
//! Each feature has a signature, the set of plans that read it. A plan's requests begin where a feature that it reads follows
//! one that it does not, so the sum over plans is half the sum of the Hamming distances between neighbours' signatures: the
//! best order is a shortest path through them, a travelling salesman's problem, as Lemire, Kaser and Gutarra show for runs in
//! columns ("Reordering Rows for Better Compression: Beyond the Lexicographic Order", ACM TODS 37(3), 2012). As there, a greedy
//! chain is taken: from the feature that most plans read on to the nearest that is left. Near is by Jaccard distance and
//! not by Hamming's: features of two plans each that share none are as far apart as can be, however few plans that is, so
//! what one family of models reads is passed through before the next begins, and plans to come fit in better.
//!
//! Features of one signature are one stop. The chain looks at no more than [`WINDOW`] stops, those next in reflected Gray
//! order, so ten thousand features or a million cost `n · WINDOW` at most. Features that no plan reads keep their
//! places behind all others.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Which plans read a feature: one bit a plan.
type Signature = [u64; WORDS];

/// Orders `stored` so that features read by the same plans are neighbours.
///
/// Each plan is the names that it reads and a weight (runs, say); names that are not stored are ignored. Equal plans are
/// added up, and of more than [`MAX_PLANS`] the heaviest are looked at.
pub fn order_by_usage(stored: &[String], plans: &[(Vec<String>, f64)]) -> Vec<String> {
    let plans = heaviest(stored, plans);
    let weights: Vec<f64> = plans.iter().map(|(_, weight)| *weight).collect();
    let mut signatures = vec![[0; WORDS]; stored.len()];
    for (plan, (features, _)) in plans.iter().enumerate() {
        for feature in features {
            signatures[*feature][plan / 64] |= 1 << (plan % 64);
        }
    }
    let mut stops: BTreeMap<Signature, Vec<usize>> = BTreeMap::new();
    for (feature, signature) in signatures.into_iter().enumerate() {
        stops.entry(signature).or_default().push(feature);
    }
    let unread = stops.remove(&[0; WORDS]).unwrap_or_default();
    let chain = chain(stops.keys().copied().collect(), &weights);
    let read = chain.iter().flat_map(|signature| &stops[signature]);
    let order = read.chain(&unread);
    order.map(|feature| stored[*feature].clone()).collect()
}

/// Distinct plans as indices of stored features, the heaviest first.
fn heaviest(stored: &[String], plans: &[(Vec<String>, f64)]) -> Vec<(Vec<usize>, f64)> {
    let names = stored.iter().map(String::as_str);
    let index: HashMap<&str, usize> = names.zip(0..).collect();
    let mut distinct: BTreeMap<Vec<usize>, f64> = BTreeMap::new();
    for (features, weight) in plans {
        let known = features.iter().filter_map(|name| index.get(name.as_str()));
        let mut features: Vec<usize> = known.copied().collect();
        features.sort_unstable();
        features.dedup();
        *distinct.entry(features).or_default() += weight;
    }
    let mut plans: Vec<_> = distinct.into_iter().collect();
    plans.sort_by(|(a, heavy), (b, light)| light.total_cmp(heavy).then_with(|| a.cmp(b)));
    plans.truncate(MAX_PLANS);
    plans
}

/// A greedy path through all signatures.
fn chain(mut signatures: Vec<Signature>, weights: &[f64]) -> Vec<Signature> {
    signatures.sort_by_cached_key(|signature| std::cmp::Reverse(gray_rank(*signature)));
    let mut waiting: VecDeque<Signature> = signatures.into();
    let mut window: Vec<Signature> = Vec::new();
    let mut chain: Vec<Signature> = Vec::with_capacity(waiting.len());
    loop {
        let room = WINDOW.saturating_sub(window.len()).min(waiting.len());
        window.extend(waiting.drain(..room));
        let next = match chain.last() {
            None => best(&window, |stop| -weight(*stop, weights)),
            Some(last) => best(&window, |stop| distance(last, stop, weights)),
        };
        let Some(next) = next else {
            return chain;
        };
        chain.push(window.remove(next));
    }
}

/// The first stop of least cost.
fn best(stops: &[Signature], cost: impl Fn(&Signature) -> f64) -> Option<usize> {
    let costs = stops.iter().map(cost).enumerate();
    let least = costs.min_by(|(_, a), (_, b)| a.total_cmp(b));
    least.map(|(stop, _)| stop)
}

/// Jaccard distance, plans counted by weight.
fn distance(a: &Signature, b: &Signature, weights: &[f64]) -> f64 {
    let both = std::array::from_fn(|word| a[word] & b[word]);
    let either = std::array::from_fn(|word| a[word] | b[word]);
    1.0 - weight(both, weights) / weight(either, weights)
}

fn weight(signature: Signature, weights: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (word, mut bits) in signature.into_iter().enumerate() {
        while bits != 0 {
            sum += weights[word * 64 + bits.trailing_zeros() as usize];
            bits &= bits - 1;
        }
    }
    sum
}

/// The place of a signature in reflected Gray order: neighbours there differ in few plans.
fn gray_rank(signature: Signature) -> Signature {
    let mut odd = false;
    signature.map(|word| {
        let mut rank = 0;
        for bit in 0..64 {
            odd ^= word >> bit & 1 == 1;
            rank = rank << 1 | u64::from(odd);
        }
        rank
    })
}

/// Stops that the chain chooses from.
const WINDOW: usize = 2048;
/// Plans that are told apart.
const MAX_PLANS: usize = 64 * WORDS;
const WORDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(stored: &str, plans: &[&str], expected: &str) {
        let plans: Vec<_> = plans.iter().map(|plan| (names(plan), 1.0)).collect();
        assert_eq!(order_by_usage(&names(stored), &plans), names(expected));
    }

    #[test]
    fn what_is_read_together_lies_together() {
        check("a x b y c z", &["a b c", "x y z"], "a b c x y z");
        check("a x b y c z", &["a b c", "a b c", "b x y z"], "b a c x y z");
        check("a b c d", &[], "a b c d");
        check("a b c d", &["d"], "d a b c");
        check("a b", &["b nowhere"], "b a");
    }

    /// Plans of a family's features, one left out each: every plan then reads at most two runs.
    #[test]
    fn families_stay_together() {
        let stored: Vec<String> = (0..30).map(|i| format!("f{}", i * 7 % 30)).collect();
        let family = |of: usize, without: usize| -> (Vec<String>, f64) {
            let members = (0..30).filter(|i| i % 3 == of && *i != without);
            (members.map(|i| format!("f{i}")).collect(), 1.0)
        };
        let plans: Vec<_> = (0..30).map(|i| family(i % 3, i)).collect();
        let order = order_by_usage(&stored, &plans);
        let family_of = |name: &String| name[1..].parse::<usize>().unwrap() % 3;
        let families: Vec<usize> = order.iter().map(family_of).collect();
        let changes = families
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count();
        assert_eq!(changes, 2, "{order:?}");
    }

    #[test]
    fn many_features_are_ordered_in_bounded_time() {
        let stored: Vec<String> = (0..10_000).map(|i| format!("f{i}")).collect();
        let reads =
            |plan: usize| move |i: &usize| i.wrapping_mul(2_654_435_761 + plan * 97) >> 7 & 3 == 0;
        let plan = |plan: usize| -> (Vec<String>, f64) {
            (
                (0..10_000)
                    .filter(reads(plan))
                    .map(|i| format!("f{i}"))
                    .collect(),
                1.0,
            )
        };
        let mut order = order_by_usage(&stored, &(0..20).map(plan).collect::<Vec<_>>());
        let mut all = stored;
        order.sort();
        all.sort();
        assert_eq!(order, all);
    }
}
