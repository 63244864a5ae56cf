//! Which ids two lists have in common, row by row.
//!
//! Rows are short and share little. Of few ids a sieve of bits, which costs a multiplication an id, turns most others away; the
//! rest are looked for one by one. Of many ids a set is made.

use std::ops::Range;

use crate::{
    Error,
    id_list::IdList,
    id_set::IdSet,
    list_writer::ListWriter,
    ops::sieve::{FEW, Sieve},
};

/// The ids of `a` that are in `b`, in a's order, once each; with a's scores, if `scored` and it has them.
pub(super) fn common(a: &IdList, b: &IdList, scored: bool) -> Result<IdList, Error> {
    let room = a.ids().len().min(b.ids().len());
    let mut kept = ListWriter::new(a.rows(), room, scored && a.scores().is_some());
    let mut set = IdSet::default();
    for (extent, others) in a.extents().zip(b.id_rows()) {
        match others.len() {
            0 => {}
            1..=FEW => sift(a, extent, others, &mut kept),
            _ => look_up(a, extent, others, &mut set, &mut kept),
        }
        kept.end_row()?;
    }
    kept.finish()
}

fn sift(a: &IdList, extent: Range<usize>, others: &[i64], kept: &mut ListWriter) {
    let begun = kept.ids.len();
    let sieve = Sieve::of(others.iter().copied());
    for place in extent {
        let id = a.ids()[place];
        if sieve.may_hold(id) && others.contains(&id) && !kept.ids[begun..].contains(&id) {
            kept.push_from(a, place);
        }
    }
}

fn look_up(
    a: &IdList,
    extent: Range<usize>,
    others: &[i64],
    set: &mut IdSet,
    kept: &mut ListWriter,
) {
    set.clear_for(others.len());
    for &id in others {
        set.insert(id);
    }
    for place in extent {
        if set.take(a.ids()[place]) {
            kept.push_from(a, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use crate::ops::testing::*;

    proptest! {
        /// Rows of few and of many ids.
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
