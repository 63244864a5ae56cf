//! [`MapId`]: ids looked up in a table.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Column, Error, Kind,
    in_place::{InPlace, MapEach},
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    vectorised::map_in_place,
};

/// `map_id(table, default=0, keys=None)`: table[id]; with keys, table[i] where keys[i] = id; default for an id that
/// is not there. id_list → id_list, row by row of the same length; scores pass through. An int becomes an id_list
/// first.
///
/// - Without keys the table is an array: negative ids and those past its end give the default. Empty rows stay empty.
/// - In JSON a dictionary is two lists of one length: `"keys": [7, 9], "table": [1, 2]`.
/// - Errors: keys that are not as many as the table, or not distinct; anything that is no whole number.
/// - Source: DPP paper (MapId), TorchArrow `map_id`; the default for negative ids is ours.
#[derive(Debug)]
pub struct MapId {
    table: Table,
    default: i64,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "map_id",
    parameters: &["table", "default", "keys"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let values = reader.integers("table")?;
    let default = reader.integer_or("default", 0)?;
    let table = match reader.has("keys") {
        false => Table::Array(values),
        true => {
            let keys = reader.integers("keys")?;
            if keys.len() != values.len() {
                let message = format!("{} keys for a table of {}", keys.len(), values.len());
                return Err(reader.bad("keys", message));
            }
            let table: HashMap<i64, i64> = keys.iter().copied().zip(values).collect();
            if table.len() != keys.len() {
                return Err(reader.bad("keys", "a key is there twice"));
            }
            Table::Dictionary(table)
        }
    };
    Ok(Arc::new(MapId { table, default }))
}

impl Op for MapId {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let mut ids = lists.ids().to_vec();
        self.map_each(&mut ids);
        Ok(Column::IdList(lists.with_ids(ids)))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Ids(self))
    }
}

impl MapEach<i64> for MapId {
    fn map_each(&self, ids: &mut [i64]) {
        match &self.table {
            Table::Array(table) => map_in_place(ids, &|id: i64| {
                let place = usize::try_from(id).ok();
                let value = place.and_then(|place| table.get(place));
                value.copied().unwrap_or(self.default)
            }),
            Table::Dictionary(table) => {
                map_in_place(ids, &|id| table.get(&id).copied().unwrap_or(self.default));
            }
        }
    }
}

/// What ids are looked up in.
#[derive(Debug)]
enum Table {
    Array(Vec<i64>),
    Dictionary(HashMap<i64, i64>),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    use crate::parameters::Value;

    #[test]
    fn arrays_and_dictionaries_are_looked_up() {
        let column = lists(&[vec![0, 2, 3, -1], vec![], vec![i64::MAX, i64::MIN, 1]]);
        let mapped = |parameters: &[(&str, Value)]| {
            list_rows(&apply("map_id", parameters, &column).unwrap())
        };
        let table = ("table", vec![10, 11, 12].into());
        let expected = [vec![10, 12, 0, 0], vec![], vec![0, 0, 11]];
        assert_eq!(mapped(std::slice::from_ref(&table)), expected);
        let keys = ("keys", vec![-1, 2, i64::MIN].into());
        let expected = [vec![7, 11, 7, 10], vec![], vec![7, 12, 7]];
        assert_eq!(mapped(&[table, keys, ("default", 7.into())]), expected);
    }

    #[test]
    fn bad_tables_are_refused() {
        let refusal = |table: &[i64], keys: &[i64]| {
            refusal(
                "map_id",
                &[
                    ("table", table.to_vec().into()),
                    ("keys", keys.to_vec().into()),
                ],
            )
        };
        let message = "op map_id, parameter `keys`: 1 keys for a table of 2";
        assert_eq!(refusal(&[1, 2], &[1]), message);
        assert_eq!(
            refusal(&[1, 2], &[1, 1]),
            "op map_id, parameter `keys`: a key is there twice"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            any_scored_lists(),
            prop::collection::btree_map(any_i64(), any_i64(), 0..12),
            any_i64(),
        );
        check_rows("map_id", cases, |(rows, table, default)| {
            let (keys, values): (Vec<i64>, Vec<i64>) = table.iter().unzip();
            let array = [
                ("table", values.clone().into()),
                ("default", default.into()),
            ];
            check_lists("map_id", &array, &rows, |row| {
                let at = |id: i64| values.iter().zip(0..).find(|(_, place)| *place == id);
                let one = |id: i64| at(id).map_or(default, |(value, _)| *value);
                row.iter().map(|(id, score)| (one(*id), *score)).collect()
            });
            let dictionary = [array[0].clone(), array[1].clone(), ("keys", keys.into())];
            check_lists("map_id", &dictionary, &rows, |row| {
                row.iter()
                    .map(|(id, score)| (*table.get(id).unwrap_or(&default), *score))
                    .collect()
            });
        });
    }
}
