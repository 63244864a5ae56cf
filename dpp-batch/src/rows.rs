//! Rows of frames become batches of any size: slices are taken in order and joined with one copy, or handed on as they are where one
//! slice is all.
//!
//! Key-major values of a run of rows lie in K places. [`Rows`] walks a batch once from front to back and
//! remembers those places, so a slice costs nothing but the sum of its lengths.

use std::{ops::Range, sync::Arc};

use arrow_buffer::{Buffer, MutableBuffer};

use crate::{Batch, Error, Extra, ExtraData, Jagged, Layout, little_endian::sum_of_lengths};

/// Rows of one batch, handed out from front to back.
#[derive(Debug)]
pub struct Rows {
    batch: Arc<Batch>,
    next: usize,
    /// Of every key, where the values of the rows not yet taken lie.
    values: Vec<Range<usize>>,
    byte_starts: Vec<usize>,
}

/// A run of rows of one batch, and where their values lie.
#[derive(Clone, Debug)]
pub struct Slice {
    batch: Arc<Batch>,
    rows: Range<usize>,
    values: Vec<Range<usize>>,
    bytes: Vec<Range<usize>>,
}

impl Rows {
    /// Starts at the first row of `batch`.
    ///
    /// # Errors
    /// [`Error::Layout`] when the batch does not fit its own layout.
    pub fn new(batch: Batch) -> Result<Rows, Error> {
        let mut at = 0;
        let keys = batch.ids_of_keys()?;
        let values = keys.into_iter().map(|ids| advance(&mut at, ids));
        let values = values.collect();
        let byte_starts = vec![0; batch.extras.len()];
        Ok(Rows {
            batch: Arc::new(batch),
            next: 0,
            values,
            byte_starts,
        })
    }

    /// Rows not yet taken.
    pub fn remaining(&self) -> usize {
        self.batch.rows - self.next
    }

    /// Takes the next `count` rows, or as many as remain.
    pub fn take(&mut self, count: usize) -> Slice {
        let rows = self.next..self.next + count.min(self.remaining());
        self.next = rows.end;
        let batch = &self.batch;
        let values = self.values.iter_mut().enumerate().map(|(key, left)| {
            let first = key * batch.rows;
            let taken = match rows.end == batch.rows {
                true => left.len(),
                false => sum(&batch.sparse.lengths, first + rows.start..first + rows.end),
            };
            advance(&mut left.start, taken)
        });
        let bytes =
            self.byte_starts
                .iter_mut()
                .zip(&batch.extras)
                .map(|(start, extra)| match &extra.data {
                    ExtraData::Fixed(_) => 0..0,
                    ExtraData::Variable { lengths, .. } => {
                        advance(start, sum(lengths, rows.clone()))
                    }
                });
        Slice {
            values: values.collect(),
            bytes: bytes.collect(),
            batch: batch.clone(),
            rows,
        }
    }
}

impl Slice {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The batch that it is a slice of, if that is all of it and fit for a trainer.
    fn whole(&self) -> Option<&Batch> {
        let batch = &*self.batch;
        (self.rows() == batch.rows && batch.is_aligned() && !batch.has_needless_validity())
            .then_some(batch)
    }
}

/// Rows of no content: zeros, no ids, extras null.
pub fn padding(layout: &Arc<Layout>, rows: usize) -> Slice {
    let batch = Batch::padding(layout, rows);
    let mut rows_of = Rows::new(batch).expect("made for its layout");
    rows_of.take(rows)
}

/// Joins slices, in order, into one batch whose buffers are aligned for their types.
///
/// No slices give a batch of no rows. All slices are of `layout`. Nothing is copied of one that is whole and aligned already.
pub fn concat(layout: &Arc<Layout>, slices: &[Slice]) -> Batch {
    if let [slice] = slices
        && let Some(whole) = slice.whole()
    {
        return whole.clone();
    }
    let rows = slices.iter().map(Slice::rows).sum();
    let dense = layout.dense.len() * 4;
    let labels = layout.labels.len() * 4;
    Batch {
        rows,
        dense: join(
            slices
                .iter()
                .map(|s| elements(&s.batch.dense, &s.rows, dense)),
        ),
        labels: join(
            slices
                .iter()
                .map(|s| elements(&s.batch.labels, &s.rows, labels)),
        ),
        sparse: concat_sparse(layout, slices),
        vectors: layout
            .vectors
            .iter()
            .enumerate()
            .map(|(i, vector)| {
                join(
                    slices
                        .iter()
                        .map(|s| elements(&s.batch.vectors[i], &s.rows, vector.row_bytes())),
                )
            })
            .collect(),
        extras: layout
            .extras
            .iter()
            .enumerate()
            .map(|(i, spec)| concat_extra(i, spec.kind.fixed_width(), slices, rows))
            .collect(),
        layout: layout.clone(),
    }
}

