//! What ops that keep one stretch of every row share.

use std::ops::Range;

use arrow::buffer::OffsetBuffer;

use crate::{Error, id_list::IdList};

/// The stretch of every row that `keep` names by the row's length; it lies within the row.
pub(super) fn slices(
    lists: &IdList,
    keep: impl Fn(usize) -> Range<usize>,
) -> Result<IdList, Error> {
    let lengths = lists.extents().map(|extent| keep(extent.len()).len());
    let offsets = OffsetBuffer::from_lengths(lengths);
    let ids = cut(lists, lists.ids(), &offsets, &keep);
    let scores = lists
        .scores()
        .map(|scores| cut(lists, scores, &offsets, &keep));
    IdList::new(offsets, ids.into(), scores.map(Into::into))
}

fn cut<T: Copy>(
    lists: &IdList,
    values: &[T],
    offsets: &OffsetBuffer<i32>,
    keep: impl Fn(usize) -> Range<usize>,
) -> Vec<T> {
    let mut kept = Vec::with_capacity(offsets[offsets.len() - 1] as usize);
    for extent in lists.extents() {
        let row = &values[extent];
        kept.extend_from_slice(&row[keep(row.len())]);
    }
    kept
}
