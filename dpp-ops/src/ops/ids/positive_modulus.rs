//! [`PositiveModulus`]: ids folded into a range.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::ids::floor_mod::FloorMod,
    parameters::Reader,
    registry::Entry,
    vectorised::MapValue,
};

/// `positive_modulus(m)`: id mod m, in `[0, m)`, negative ids too. id_list → id_list, row by row of the same length;
/// scores pass through. An int becomes an id_list first.
///
/// - Floor-mod: −1 gives m − 1. Empty rows stay empty.
/// - Errors: m ≤ 0; m is no whole number.
/// - Source: ReAgent and Caffe2 (PositiveModulus).
#[derive(Debug)]
pub struct PositiveModulus {
    m: FloorMod,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "positive_modulus",
    parameters: &["m"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let m = reader.integer("m")?;
    let m = FloorMod::by(m).ok_or_else(|| reader.bad("m", format!("{m} is not at least 1")))?;
    Ok(Arc::new(PositiveModulus { m }))
}

impl Op for PositiveModulus {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        Ok(Column::IdList(lists.map_ids(self)))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Ids(self))
    }
}

impl MapValue<i64> for PositiveModulus {
    #[inline(always)]
    fn map(&self, id: i64) -> i64 {
        self.m.of(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    #[test]
    fn negative_ids_count_from_the_end() {
        let column = lists(&[vec![7, -1, 0], vec![], vec![i64::MIN]]);
        let found = list_rows(&apply("positive_modulus", &[("m", 5.into())], &column).unwrap());
        assert_eq!(found, [vec![2, 4, 0], vec![], vec![2]]);
        assert_eq!(
            refusal("positive_modulus", &[("m", 0.into())]),
            "op positive_modulus, parameter `m`: 0 is not at least 1"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), prop_oneof![1i64..20, 1..=i64::MAX]);
        check_rows("positive_modulus", cases, |(rows, m)| {
            let one =
                |id: i64| ((i128::from(id) % i128::from(m) + i128::from(m)) % i128::from(m)) as i64;
            check_lists("positive_modulus", &[("m", m.into())], &rows, |row| {
                row.iter().map(|(id, score)| (one(*id), *score)).collect()
            });
        });
    }
}
