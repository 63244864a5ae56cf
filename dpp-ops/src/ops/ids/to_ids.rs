//! [`ToIds`]: a categorical column as a sparse feature.

use std::sync::Arc;

use arrow::array::Array;

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `to_ids()`: a list of the one id. int `[rows]` → id_list `[rows]`; an id_list passes unchanged.
///
/// - Inserted by itself where an op or an output asks for an id_list and is given an int.
/// - Null → empty list; `fill_null(k).to_ids()` gives k instead. Empty in, empty out. No parameters, no errors.
/// - Source: ours.
#[derive(Debug)]
pub struct ToIds;

pub(crate) const ENTRY: Entry = Entry {
    name: "to_ids",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(ToIds))
}

impl Op for ToIds {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        match only_input(inputs, &[Kind::Int, Kind::IdList, Kind::IdScoreList])? {
            Kind::Int => Ok(Kind::IdList),
            lists => Ok(lists),
        }
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        match only_column(ENTRY.name, inputs)? {
            Column::IdList(lists) => Ok(Column::IdList(lists.clone())),
            column => {
                let ids = column.int()?;
                let lists = IdList::of_single_ids(ids.values().clone(), ids.nulls());
                Ok(Column::IdList(lists))
            }
        }
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Singles)
    }
}

#[cfg(test)]
mod tests {
    use crate::{ops::testing::*, parameters::Value};

    #[test]
    fn a_null_gives_no_id_unless_filled() {
        let column = int(&[Some(i64::MIN), None, Some(3)]);
        let found = list_rows(&apply("to_ids", &[], &column).unwrap());
        assert_eq!(found, [vec![i64::MIN], vec![], vec![3]]);
        let filled = apply("fill_null", &[("value", Value::Integer(9))], &column).unwrap();
        let found = list_rows(&apply("to_ids", &[], &filled).unwrap());
        assert_eq!(found, [[i64::MIN], [9], [3]]);
    }

    #[test]
    fn equals_row_by_row() {
        check_rows("to_ids", int_rows(), |rows| {
            let found = list_rows(&apply("to_ids", &[], &int(&rows)).unwrap());
            let expected: Vec<Vec<i64>> = rows
                .iter()
                .map(|row| row.iter().copied().collect())
                .collect();
            assert_eq!(found, expected);
        });
    }
}
