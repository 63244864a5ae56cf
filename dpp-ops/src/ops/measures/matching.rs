//! Two lists of a row side by side: ids ascending, equal ones together.

use arrow::array::Float32Array;

use crate::{Column, Error, id_list::IdList, op::columns, ops::dense::elementwise::one_nan};

/// One list of a row.
pub(super) struct Side<'a> {
    /// Ids of the list, counted as often as they stand.
    pub(super) len: usize,
    /// Distinct ids, ascending.
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

/// One dense value per row, of two list columns.
pub(super) fn each_row(
    op: &str,
    inputs: &[&Column],
    measure: impl Fn(&Side<'_>, &Side<'_>) -> f32,
) -> Result<Column, Error> {
    let [a, b] = columns(op, inputs)?;
    let (mut a, mut b) = (Grouped::new(a.id_list()?), Grouped::new(b.id_list()?));
    let rows = 0..a.lists.rows();
    let values = rows.map(|row| one_nan(measure(&a.side(row), &b.side(row))));
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
    sorted: Vec<(i64, usize)>,
    groups: Vec<Group>,
}

impl<'a> Grouped<'a> {
    fn new(lists: &'a IdList) -> Grouped<'a> {
        Grouped {
            lists,
            sorted: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn side(&mut self, row: usize) -> Side<'_> {
        let offsets = self.lists.offsets();
        let extent = offsets[row] as usize..offsets[row + 1] as usize;
        let ids = self.lists.ids();
        self.sorted.clear();
        self.sorted.extend(extent.map(|place| (ids[place], place)));
        self.sorted.sort_unstable();
        self.groups.clear();
        for &(id, place) in &self.sorted {
            let score = self.lists.scores().map_or(1.0, |scores| scores[place]);
            match self.groups.last_mut() {
                Some(group) if group.id == id => group.add(score),
                _ => self.groups.push(Group::of(id, score)),
            }
        }
        Side {
            len: self.sorted.len(),
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
