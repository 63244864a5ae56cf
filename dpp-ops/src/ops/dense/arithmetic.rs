//! What the four arithmetic ops share: a column and a number, or two columns.
//!
//! Dense values follow IEEE 754, each result rounded once, NaN canonical. Ints stay exact, wrapping at 64 bits, as long
//! as both sides are whole; else they become dense first.

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use arrow::{
    array::{Array, Float32Array, Int64Array},
    buffer::NullBuffer,
};

use super::elementwise::{mapped, one_nan};
use crate::{
    Column, Error, Kind,
    in_place::{InPlace, MapEach},
    op::{Mismatch, Op, SharedOp, columns, each_input, only_column, only_input},
    parameters::Reader,
    vectorised::map_in_place,
};

/// An op by its functions.
pub(super) trait Arithmetic: Debug + Send + Sync {
    /// The op's name.
    const NAME: &'static str;
    /// The op on whole numbers, if it is exact there.
    const WHOLE: Option<fn(i64, i64) -> i64>;

    /// The op on dense values.
    fn dense(x: f32, y: f32) -> f32;
}

/// The op `T` with `other` as its other side.
pub(super) fn arithmetic<T: Arithmetic + 'static>(other: Other) -> SharedOp {
    Arc::new(Combined::<T> {
        other,
        op: PhantomData,
    })
}

#[derive(Debug)]
struct Combined<T> {
    other: Other,
    op: PhantomData<T>,
}

impl<T: Arithmetic> Op for Combined<T> {
    /// Int of ints if the op is exact there, else dense.
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        const NUMBERS: &[Kind] = &[Kind::Dense, Kind::Int];
        const DENSE: &[Kind] = &[Kind::Dense];
        let exact = T::WHOLE.is_some();
        match self.other {
            Other::Number { whole: Some(_), .. } if exact => only_input(inputs, NUMBERS),
            Other::Number { .. } => only_input(inputs, DENSE),
            Other::Column if inputs.len() != 2 => Err(Mismatch::Count { wanted: 2 }),
            Other::Column if exact && inputs == [Kind::Int, Kind::Int] => Ok(Kind::Int),
            Other::Column => each_input(inputs, DENSE).map(|()| Kind::Dense),
        }
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        match self.other {
            Other::Column => two_columns::<T>(columns(T::NAME, inputs)?),
            Other::Number {
                dense,
                whole,
                reversed,
            } => match (only_column(T::NAME, inputs)?, T::WHOLE.zip(whole)) {
                (Column::Int(values), Some((op, whole))) => Ok(Column::Int(match reversed {
                    true => values.unary(|x| op(whole, x)),
                    false => values.unary(|x| op(x, whole)),
                })),
                (column, _) => Ok(Column::Dense(match reversed {
                    true => mapped(column.dense()?, &|x| one_nan(T::dense(dense, x))),
                    false => mapped(column.dense()?, &|x| one_nan(T::dense(x, dense))),
                })),
            },
        }
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        match self.other {
            Other::Number { .. } => Some(InPlace::Values(self)),
            Other::Column => None,
        }
    }
}

impl<T: Arithmetic> MapEach<f32> for Combined<T> {
    fn map_each(&self, values: &mut [f32]) {
        match self.other {
            Other::Column => {}
            Other::Number {
                dense,
                reversed: true,
                ..
            } => map_in_place(values, &|x| one_nan(T::dense(dense, x))),
            Other::Number { dense, .. } => map_in_place(values, &|x| one_nan(T::dense(x, dense))),
        }
    }
}

fn two_columns<T: Arithmetic>(inputs: [&Column; 2]) -> Result<Column, Error> {
    if let ([Column::Int(first), Column::Int(second)], Some(op)) = (inputs, T::WHOLE) {
        let nulls = NullBuffer::union(first.nulls(), second.nulls());
        let values = paired(first.values(), second.values(), op);
        return Ok(Column::Int(Int64Array::new(values.into(), nulls)));
    }
    let (first, second) = (inputs[0].dense()?, inputs[1].dense()?);
    let nulls = NullBuffer::union(first.nulls(), second.nulls());
    let op = |x, y| one_nan(T::dense(x, y));
    let values = paired(first.values(), second.values(), op);
    Ok(Column::Dense(Float32Array::new(values.into(), nulls)))
}