fn concat_sparse(layout: &Layout, slices: &[Slice]) -> Jagged {
    let keys = 0..layout.sparse.len();
    // Every buffer is written key by key, and within a key slice by slice.
    let parts = || {
        keys.clone()
            .flat_map(|key| slices.iter().map(move |slice| (key, slice)))
    };
    Jagged {
        lengths: join(parts().map(|(key, slice)| {
            let first = key * slice.batch.rows;
            elements(
                &slice.batch.sparse.lengths,
                &(first + slice.rows.start..first + slice.rows.end),
                4,
            )
        })),
        values: join(
            parts().map(|(key, slice)| elements(&slice.batch.sparse.values, &slice.values[key], 8)),
        ),
        weights: layout.is_weighted().then(|| {
            join(parts().map(|(key, slice)| {
                let weights = slice
                    .batch
                    .sparse
                    .weights
                    .as_ref()
                    .expect("checked by Rows::new");
                elements(weights, &slice.values[key], 4)
            }))
        }),
    }
}

fn concat_extra(index: usize, fixed_width: Option<usize>, slices: &[Slice], rows: usize) -> Extra {
    let extra = |slice: &Slice| slice.batch.extras[index].clone();
    let data =
        match fixed_width {
            Some(width) => ExtraData::Fixed(join(slices.iter().map(|slice| {
                match &slice.batch.extras[index].data {
                    ExtraData::Fixed(values) => elements(values, &slice.rows, width),
                    ExtraData::Variable { .. } => unreachable!("checked by Rows::new"),
                }
            }))),
            None => {
                let variable = |slice: &'_ Slice| match extra(slice).data {
                    ExtraData::Variable { lengths, bytes } => (lengths, bytes),
                    ExtraData::Fixed(_) => unreachable!("checked by Rows::new"),
                };
                let parts: Vec<_> = slices.iter().map(variable).collect();
                ExtraData::Variable {
                    lengths: join(
                        slices
                            .iter()
                            .zip(&parts)
                            .map(|(slice, (lengths, _))| elements(lengths, &slice.rows, 4)),
                    ),
                    bytes: join(
                        slices
                            .iter()
                            .zip(&parts)
                            .map(|(slice, (_, bytes))| elements(bytes, &slice.bytes[index], 1)),
                    ),
                }
            }
        };
    Extra {
        validity: concat_validity(index, slices, rows),
        data,
    }
}

/// Present only when a row of these slices is null, so that batches do not depend on where frames were cut.
fn concat_validity(index: usize, slices: &[Slice], rows: usize) -> Option<Buffer> {
    let validity = |slice: &'_ Slice| slice.batch.extras[index].validity.clone();
    let has_null =
        |slice: &Slice| validity(slice).is_some_and(|valid| valid[slice.rows.clone()].contains(&0));
    if !slices.iter().any(has_null) {
        return None;
    }
    let mut joined = MutableBuffer::with_capacity(rows);
    for slice in slices {
        match validity(slice) {
            Some(valid) => joined.extend_from_slice(&valid[slice.rows.clone()]),
            None => joined.resize(joined.len() + slice.rows(), 1),
        }
    }
    Some(joined.into())
}

/// Elements `range` of a buffer whose elements have `width` bytes.
fn elements<'a>(buffer: &'a Buffer, range: &Range<usize>, width: usize) -> &'a [u8] {
    &buffer[range.start * width..range.end * width]
}

fn join<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone) -> Buffer {
    let mut joined = MutableBuffer::with_capacity(parts.clone().map(<[u8]>::len).sum());
    parts.for_each(|part| joined.extend_from_slice(part));
    joined.into()
}

fn sum(lengths: &Buffer, range: Range<usize>) -> usize {
    sum_of_lengths(elements(lengths, &range, 4)).expect("checked by Rows::new")
}

fn advance(start: &mut usize, by: usize) -> Range<usize> {
    let from = *start;
    *start += by;
    from..*start
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
