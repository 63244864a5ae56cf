//! [`Offset`]: ids moved along.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    vectorised::MapValue,
};

/// `offset(k)`: id + k. id_list → id_list, row by row of the same length; scores pass through. An int becomes an
/// id_list first.
///
/// - Wrapping at 64 bits. Empty rows stay empty.
/// - Errors: k is no whole number.
/// - Source: ours; what concatenated vocabularies need.
#[derive(Debug)]
pub struct Offset {
    k: i64,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "offset",
    parameters: &["k"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let k = reader.integer("k")?;
    Ok(Arc::new(Offset { k }))
}

impl Op for Offset {
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

impl MapValue<i64> for Offset {
    #[inline(always)]
    fn map(&self, id: i64) -> i64 {
        id.wrapping_add(self.k)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn ids_move_and_wrap() {
        let column = lists(&[vec![7, -1], vec![], vec![i64::MAX]]);
        let found = list_rows(&apply("offset", &[("k", 1.into())], &column).unwrap());
        assert_eq!(found, [vec![8, 0], vec![], vec![i64::MIN]]);
        assert!(refusal("offset", &[("k", 0.5.into())]).contains("`k`"));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), any_i64());
        check_rows("offset", cases, |(rows, k)| {
            let one = |id: i64| (i128::from(id) + i128::from(k)) as i64;
            check_lists("offset", &[("k", k.into())], &rows, |row| {
                row.iter().map(|(id, score)| (one(*id), *score)).collect()
            });
        });
    }
}
