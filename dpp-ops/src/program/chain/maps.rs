//! Functions of one value each, and what a feature's values pass through wherever they stand.

use crate::{
    in_place::{InPlace, MapEach},
    op::SharedOp,
};

use super::BLOCK;

/// What every value of a feature passes through before anything else is done with it, whatever its row: equal values become
/// equal ones, so that a dictionary's may stand for those of all rows.
#[derive(Clone, Debug)]
pub enum ValueMap {
    /// Of a dense feature.
    Dense(Maps),
    /// Of an int, or of the ids of lists.
    Ids(Maps),
}

impl ValueMap {
    pub(super) fn maps(&self) -> &Maps {
        let (ValueMap::Dense(maps) | ValueMap::Ids(maps)) = self;
        maps
    }

    /// Ops that it stands for.
    pub(crate) fn ops(&self) -> usize {
        self.maps().0.len()
    }
}

/// Ops that map values one by one, in order: all [`InPlace::Values`], or all [`InPlace::Ids`].
#[derive(Clone, Debug, Default)]
pub struct Maps(pub(super) Vec<SharedOp>);

impl Maps {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, op: SharedOp) {
        self.0.push(op);
    }

    /// Blocks pass through every op before the next are taken: they stay in the first-level cache.
    fn each_block<T>(&self, values: &mut [T], map: impl Fn(InPlace<'_>, &mut [T])) {
        for block in values.chunks_mut(BLOCK) {
            for work in self.0.iter().filter_map(|op| op.in_place()) {
                map(work, block);
            }
        }
    }
}

impl MapEach<f32> for Maps {
    fn map_each(&self, values: &mut [f32]) {
        self.each_block(values, |work, block| {
            if let InPlace::Values(map) = work {
                map.map_each(block);
            }
        });
    }
}

impl MapEach<i64> for Maps {
    fn map_each(&self, values: &mut [i64]) {
        self.each_block(values, |work, block| {
            if let InPlace::Ids(map) = work {
                map.map_each(block);
            }
        });
    }
}
