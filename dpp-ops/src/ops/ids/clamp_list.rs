//! [`ClampList`]: ids kept between two bounds.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    vectorised::MapValue,
};

/// `clamp_list(lo, hi)`: lo if id < lo, hi if id > hi, else id. id_list → id_list, row by row of the same length;
/// scores pass through. An int becomes an id_list first.
///
/// - Empty rows stay empty.
/// - Errors: lo > hi (Velox's scalar clamp gives hi instead); a bound that is no whole number.
/// - Source: TorchArrow `clamp_list`.
#[derive(Debug)]
pub struct ClampList {
    lo: i64,
    hi: i64,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "clamp_list",
    parameters: &["lo", "hi"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let lo = reader.integer("lo")?;
    let hi = reader.integer("hi")?;
    if lo > hi {
        return Err(reader.bad("lo", format!("{lo} is more than hi {hi}")));
    }
    Ok(Arc::new(ClampList { lo, hi }))
}

impl Op for ClampList {
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

impl MapValue<i64> for ClampList {
    #[inline(always)]
    fn map(&self, id: i64) -> i64 {
        id.clamp(self.lo, self.hi)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    #[test]
    fn bounds_hold() {
        let column = lists(&[vec![0, 1, 2, 3], vec![-100, 100, 10], vec![0, -1, -2, -3]]);
        let bounds = [("lo", 0.into()), ("hi", 20.into())];
        let found = list_rows(&apply("clamp_list", &bounds, &column).unwrap());
        assert_eq!(found, [vec![0, 1, 2, 3], vec![0, 20, 10], vec![0; 4]]);
        assert_eq!(
            refusal("clamp_list", &[("lo", 1.into()), ("hi", (-1).into())]),
            "op clamp_list, parameter `lo`: 1 is more than hi -1"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), any_i64(), any_i64());
        check_rows("clamp_list", cases, |(rows, lo, hi)| {
            let (lo, hi) = (lo.min(hi), lo.max(hi));
            let one = |id: i64| {
                if id < lo {
                    lo
                } else if id > hi {
                    hi
                } else {
                    id
                }
            };
            check_lists(
                "clamp_list",
                &[("lo", lo.into()), ("hi", hi.into())],
                &rows,
                |row| row.iter().map(|(id, score)| (one(*id), *score)).collect(),
            );
        });
    }
}
