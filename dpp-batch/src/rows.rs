//! Rows of frames become batches of any size: slices are taken in order and joined with one copy, or handed on as they are where one
//! slice is all.
//!
//! Key-major values of a run of rows lie in K places. [`Rows`] walks a batch once from front to back and
//! remembers those places, so a slice costs nothing but the sum of its lengths. Those of all rows are not looked for unless asked.

use std::{borrow::Cow, ops::Range, sync::Arc};

use arrow_buffer::{Buffer, MutableBuffer};

use crate::{Batch, Extra, ExtraData, Jagged, Layout, little_endian::sum_of_lengths};

/// Rows of one batch, handed out from front to back.
#[derive(Debug)]
pub struct Rows {
    batch: Arc<Batch>,
    next: usize,
    /// Of what is left; `None` as long as nothing was taken.
    left: Option<Places>,
}

/// A run of rows of one batch.
#[derive(Clone, Debug)]
pub struct Slice {
    batch: Arc<Batch>,
    rows: Range<usize>,
    /// `None` of all rows.
    places: Option<Places>,
}

/// Where the values of a run of rows lie: ids of every key, and bytes of every extra.
#[derive(Clone, Debug)]
struct Places {
    values: Vec<Range<usize>>,
    bytes: Vec<Range<usize>>,
}

impl Rows {
    /// Starts at the first row of `batch`, which is one that [`Batch::check`] finds nothing wrong with: taking a part of another panics.
    pub fn new(batch: Batch) -> Rows {
        Rows {
            batch: Arc::new(batch),
            next: 0,
            left: None,
        }
    }

    /// Rows not yet taken.
    pub fn remaining(&self) -> usize {
        self.batch.rows - self.next
    }

    /// Takes the next `count` rows, or as many as remain.
    pub fn take(&mut self, count: usize) -> Slice {
        let rows = self.next..self.next + count.min(self.remaining());
        self.next = rows.end;
        let places = match rows.len() == self.batch.rows {
            true => None,
            false => {
                let left = self.left.get_or_insert_with(|| Places::of(&self.batch));
                Some(left.take(&self.batch, &rows))
            }
        };
        Slice {
            batch: self.batch.clone(),
            rows,
            places,
        }
    }
}

impl Places {
    /// Of all rows.
    fn of(batch: &Batch) -> Places {
        let mut at = 0;
        let keys = batch.ids_of_keys().expect(CHECKED);
        let bytes = |extra: &Extra| match &extra.data {
            ExtraData::Fixed(_) => 0..0,
            ExtraData::Variable { bytes, .. } => 0..bytes.len(),
        };
        Places {
            values: keys.into_iter().map(|ids| advance(&mut at, ids)).collect(),
            bytes: batch.extras.iter().map(bytes).collect(),
        }
    }

