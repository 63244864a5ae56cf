//! Two lists of a row side by side: ids ascending, equal ones together.

use std::ops::Range;

use arrow::array::Float32Array;

use crate::{
    Column, Error,
    id_list::IdList,
    op::columns,
    ops::{
        dense::elementwise::one_nan,
        sieve::{FEW, Sieve},
    },
};

/// One list of a row.
pub(super) struct Side<'a> {
    /// Ids of the list, counted as often as they stand.
    pub(super) len: usize,
    /// Distinct ids, ascending: all, or at least those that the other side has too.
    pub(super) groups: &'a [Group],
}

/// What a list says of one id. A list without scores gives every id 1.
pub(super) struct Group {
    id: i64,
    /// How often it stands.
    pub(super) count: usize,
    /// Of its scores, added in list order.
    pub(super) sum: f64,
    pub(super) min: f32,
    pub(super) max: f32,
}

/// One dense value per row, of two list columns; `looks_at_all`: also at ids that only one side has.
pub(super) fn each_row(
    op: &str,
    inputs: &[&Column],
    looks_at_all: bool,
    measure: impl Fn(&Side<'_>, &Side<'_>) -> f32,
) -> Result<Column, Error> {
    let [a, b] = columns(op, inputs)?;
    let (mut a, mut b) = (Grouped::new(a.id_list()?), Grouped::new(b.id_list()?));
    let rows = 0..a.lists.rows();
    let values = rows.map(|row| {
        let few = a.ids(row).len().max(b.ids(row).len()) <= FEW;
        if few && !looks_at_all {
            let of_b = Sieve::of(b.ids(row).iter().copied());
            a.take(row, |id| of_b.may_hold(id));
            let of_a = Sieve::of(a.places.iter().map(|(id, _)| *id));
            b.take(row, |id| of_a.may_hold(id));
        } else {
            a.take(row, |_| true);
            b.take(row, |_| true);
        }
        one_nan(measure(&a.side(row), &b.side(row)))
    });
    Ok(Column::Dense(Float32Array::from_iter_values(values)))
}

/// The groups that both sides have, ascending.
pub(super) fn matched<'a>(
    a: &Side<'a>,
    b: &Side<'a>,
) -> impl Iterator<Item = (&'a Group, &'a Group)> {
    let mut others = b.groups.iter().peekable();
    let groups = a.groups.iter();
    groups.filter_map(move |group| {
        while others.next_if(|other| other.id < group.id).is_some() {}
        let other = others.next_if(|other| other.id == group.id)?;
        Some((group, other))
    })
}

/// Size of the multiset intersection.
pub(super) fn overlap(a: &Side<'_>, b: &Side<'_>) -> f32 {
    let counts = matched(a, b).map(|(a, b)| a.count.min(b.count));
    counts.sum::<usize>() as f32
}

/// The lower of two scores: the first of equal ones, a number rather than NaN.
pub(super) fn lower(a: f32, b: f32) -> f32 {
    if b < a || a.is_nan() { b } else { a }
}

/// The higher of two scores: the first of equal ones, a number rather than NaN.
pub(super) fn higher(a: f32, b: f32) -> f32 {
    if b > a || a.is_nan() { b } else { a }
}

/// Lists with room for the groups of one row, used again for the next.
struct Grouped<'a> {
    lists: &'a IdList,
    /// Ids that were taken, each with its place in the column.
    places: Vec<(i64, usize)>,
    groups: Vec<Group>,
}

impl<'a> Grouped<'a> {
    fn new(lists: &'a IdList) -> Grouped<'a> {
        Grouped {
            lists,
            places: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn extent(&self, row: usize) -> Range<usize> {
        let offsets = self.lists.offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    }

    fn ids(&self, row: usize) -> &[i64] {
        &self.lists.ids()[self.extent(row)]
    }

    /// Takes those of the row's ids.
    fn take(&mut self, row: usize, which: impl Fn(i64) -> bool) {
        let (extent, ids) = (self.extent(row), self.lists.ids());
        self.places.clear();
        let places = extent.map(|place| (ids[place], place));
        self.places.extend(places.filter(|(id, _)| which(*id)));
    }

    /// The row's side, of the ids that were taken.
    fn side(&mut self, row: usize) -> Side<'_> {
        let len = self.extent(row).len();
        self.places.sort_unstable();
        self.groups.clear();
        for &(id, place) in &self.places {
            let score = self.lists.scores().map_or(1.0, |scores| scores[place]);
            match self.groups.last_mut() {
                Some(group) if group.id == id => group.add(score),
                _ => self.groups.push(Group::of(id, score)),
            }
        }
        Side {
            len,
            groups: &self.groups,
        }
    }
}

impl Group {
    fn of(id: i64, score: f32) -> Group {
        Group {
            id,
            count: 1,
            sum: score.into(),
            min: score,
            max: score,
        }
    }

    fn add(&mut self, score: f32) {
        self.count += 1;
        self.sum += f64::from(score);
        self.min = lower(self.min, score);
        self.max = higher(self.max, score);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::ops::testing::*;

    proptest! {
        /// Lists that are sifted, and such that are too long for it.
        #[test]
        fn what_both_have_is_the_same_sifted_or_not(
            rows in vec((vec((-30i64..30, -2f32..2.0), 0..90), vec((-30i64..30, -2f32..2.0), 0..90)), 0..12),
        ) {
            let (a, b): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let (a, b) = (scored_lists(&a), scored_lists(&b));
            let sums = |a: &Side<'_>, b: &Side<'_>| {
                let both = matched(a, b).map(|(a, b)| a.sum * 3.0 + b.sum + f64::from(a.min - b.max));
                both.sum::<f64>() as f32
            };
            for measure in [overlap, sums, |a: &Side<'_>, b: &Side<'_>| (a.len * 100 + b.len) as f32] {
                let found = |all| dense_bits(&each_row("x", &[&a, &b], all, measure).unwrap());
                prop_assert_eq!(found(false), found(true));
            }
        }
    }
}
