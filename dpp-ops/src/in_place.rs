//! Work that leaves every value where it stands, or keeps a stretch of every row: what a program runs together, in place.

use std::ops::Range;

use crate::vectorised::{MapValue, map_in_place};

/// What an op of one input does, if this is all it does. It gives the bits that [`evaluate`](crate::Op::evaluate) gives.
pub enum InPlace<'a> {
    /// Dense to dense: every value mapped, also what lies under a null; nulls stay null.
    Values(&'a dyn MapEach<f32>),
    /// Dense to dense, or int to int if there is a whole number for it: this in place of nulls.
    Nulls {
        /// Of a dense column.
        dense: f32,
        /// Of an int.
        int: Option<i64>,
    },
    /// An int to a list of its one id, none for a null; a list of ids to itself.
    Singles,
    /// A list to a list of its kind: every id mapped, by nothing but itself; scores stay.
    Ids(&'a dyn MapEach<i64>),
    /// A list to a list of its kind: a stretch of every row, scores with their ids.
    Rows(Stretch),
}

/// A function of one value, on many at a time.
pub trait MapEach<T> {
    /// Maps every value.
    fn map_each(&self, values: &mut [T]);
}

impl<T: Copy, M: MapValue<T>> MapEach<T> for M {
    fn map_each(&self, values: &mut [T]) {
        map_in_place(values, self);
    }
}

/// Which ids of a row are kept, by the row's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// At most so many, from the beginning.
    First(usize),
    /// At most so many, up to the end.
    Last(usize),
    /// From `start` up to, not including, `end`, as Python slices: negative positions count from the end, positions
    /// beyond the row are its ends; without `end`, to the end.
    Between {
        /// The first position.
        start: i64,
        /// The position after the last.
        end: Option<i64>,
    },
}

impl Stretch {
    /// What is kept of a row of `length` ids; lies within `0..length`.
    pub fn of(self, length: usize) -> Range<usize> {
        match self {
            Stretch::First(most) => 0..length.min(most),
            Stretch::Last(most) => length.saturating_sub(most)..length,
            Stretch::Between { start, end } => {
                let start = position(start, length);
                let end = end.map_or(length, |end| position(end, length));
                start..end.max(start)
            }
        }
    }
}

/// Where a position of Python's lies in a row.
fn position(position: i64, length: usize) -> usize {
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    match position < 0 {
        true => length.saturating_sub(distance),
        false => distance.min(length),
    }
}