    /// Cuts off those of `rows`, the first of them.
    fn take(&mut self, batch: &Batch, rows: &Range<usize>) -> Places {
        let is_rest = rows.end == batch.rows && !rows.is_empty();
        let values = self.values.iter_mut().enumerate().map(|(key, left)| {
            let first = key * batch.rows;
            let taken = match is_rest {
                true => left.len(),
                false => sum(&batch.sparse.lengths, first + rows.start..first + rows.end),
            };
            advance(&mut left.start, taken)
        });
        let extras = self.bytes.iter_mut().zip(&batch.extras);
        let bytes = extras.map(|(left, extra)| match &extra.data {
            ExtraData::Fixed(_) => 0..0,
            ExtraData::Variable { lengths, .. } => {
                advance(&mut left.start, sum(lengths, rows.clone()))
            }
        });
        Places {
            values: values.collect(),
            bytes: bytes.collect(),
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

    fn placed(&self) -> (&Slice, Cow<'_, Places>) {
        let places = match &self.places {
            Some(places) => Cow::Borrowed(places),
            None => Cow::Owned(Places::of(&self.batch)),
        };
        (self, places)
    }
}

/// Rows of no content: zeros, no ids, extras null.
pub fn padding(layout: &Arc<Layout>, rows: usize) -> Slice {
    let batch = Batch::padding(layout, rows);
    Rows::new(batch).take(rows)
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
    let placed: Vec<_> = slices.iter().map(Slice::placed).collect();
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
        sparse: concat_sparse(layout, &placed),
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
            .map(|(i, spec)| concat_extra(i, spec.kind.fixed_width(), &placed, rows))
            .collect(),
        layout: layout.clone(),
    }
}

fn concat_sparse(layout: &Layout, slices: &[(&Slice, Cow<'_, Places>)]) -> Jagged {
    let keys = 0..layout.sparse.len();
    // Every buffer is written key by key, and within a key slice by slice.
    let parts = || {
        keys.clone().flat_map(|key| {
            slices
                .iter()
                .map(move |(slice, places)| (slice, key, &places.values[key]))
        })
    };
    Jagged {
        lengths: join(parts().map(|(slice, key, _)| {
            let first = key * slice.batch.rows;
            elements(
                &slice.batch.sparse.lengths,
                &(first + slice.rows.start..first + slice.rows.end),
                4,
            )
        })),
        values: join(
            parts().map(|(slice, _, values)| elements(&slice.batch.sparse.values, values, 8)),
        ),
        weights: layout.is_weighted().then(|| {
            join(parts().map(|(slice, _, values)| {
                let weights = slice.batch.sparse.weights.as_ref().expect(CHECKED);
                elements(weights, values, 4)
            }))
        }),
    }
}

fn concat_extra(
    index: usize,
    fixed_width: Option<usize>,
    slices: &[(&Slice, Cow<'_, Places>)],
    rows: usize,
) -> Extra {
    let data = |slice: &'_ Slice| slice.batch.extras[index].data.clone();
    let data = match fixed_width {
        Some(width) => {
            let parts = slices.iter().map(|(slice, _)| match data(slice) {
                ExtraData::Fixed(values) => (values, &slice.rows),
                ExtraData::Variable { .. } => unreachable!("{CHECKED}"),
            });
            let parts: Vec<_> = parts.collect();
            ExtraData::Fixed(join(
                parts
                    .iter()
                    .map(|(values, rows)| elements(values, rows, width)),
            ))
        }
        None => {
            let parts = slices.iter().map(|(slice, places)| match data(slice) {
                ExtraData::Variable { lengths, bytes } => {
                    (lengths, &slice.rows, bytes, &places.bytes[index])
                }
                ExtraData::Fixed(_) => unreachable!("{CHECKED}"),
            });
            let parts: Vec<_> = parts.collect();
            ExtraData::Variable {
                lengths: join(
                    parts
                        .iter()
                        .map(|(lengths, rows, ..)| elements(lengths, rows, 4)),
                ),
                bytes: join(
                    parts
                        .iter()
                        .map(|(_, _, bytes, place)| elements(bytes, place, 1)),
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
fn concat_validity(
    index: usize,
    slices: &[(&Slice, Cow<'_, Places>)],
    rows: usize,
) -> Option<Buffer> {
    let validity = |slice: &'_ Slice| slice.batch.extras[index].validity.clone();
    let has_null =
        |slice: &Slice| validity(slice).is_some_and(|valid| valid[slice.rows.clone()].contains(&0));
    if !slices.iter().any(|(slice, _)| has_null(slice)) {
        return None;
    }
    let mut joined = MutableBuffer::with_capacity(rows);
    for (slice, _) in slices {
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
    let mut joined = dpp_pool::empty(parts.clone().map(<[u8]>::len).sum());
    parts.for_each(|part| joined.extend_from_slice(part));
    joined.into_buffer()
}

fn sum(lengths: &Buffer, range: Range<usize>) -> usize {
    sum_of_lengths(elements(lengths, &range, 4)).expect(CHECKED)
}

fn advance(start: &mut usize, by: usize) -> Range<usize> {
    let from = *start;
    *start += by;
    from..*start
}

const CHECKED: &str = "a batch that was checked";

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
