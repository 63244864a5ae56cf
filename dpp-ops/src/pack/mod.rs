//! Columns into the tensors of a batch; each value is written once, into its final place.

mod extras;
mod matrix;
mod sparse;

use std::sync::Arc;

use arrow::buffer::Buffer;
use dpp_batch::{Batch, Layout};

use crate::{Column, Error, Kind, plan::Group, program::chain::Chain};

/// What an output is packed from.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) column: &'a Column,
    /// What its values pass through as they are written; only for dense, labels and sparse.
    pub(crate) through: Option<&'a Chain>,
}

/// Packs `rows` rows. `columns` are the outputs of each group in layout order; a null of dense or labels becomes `missing`.
pub(crate) fn pack(
    layout: &Arc<Layout>,
    rows: usize,
    columns: [Vec<Packed<'_>>; Group::ALL.len()],
    missing: f32,
) -> Result<Batch, Error> {
    let [dense, sparse, labels, vectors, extras] = columns;
    Ok(Batch {
        layout: layout.clone(),
        rows,
        dense: matrix::pack(&dense, rows, missing)?,
        labels: matrix::pack(&labels, rows, missing)?,
        sparse: sparse::pack(&sparse, rows)?,
        vectors: vectors
            .into_iter()
            .map(|vector| rows_of_vector(vector.column))
            .collect::<Result<_, _>>()?,
        extras: extras
            .into_iter()
            .map(|extra| extras::pack(extra.column))
            .collect::<Result<_, _>>()?,
    })
}

fn rows_of_vector(column: &Column) -> Result<Buffer, Error> {
    match column {
        Column::Vector(vector) => Ok(vector.values().inner().clone()),
        Column::Pixels(pixels) => Ok(pixels.values().clone()),
        other => Err(other.is_not(Kind::Vector { width: 0 })),
    }
}
