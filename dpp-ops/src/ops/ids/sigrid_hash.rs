//! [`SigridHash`]: ids of any range hashed into an embedding table's.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    in_place::InPlace,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::{
        hash::{h128, twang},
        ids::floor_mod::FloorMod,
    },
    parameters::Reader,
    registry::Entry,
    vectorised::MapValue,
};

/// `sigrid_hash(salt, max_value)`: h128(upper = salt, lower = twang(id)) mod max_value, in `[0, max_value)`.
/// id_list → id_list, row by row of the same length; scores pass through. An int becomes an id_list first, its null
/// empty.
///
/// - All in u64, wrapping; the hash is read as i64 and reduced by floor-mod. max_value = 1 gives 0.
/// - Empty rows stay empty.
/// - Errors: max_value ≤ 0; a parameter that is no whole number.
/// - Source: TorchArrow `sigrid_hash` (`twang_mix64` and `hash128to64` of folly), bit-compatible.
#[derive(Debug)]
pub struct SigridHash {
    salt: u64,
    max: FloorMod,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "sigrid_hash",
    parameters: &["salt", "max_value"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let salt = reader.integer("salt")?.cast_unsigned();
    let max = reader.integer("max_value")?;
    let max = FloorMod::by(max)
        .ok_or_else(|| reader.bad("max_value", format!("{max} is not at least 1")))?;
    Ok(Arc::new(SigridHash { salt, max }))
}

impl Op for SigridHash {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdList, Kind::IdScoreList])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        Ok(Column::IdList(lists.map_ids(self)))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Ids(self))
    }
}

impl MapValue<i64> for SigridHash {
    #[inline(always)]
    fn map(&self, id: i64) -> i64 {
        let hash = h128(self.salt, twang(id.cast_unsigned()));
        self.max.of(hash.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{ops::testing::*, parameters::Value};

    fn hash(id: i64, salt: i64, max: i64) -> i64 {
        let parameters = [
            ("salt", Value::Integer(salt)),
            ("max_value", Value::Integer(max)),
        ];
        list_rows(&apply("sigrid_hash", &parameters, &lists(&[vec![id]])).unwrap())[0][0]
    }

    #[test]
    fn equals_torcharrow() {
        let expected = [
            6, 60, 54, 54, 9, 4, 91, 11, 67, 79, 2, 25, 92, 98, 83, 66, 2,
        ];
        for (id, expected) in (0..).zip(expected) {
            assert_eq!(hash(id, 0, 100), expected);
        }
        assert_eq!(hash(-1, 0, 100), 75);
        assert_eq!(hash(-2, 7, 1000), 393);
        assert_eq!(hash(123456789, 42, 1 << 20), 439512);
        assert_eq!(hash(i64::MAX, -1, 1_000_000_007), 339539665);
        assert_eq!(hash(i64::MIN, 0, 97), 10);
        assert_eq!(hash(5, 0, 2), 0);
        assert_eq!(hash(5, 0, 1), 0);
    }

    #[test]
    fn scores_pass_through() {
        let parameters = [
            ("salt", Value::Integer(0)),
            ("max_value", Value::Real(100.0)),
        ];
        let column = scored_lists(&[vec![(0, 0.5), (1, 0.25)], vec![]]);
        let found = scored_rows(&apply("sigrid_hash", &parameters, &column).unwrap());
        assert_eq!(found, [vec![(6, 0.5), (60, 0.25)], vec![]]);
    }

    #[test]
    fn bad_parameters_are_refused() {
        for max in [0, -1, i64::MIN] {
            let parameters = [
                ("salt", Value::Integer(0)),
                ("max_value", Value::Integer(max)),
            ];
            let message = apply("sigrid_hash", &parameters, &lists(&[]))
                .unwrap_err()
                .to_string();
            assert_eq!(
                message,
                format!("op sigrid_hash, parameter `max_value`: {max} is not at least 1")
            );
        }
        let parameters = [("max_value", Value::Integer(5))];
        assert!(apply("sigrid_hash", &parameters, &lists(&[])).is_err());
    }

    fn any_max() -> impl Strategy<Value = i64> {
        prop_oneof![
            1i64..10,
            1i64..=i64::MAX,
            (0u32..63).prop_map(|power| 1 << power),
            (1u32..63).prop_map(|power| (1 << power) - 1),
            Just(i64::MAX),
        ]
    }

    /// The same in numbers wide enough not to wrap, cut to 64 bits by hand.
    fn naive(id: i64, salt: i64, max: i64) -> i64 {
        const MODULUS: u128 = 1 << 64;
        let cut = |wide: u128| wide % MODULUS;
        let mut key = u128::from(id as u64);
        key = cut((MODULUS - 1 - key) + cut(key << 21));
        key ^= key >> 24;
        key = cut(key * 265);
        key ^= key >> 14;
        key = cut(key * 21);
        key ^= key >> 28;
        key = cut(key + cut(key << 31));
        let salt = u128::from(salt as u64);
        let multiplied = |wide: u128| cut(wide * 0x9ddf_ea08_eb38_2d69);
        let mixed = |wide: u128| wide ^ (wide >> 47);
        let hash = multiplied(mixed(multiplied(salt ^ mixed(multiplied(key ^ salt)))));
        let signed = i128::try_from(hash).unwrap() - if hash >> 63 == 1 { 1 << 64 } else { 0 };
        let max = i128::from(max);
        i64::try_from((signed % max + max) % max).unwrap()
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_lists(), any_i64(), any_max());
        check_rows("sigrid_hash", cases, |(rows, salt, max)| {
            let parameters = [
                ("salt", Value::Integer(salt)),
                ("max_value", Value::Integer(max)),
            ];
            let found = list_rows(&apply("sigrid_hash", &parameters, &lists(&rows)).unwrap());
            let expected: Vec<Vec<i64>> = rows
                .iter()
                .map(|row| row.iter().map(|id| naive(*id, salt, max)).collect())
                .collect();
            assert_eq!(found, expected);
        });
    }
}
