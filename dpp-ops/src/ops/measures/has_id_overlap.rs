//! [`HasIdOverlap`]: whether two features meet.

use std::sync::Arc;

use super::matching::{each_row, matched};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, two_inputs},
    parameters::Reader,
    registry::Entry,
};

/// `has_id_overlap(a, b)`: 1 if a and b share an id, else 0. id_list, id_list → dense `[rows]`. An int becomes an
/// id_list first.
///
/// - An empty side gives 0. Scores do not count.
/// - Source: TorchArrow `has_id_overlap` (compute_score.h).
/// - In f32. No parameters, no errors.
#[derive(Debug)]
pub struct HasIdOverlap;

pub(crate) const ENTRY: Entry = Entry {
    name: "has_id_overlap",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(HasIdOverlap))
}

impl Op for HasIdOverlap {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        two_inputs(inputs, Kind::LISTS, Kind::LISTS).map(|_| Kind::Dense)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        each_row(ENTRY.name, inputs, |a, b| {
            f32::from(u8::from(matched(a, b).next().is_some()))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    #[test]
    fn vectors_of_torcharrow_hold() {
        let (a, b) = torcharrow();
        let found = apply_to("has_id_overlap", &[], &[&a, &b]).unwrap();
        let expected: [f32; 4] = [1.0, 0.0, 1.0, 1.0];
        assert_eq!(dense_bits(&found), dense_bits(&dense(&expected.map(Some))));
    }

    #[test]
    fn empty_rows_give_zero() {
        let scored = |rows: &[&[i64]]| {
            let rows: Vec<Vec<_>> = rows
                .iter()
                .map(|row| row.iter().map(|id| (*id, 1.0)).collect())
                .collect();
            scored_lists(&rows)
        };
        let (a, b) = (scored(&[&[], &[1], &[]]), scored(&[&[], &[], &[1]]));
        let found = apply_to("has_id_overlap", &[], &[&a, &b]).unwrap();
        assert_eq!(dense_bits(&found), dense_bits(&dense(&[Some(0.0); 3])));
    }

    proptest! {
        #[test]
        fn equals_row_by_row(rows in any_two_scored_lists()) {
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
            let found = apply_to("has_id_overlap", &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
            let naive = |a: &[(i64, f32)], b: &[(i64, f32)]| -> f32 {
                let b = ids_of(b);
                if ids_of(a).iter().any(|id| b.contains(id)) { 1.0 } else { 0.0 }
            };
            let expected: Vec<_> = rows.iter().map(|(a, b)| Some(naive(a, b).to_bits())).collect();
            prop_assert_eq!(dense_bits(&found), expected);
        }
    }
}
