//! Ops run together: what a column passes through, block by block, between where it lies and where it goes.
//!
//! ```text
//! dense   values ─ copy ─▶ block ─ fill_null, z_score, clamp … in place ─▶ column or matrix
//! lists   rows ─ first_x … say which ids ─ copy ─▶ ids ─ sigrid_hash … in place
//! ```

use std::ops::Range;

use arrow::{
    array::{Array, Float32Array},
    buffer::OffsetBuffer,
};

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    in_place::{InPlace, Stretch},
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    validity::{WORD, words},
};

/// What a column still has to pass through.
#[derive(Debug)]
pub(crate) enum Chain {
    /// Of a dense column.
    Dense(DenseChain),
    /// Of lists of ids.
    Lists(ListChain),
}

impl Chain {
    /// Ops that values pass through.
    pub(crate) fn ops(&self) -> usize {
        match self {
            Chain::Dense(DenseChain(ops)) => ops.len(),
            Chain::Lists(ListChain { stretches, maps }) => stretches.len() + maps.len(),
        }
    }
}

/// Ops on dense values, each [`InPlace::Values`] or [`InPlace::Nulls`], in order.
#[derive(Clone, Debug)]
pub(crate) struct DenseChain(pub(super) Vec<SharedOp>);

impl DenseChain {
    /// Whether a null comes out with a value.
    pub(crate) fn fills_nulls(&self) -> bool {
        let fills = |op: &SharedOp| matches!(op.in_place(), Some(InPlace::Nulls(_)));
        self.0.iter().any(fills)
    }

    /// Maps a block of values that begins at a word of validity; `validity`: of those values, none if none is null.
    pub(crate) fn run(&self, values: &mut [f32], mut validity: Option<&[u64]>) {
        for op in &self.0 {
            match (op.in_place(), validity) {
                (Some(InPlace::Values(map)), _) => map.map_each(values),
                (Some(InPlace::Nulls(fill)), Some(valid)) => {
                    fill_nulls(values, valid, fill);
                    validity = None;
                }
                _ => {}
            }
        }
    }
}

impl Op for DenseChain {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Dense])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let array = only_column("chain", inputs)?.dense()?;
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

/// Ops on lists: stretches of every row, then ops that are [`InPlace::Ids`].
#[derive(Clone, Debug, Default)]
pub(crate) struct ListChain {
    pub(super) stretches: Vec<Stretch>,
    pub(super) maps: Vec<SharedOp>,
}

impl ListChain {
    /// Appends the length of every row that comes out.
    pub(crate) fn push_lengths(&self, lists: &IdList, lengths: &mut Vec<i32>) {
        let bounds = lists.offsets().windows(2);
        match self.stretches.is_empty() {
            true => lengths.extend(bounds.map(|row| row[1] - row[0])),
            false => lengths.extend(bounds.map(|row| {
                let kept = self.kept((row[1] - row[0]) as usize).len();
                i32::try_from(kept).expect("no more than the row has")
            })),
        }
    }

    /// Appends the ids of every row that comes out.
    pub(crate) fn push_ids(&self, lists: &IdList, ids: &mut Vec<i64>) {
        let start = ids.len();
        self.push_kept(lists, lists.ids(), ids);
        for block in ids[start..].chunks_mut(BLOCK) {
            for op in &self.maps {
                if let Some(InPlace::Ids(map)) = op.in_place() {
                    map.map_each(block);
                }
            }
        }
    }

    /// Appends what is kept of `values`, one for each id: neighbouring rows that are kept whole at once.
    pub(crate) fn push_kept<T: Copy>(&self, lists: &IdList, values: &[T], kept: &mut Vec<T>) {
        if self.stretches.is_empty() {
            return kept.extend_from_slice(values);
        }
        let mut run = 0..0;
        for row in lists.extents() {
            let stretch = self.kept(row.len());
            let stretch = row.start + stretch.start..row.start + stretch.end;
            if stretch.start == run.end {
                run.end = stretch.end;
            } else {
                kept.extend_from_slice(&values[std::mem::replace(&mut run, stretch)]);
            }
        }
        kept.extend_from_slice(&values[run]);
    }

    /// What is kept of a row of `length` ids.
    fn kept(&self, length: usize) -> Range<usize> {
        self.stretches.iter().fold(0..length, |kept, stretch| {
            let inner = stretch.of(kept.len());
            kept.start + inner.start..kept.start + inner.end
        })
    }
}

impl Op for ListChain {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column("chain", inputs)?.id_list()?;
        let mut lengths = Vec::with_capacity(lists.rows());
        self.push_lengths(lists, &mut lengths);
        let offsets = OffsetBuffer::from_lengths(lengths.into_iter().map(|length| length as usize));
        let mut ids = Vec::with_capacity(offsets[offsets.len() - 1] as usize);
        self.push_ids(lists, &mut ids);
        let scores = lists.scores().map(|scores| {
            let mut kept = Vec::with_capacity(ids.len());
            self.push_kept(lists, scores, &mut kept);
            kept.into()
        });
        IdList::new(offsets, ids.into(), scores).map(Column::IdList)
    }
}

/// Values that pass through every op before the next are taken: they stay in the first-level cache.
pub(crate) const BLOCK: usize = WORDS * WORD;
/// Words of validity of a block.
pub(crate) const WORDS: usize = 8;
