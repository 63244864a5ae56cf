//! Measures as ops: a number of a row's scores, or of two lists of a row side by side.

use std::{fmt::Debug, sync::Arc};

use arrow::array::Float32Array;

use super::matching::{Side, each_row};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input, two_inputs},
    ops::dense::elementwise::one_nan,
};

/// A number of two lists.
pub(super) trait OfTwo: Debug + Send + Sync {
    /// The op's name.
    const NAME: &'static str;
    /// What the first input may be.
    const FIRST: &'static [Kind] = Kind::LISTS;
    /// What the second input may be.
    const SECOND: &'static [Kind] = Kind::LISTS;
    /// Whether it looks also at ids that only one side has.
    const LOOKS_AT_ALL: bool = false;

    /// The number of a row. Any NaN becomes the canonical one.
    fn of(a: &Side<'_>, b: &Side<'_>) -> f32;
}

/// A number of a row's scores.
pub(super) trait OfScores: Debug + Send + Sync {
    /// The op's name.
    const NAME: &'static str;

    /// The number of a row, null for none. Any NaN becomes the canonical one.
    fn of(scores: &[f32]) -> Option<f32>;
}

/// The op that takes the measure of two columns' rows.
pub(super) fn of_two<M: OfTwo + 'static>(measure: M) -> SharedOp {
    Arc::new(Two(measure))
}

/// The op that takes the measure of a column's rows.
pub(super) fn of_scores<M: OfScores + 'static>(measure: M) -> SharedOp {
    Arc::new(Scores(measure))
}

#[derive(Debug)]
struct Two<M>(M);

impl<M: OfTwo> Op for Two<M> {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, M::FIRST, M::SECOND).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(M::NAME, inputs, M::LOOKS_AT_ALL, M::of)
    }
}

#[derive(Debug)]
struct Scores<M>(M);

impl<M: OfScores> Op for Scores<M> {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList]).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(M::NAME, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let rows = lists.extents().map(|extent| M::of(&scores[extent]));
        let values = Float32Array::from_iter(rows.map(|value| value.map(one_nan)));
        Ok(Column::Dense(values))
    }
}
