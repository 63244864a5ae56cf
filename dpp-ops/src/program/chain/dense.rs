//! What a dense column passes through.

use arrow::array::{Array, Float32Array};

use super::Maps;
use crate::{
    Column, Error,
    in_place::{InPlace, MapEach},
    op::SharedOp,
    validity::{WORD, words},
};

/// Ops on dense values, in order.
#[derive(Clone, Debug)]
pub(crate) struct DenseChain(pub(crate) Vec<Link>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// An op that is [`InPlace::Values`].
    Values(SharedOp),
    /// This in place of nulls.
    Nulls(f32),
}

impl DenseChain {
    /// Whether a null comes out with a value.
    pub(crate) fn fills_nulls(&self) -> bool {
        let mut links = self.0.iter();
        links.any(|link| matches!(link, Link::Nulls(_)))
    }

    /// Maps a block of values that begins at a word of validity; `validity`: of those values, none if none is null.
    pub(crate) fn run(&self, values: &mut [f32], mut validity: Option<&[u64]>) {
        for link in &self.0 {
            match (link, validity) {
                (Link::Values(op), _) => {
                    if let Some(InPlace::Values(map)) = op.in_place() {
                        map.map_each(values);
                    }
                }
                (Link::Nulls(fill), Some(valid)) => {
                    fill_nulls(values, valid, *fill);
                    validity = None;
                }
                (Link::Nulls(_), None) => {}
            }
        }
    }

    pub(super) fn evaluate(&self, column: &Column) -> Result<Column, Error> {
        let array = column.dense()?;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let validity: Option<Vec<u64>> = nulls.map(|nulls| words(nulls).collect());
        let mut values: Vec<f32> = Vec::with_capacity(array.len());
        for (block, source) in array.values().chunks(BLOCK).enumerate() {
            let start = values.len();
            values.extend_from_slice(source);
            let validity = validity.as_ref().map(|words| &words[block * WORDS..]);
            self.run(&mut values[start..], validity);
        }
        let nulls = array.nulls().filter(|_| !self.fills_nulls());
        let values = Float32Array::new(values.into(), nulls.cloned());
        Ok(Column::Dense(values))
    }

    /// What values that are there pass through.
    pub(super) fn maps(&self) -> Maps {
        let links = self.0.iter();
        let maps = links.filter_map(|link| match link {
            Link::Values(op) => Some(op.clone()),
            Link::Nulls(_) => None,
        });
        Maps(maps.collect())
    }

    /// What is left when those have: a null becomes what filling it and the ops from there on make of it.
    pub(super) fn after_values(&self) -> DenseChain {
        let mut links = self.0.iter();
        let fill = links.find_map(|link| match link {
            Link::Nulls(fill) => Some(*fill),
            Link::Values(_) => None,
        });
        let filled = fill.map(|fill| {
            let mut filled = [fill];
            DenseChain(links.cloned().collect())
                .maps()
                .map_each(&mut filled);
            Link::Nulls(filled[0])
        });
        DenseChain(filled.into_iter().collect())
    }
}

fn fill_nulls(values: &mut [f32], validity: &[u64], fill: f32) {
    for (values, word) in values.chunks_mut(WORD).zip(validity) {
        let mut nulls = !word;
        while nulls != 0 {
            let Some(value) = values.get_mut(nulls.trailing_zeros() as usize) else {
                break;
            };
            *value = fill;
            nulls &= nulls - 1;
        }
    }
}

/// Values that pass through every op before the next are taken: they stay in the first-level cache.
pub(crate) const BLOCK: usize = WORDS * WORD;
/// Words of validity of a block.
pub(crate) const WORDS: usize = 8;