fn paired<T: Copy>(first: &[T], second: &[T], op: impl Fn(T, T) -> T) -> Vec<T> {
    let pairs = first.iter().zip(second);
    pairs.map(|(&x, &y)| op(x, y)).collect()
}

/// The other side of an op: a number that plans carry, or the second input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Other {
    /// The number, as f32 and, if whole, as i64; first when reversed.
    Number {
        dense: f32,
        whole: Option<i64>,
        reversed: bool,
    },
    Column,
}

impl Other {
    /// Reads `value`, and `reversed` if the op has it. Without `value` there is a second input.
    pub(super) fn read(reader: &mut Reader<'_>, may_reverse: bool) -> Result<Other, Error> {
        if !reader.has("value") {
            return match reader.has("reversed") {
                true => Err(reader.bad("reversed", "it goes with `value`; swap the inputs")),
                false => Ok(Other::Column),
            };
        }
        let (dense, whole) = reader.number("value")?;
        let reversed = may_reverse && reader.flag_or("reversed", false)?;
        Ok(Other::Number {
            dense,
            whole,
            reversed,
        })
    }
}

#[cfg(test)]
pub(super) mod testing {
    use proptest::{option, prelude::*};

    use crate::ops::testing::*;

    type Pairs<T> = Vec<(Option<T>, Option<T>)>;

    /// Pairs of numbers, pairs of ints, and a number.
    pub(in super::super) fn two_sides() -> impl Strategy<Value = (Pairs<f32>, Pairs<i64>, f32)> {
        let maybe = |often| {
            (
                option::weighted(often, any_f32()),
                option::weighted(often, any_f32()),
            )
        };
        let ints = |often| {
            (
                option::weighted(often, any_i64()),
                option::weighted(often, any_i64()),
            )
        };
        (rows(maybe(0.8)), rows(ints(0.8)), -5f32..5.0)
    }

    /// Holds an op against its functions, row by row: two columns, a column and a number, and the reverse if it has that.
    pub(in super::super) fn as_naive(
        op: &'static str,
        dense_of: fn(f32, f32) -> f32,
        whole_of: Option<fn(i64, i64) -> i64>,
        reverses: bool,
    ) -> impl Fn((Pairs<f32>, Pairs<i64>, f32)) {
        move |(rows, ints, number)| {
            let (first, second): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let found = apply_to(op, &[], &[&dense(&first), &sliced_dense(&second)]).unwrap();
            let expected = rows.iter().map(|(x, y)| {
                let result = dense_of((*x)?, (*y)?);
                Some(if result.is_nan() { f32::NAN } else { result }.to_bits())
            });
            assert_eq!(dense_bits(&found), expected.collect::<Vec<_>>());
            let number_is = || ("value", f64::from(number).into());
            check_dense(op, &[number_is()], &first, |x| dense_of(x, number));
            if reverses {
                let reversed = [number_is(), ("reversed", true.into())];
                check_dense(op, &reversed, &first, |x| dense_of(number, x));
            }
            if let Some(whole_of) = whole_of {
                let (first, second): (Vec<_>, Vec<_>) = ints.iter().copied().unzip();
                let found = apply_to(op, &[], &[&int(&first), &int(&second)]).unwrap();
                let expected = ints.iter().map(|(x, y)| Some(whole_of((*x)?, (*y)?)));
                let found: Vec<_> = found.int().unwrap().iter().collect();
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
        }
    }

    /// Holds an op that is exact on ints against one result: of an int and 1, null beside; and of 3.0 and 0.5.
    pub(in super::super) fn check_kinds(
        op: &'static str,
        (x, and_one): (i64, i64),
        three_and_half: f32,
    ) {
        let found = apply(op, &[("value", 1.into())], &int(&[Some(x), None])).unwrap();
        let found: Vec<_> = found.int().unwrap().iter().collect();
        assert_eq!(found, [Some(and_one), None]);
        let found = apply(op, &[("value", 0.5.into())], &dense(&[Some(3.0)])).unwrap();
        let expected = dense_bits(&dense(&[Some(three_and_half)]));
        assert_eq!(dense_bits(&found), expected);
        assert_eq!(
            refusal(op, &[("value", "x".into())]),
            format!("op {op}, parameter `value`: a number is needed, text is given")
        );
    }
}
