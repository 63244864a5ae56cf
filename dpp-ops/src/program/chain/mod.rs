//! Ops run together: what a column passes through, block by block, between where it lies and where it goes.
//!
//! ```text
//! dense   values ─ copy ─▶ block ─ fill_null, z_score, clamp … in place ─▶ column or matrix
//! lists   rows ─ first_x … say which ids ─ copy ─▶ ids ─ sigrid_hash … in place
//! ```

mod dense;
mod lists;
mod maps;

pub use self::maps::{Maps, ValueMap};
pub(crate) use self::{
    dense::{BLOCK, DenseChain, Link, WORDS},
    lists::{ListChain, Singles},
};
use crate::{Column, Error};

/// What a column still has to pass through.
#[derive(Debug)]
pub(crate) enum Chain {
    /// Of a dense column.
    Dense(DenseChain),
    /// Of lists of ids, or of ints that become such.
    Lists(ListChain),
}

impl Chain {
    pub(crate) fn evaluate(&self, column: &Column) -> Result<Column, Error> {
        match self {
            Chain::Dense(chain) => chain.evaluate(column),
            Chain::Lists(chain) => chain.evaluate(column),
        }
    }

    /// What every value passes through, whatever its row; `None` if that is nothing.
    fn value_map(&self) -> Option<ValueMap> {
        let map = match self {
            Chain::Dense(chain) => ValueMap::Dense(chain.maps()),
            Chain::Lists(chain) => ValueMap::Ids(chain.maps.clone()),
        };
        (!map.maps().is_empty()).then_some(map)
    }

    /// What is left to do where every value has passed through [`value_map`](Chain::value_map).
    fn after_values(&self) -> Chain {
        match self {
            Chain::Dense(chain) => Chain::Dense(chain.after_values()),
            Chain::Lists(chain) => Chain::Lists(chain.after_values()),
        }
    }
}

/// A chain, and what is left of it where the values of its feature come mapped.
#[derive(Debug)]
pub(crate) struct Through {
    /// Ops that it stands for.
    pub(crate) ops: usize,
    chain: Chain,
    mapped: Option<Mapped>,
}

#[derive(Debug)]
struct Mapped {
    feature: usize,
    map: ValueMap,
    left: Chain,
}

impl Through {
    /// `feature`: whose values the chain begins with, if nobody else looks at them.
    pub(crate) fn new(chain: Chain, ops: usize, feature: Option<usize>) -> Through {
        let map = feature.zip(chain.value_map());
        let mapped = map.map(|(feature, map)| Mapped {
            feature,
            map,
            left: chain.after_values(),
        });
        Through { ops, chain, mapped }
    }

    /// The feature whose values may come mapped, and by what.
    pub(crate) fn value_map(&self) -> Option<(usize, &ValueMap)> {
        let mapped = self.mapped.as_ref()?;
        Some((mapped.feature, &mapped.map))
    }

    /// The chain for features of which some come mapped.
    pub(crate) fn chain(&self, is_mapped: &[bool]) -> &Chain {
        match &self.mapped {
            Some(mapped) if is_mapped.get(mapped.feature) == Some(&true) => &mapped.left,
            _ => &self.chain,
        }
    }
}
