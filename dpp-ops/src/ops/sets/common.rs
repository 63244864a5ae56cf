//! Which ids two lists have in common, row by row.
//!
//! Of short rows every id is compared with every other, eight at a time: cheaper than a set, which hashes each of them.

use std::ops::Range;

use crate::{
    Error,
    id_list::IdList,
    id_set::IdSet,
    list_writer::ListWriter,
    vectorised::{Kernel, vectorised},
};

/// The ids of `a` that are in `b`, in a's order, once each; with a's scores, if `scored` and it has them.
pub(super) fn common(a: &IdList, b: &IdList, scored: bool) -> Result<IdList, Error> {
    let room = a.ids().len().min(b.ids().len());
    let kept = ListWriter::new(a.rows(), room, scored && a.scores().is_some());
    vectorised(Common { a, b, kept })
}

struct Common<'a> {
    a: &'a IdList,
    b: &'a IdList,
    kept: ListWriter,
}

impl Kernel for Common<'_> {
    type Output = Result<IdList, Error>;

    #[inline(always)]
    fn run(mut self) -> Self::Output {
        let mut set = IdSet::default();
        for (extent, others) in self.a.extents().zip(self.b.id_rows()) {
            match extent.len() * others.len() {
                0 => {}
                1..=MOST_PAIRS => self.compare(extent, others),
                _ => self.look_up(extent, others, &mut set),
            }
            self.kept.end_row()?;
        }
        self.kept.finish()
    }
}

impl Common<'_> {
    #[inline(always)]
    fn compare(&mut self, extent: Range<usize>, others: &[i64]) {
        let (first, begun) = (extent.start, self.kept.ids.len());
        let ids = &self.a.ids()[extent];
        let (blocks, rest) = ids.as_chunks::<BLOCK>();
        for (block, ids) in blocks.iter().enumerate() {
            self.keep(first + block * BLOCK, found(ids, others), begun);
        }
        if !rest.is_empty() {
            let mut ids = [0; BLOCK];
            ids[..rest.len()].copy_from_slice(rest);
            let there = (1 << rest.len()) - 1;
            self.keep(
                first + blocks.len() * BLOCK,
                found(&ids, others) & there,
                begun,
            );
        }
    }

    /// Keeps the ids at `first` and after it whose bit is set, unless the row, whose ids were kept since `begun`, has them.
    #[inline(always)]
    fn keep(&mut self, first: usize, mut found: u32, begun: usize) {
        while found != 0 {
            let place = first + found.trailing_zeros() as usize;
            if !self.kept.ids[begun..].contains(&self.a.ids()[place]) {
                self.kept.push_from(self.a, place);
            }
            found &= found - 1;
        }
    }

    fn look_up(&mut self, extent: Range<usize>, others: &[i64], set: &mut IdSet) {
        set.clear_for(others.len());
        for &id in others {
            set.insert(id);
        }
        for place in extent {
            if set.take(self.a.ids()[place]) {
                self.kept.push_from(self.a, place);
            }
        }
    }
}

/// A bit for each id, set if it is among `others`.
#[inline(always)]
fn found(ids: &[i64; BLOCK], others: &[i64]) -> u32 {
    let mut found = [0u64; BLOCK];
    for &other in others {
        for (found, &id) in found.iter_mut().zip(ids) {
            *found |= u64::from(id == other);
        }
    }
    let bits = found.iter().zip(0..);
    bits.fold(0, |bits, (&found, place)| bits | (found as u32) << place)
}

/// Ids compared at a time: as many as fill the widest registers.
const BLOCK: usize = 8;

/// Beyond so many pairs a set is cheaper.
const MOST_PAIRS: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use crate::ops::testing::*;

    proptest! {
        /// Rows shorter and longer than a block, of more and fewer pairs than are compared.
        #[test]
        fn equals_row_by_row(
            rows in vec((vec(-40i64..40, 0..100), vec(-40i64..40, 0..100)), 0..12),
        ) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let expected: Vec<Vec<i64>> = rows.iter().map(|(a, b)| {
                let first = |place: &usize| a.iter().position(|id| *id == a[*place]) == Some(*place);
                let kept = (0..a.len()).filter(first).map(|place| a[place]);
                kept.filter(|id| b.contains(id)).collect()
            }).collect();
            for op in ["intersect", "id_list_transform"] {
                let found = apply_to(op, &[], &[&lists(&a), &lists(&b)]).unwrap();
                prop_assert_eq!(list_rows(&found), &expected[..]);
            }
        }
    }
}
