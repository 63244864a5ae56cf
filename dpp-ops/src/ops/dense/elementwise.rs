//! Ops that make one dense value of one dense value: a function, mapped over blocks of values in place.

use std::{fmt::Debug, sync::Arc};

use arrow::array::{Array, Float32Array};

use crate::{
    Column, Error, Kind,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    vectorised::{MapValue, map_in_place},
};

/// One dense value from one. An int is converted first; nulls stay null; empty in, empty out.
pub(crate) trait EachValue: Debug + Send + Sync {
    /// The op's name.
    const NAME: &'static str;

    /// The op's value at x, also at what lies under a null, inlined. Any NaN it gives becomes the canonical one.
    fn one(&self, x: f32) -> f32;
}

/// The op that maps every value by `each`.
pub(crate) fn each_value<T: EachValue + 'static>(each: T) -> SharedOp {
    Arc::new(Mapped(each))
}

#[derive(Debug)]
struct Mapped<T>(T);

impl<T: EachValue> Op for Mapped<T> {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Dense])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let values = only_column(T::NAME, inputs)?.dense()?;
        Ok(Column::Dense(mapped(values, self)))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Values(self))
    }
}

impl<T: EachValue> MapValue<f32> for Mapped<T> {
    #[inline(always)]
    fn map(&self, x: f32) -> f32 {
        one_nan(self.0.one(x))
    }
}

/// The values mapped; nulls stay null.
pub(crate) fn mapped(values: &Float32Array, map: &impl MapValue<f32>) -> Float32Array {
    let mut mapped = values.values().to_vec();
    map_in_place(&mut mapped, map);
    Float32Array::new(mapped.into(), values.nulls().cloned())
}

/// The same, with one NaN whatever its bits: processors differ in the NaN they make.
#[inline(always)]
pub(crate) fn one_nan(x: f32) -> f32 {
    if x.is_nan() { f32::NAN } else { x }
}
