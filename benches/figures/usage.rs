//! Plans as a company's models read a wide table, drawn from a seed.
//!
//! What is assumed, none of it measured on anybody's table:
//!
//! - Features come from `GROUPS` pipelines of uneven size, are added one by one by whoever needs one, and so lie in the table at
//!   random with regard to who reads them. Their stored sizes are log-normal.
//! - Models come in `FAMILIES`, whose number of runs falls as 1/rank. A family's list is most features (`TAKEN`) of a few pipelines
//!   and some that everybody likes: `POPULAR` draws by zipf's law over all features.
//! - A run reads its family's list, changed as experiments do: each feature is kept with probability `KEPT`, and a few
//!   (`TAIL` of the table) come in that nobody else asked for.

use std::collections::BTreeSet;

use rand::{
    Rng as _, RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus, seq::IndexedRandom as _,
};

/// Names a feature by its place in the table as stored.
pub(crate) type Plan = BTreeSet<usize>;

/// Plans of `runs` runs over `features` features.
pub(crate) fn plans(features: usize, runs: usize, seed: u64) -> Vec<Plan> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let groups = groups(features, &mut random);
    let popular = ranking(features, &mut random);
    let families: Vec<Plan> = (0..FAMILIES)
        .map(|_| family(&groups, &popular, &mut random))
        .collect();
    let mut run = || {
        let family = zipf(FAMILIES, &mut random);
        let mut plan: Plan = families[family]
            .iter()
            .copied()
            .filter(|_| random.random_bool(KEPT))
            .collect();
        let tail = (features as f64 * TAIL) as usize;
        plan.extend((0..tail).map(|_| random.random_range(0..features)));
        plan
    };
    (0..runs).map(|_| run()).collect()
}

/// Which features each pipeline makes; the size of a pipeline falls as 1/√rank.
fn groups(features: usize, random: &mut Xoshiro256PlusPlus) -> Vec<Vec<usize>> {
    let weights: Vec<f64> = (1..=GROUPS)
        .map(|rank| 1.0 / (rank as f64).sqrt())
        .collect();
    let total: f64 = weights.iter().sum();
    let mut groups = vec![Vec::new(); GROUPS];
    for feature in 0..features {
        let mut left = random.random::<f64>() * total;
        let group = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        groups[group.unwrap_or(0)].push(feature);
    }
    groups
}

fn ranking(features: usize, random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> = (0..features).map(|i| (random.next_u64(), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, feature)| feature).collect()
}

fn family(groups: &[Vec<usize>], popular: &[usize], random: &mut Xoshiro256PlusPlus) -> Plan {
    let chosen: Vec<&Vec<usize>> = groups.sample(random, GROUPS_READ).collect();
    let own = chosen.into_iter().flatten().copied();
    let mut plan: Plan = own.filter(|_| random.random_bool(TAKEN)).collect();
    let draws = (popular.len() as f64 * POPULAR) as usize;
    plan.extend((0..draws).map(|_| popular[zipf(popular.len(), random)]));
    plan
}

/// A rank below `n`, with probability as 1/(rank + 1).
fn zipf(n: usize, random: &mut Xoshiro256PlusPlus) -> usize {
    let total: f64 = (1..=n).map(|rank| 1.0 / rank as f64).sum();
    let mut left = random.random::<f64>() * total;
    (1..=n)
        .position(|rank| {
            left -= 1.0 / rank as f64;
            left < 0.0
        })
        .unwrap_or(n - 1)
}

const GROUPS: usize = 60;
const GROUPS_READ: usize = 3;
const TAKEN: f64 = 0.8;
const FAMILIES: usize = 8;
const POPULAR: f64 = 0.05;
const KEPT: f64 = 0.9;
const TAIL: f64 = 0.005;
