//! A part of the rows, drawn by what they hold: of equal keys all or none.
//!
//! A row is kept if h128(seed, key) / 2^64, in steps of 2^-53, is below the rate. The key of an int is twang(int), of text and
//! bytes their xxh3-64, of a list of ids h128 folded over twang(id) from 0, and without a column twang(row id). A null key is
//! unknown, as in a comparison. Nothing else is drawn, so rows are the same in every epoch, run and place.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    buffer::BooleanBuffer,
    datatypes::Int64Type,
};
use dpp_proto::v1;
use xxhash_rust::xxh3::xxh3_64;

use super::truth::Truth;
use crate::{
    Error, Kind,
    ops::hash::{h128, twang},
};

/// Rows whose key falls below a rate.
#[derive(Debug)]
pub(super) struct Sample {
    /// The key's column; `None`: the row's position.
    key: Option<(usize, Kind)>,
    seed: u64,
    rate: f64,
}

impl Sample {
    /// By the column at that position, of that kind. Fails on a rate that is no part, and on a kind that is no key.
    pub(super) fn of(sample: &v1::Sample, key: Option<(usize, Kind)>) -> Result<Sample, Error> {
        if !(0.0..=1.0).contains(&sample.rate) {
            return Err(Error::Form {
                place: "sample".into(),
                message: format!("the rate {} is not between 0 and 1", sample.rate),
            });
        }
        if let Some((_, kind)) = key
            && !kind.is_one_of(KEYS)
        {
            return Err(Error::Form {
                place: format!("feature `{}`", sample.column),
                message: format!("{kind} is no key to sample by; an int, ids, bytes or text are"),
            });
        }
        Ok(Sample {
            key,
            seed: sample.seed.cast_unsigned(),
            rate: sample.rate,
        })
    }

    pub(super) fn position(&self) -> Option<usize> {
        self.key.map(|(position, _)| position)
    }

    /// Of rows by their positions in the snapshot.
    pub(super) fn rows(&self, row_ids: &[i64]) -> Truth {
        let holds = |row: usize| self.holds(twang(row_ids[row].cast_unsigned()));
        Truth::of(BooleanBuffer::collect_bool(row_ids.len(), holds), None)
    }

    /// Of rows by their keys; `None` where the column is not of its kind's Arrow type.
    pub(super) fn keys(&self, column: &dyn Array) -> Option<Truth> {
        let (_, kind) = self.key?;
        let holds = match kind {
            Kind::Int => {
                let array = column.as_primitive_opt::<Int64Type>()?;
                self.each(column, |row| twang(array.value(row).cast_unsigned()))
            }
            Kind::Text => {
                let array = column.as_string_opt::<i64>()?;
                self.each(column, |row| xxh3_64(array.value(row).as_bytes()))
            }
            Kind::Bytes => {
                let array = column.as_binary_opt::<i64>()?;
                self.each(column, |row| xxh3_64(array.value(row)))
            }
            _ => {
                let lists = column.as_list_opt::<i32>()?;
                let ids: &ArrayRef = match lists.values().as_struct_opt() {
                    Some(pairs) => pairs.column_by_name("id")?,
                    None => lists.values(),
                };
                let ids = ids.as_primitive_opt::<Int64Type>()?.values();
                let offsets = lists.value_offsets();
                self.each(column, |row| {
                    let list = &ids[offsets[row] as usize..offsets[row + 1] as usize];
                    let keys = list.iter().map(|id| twang(id.cast_unsigned()));
                    keys.fold(0, h128)
                })
            }
        };
        Some(Truth::of(holds, column.nulls()))
    }

    fn each(&self, column: &dyn Array, key: impl Fn(usize) -> u64) -> BooleanBuffer {
        BooleanBuffer::collect_bool(column.len(), |row| self.holds(key(row)))
    }

    fn holds(&self, key: u64) -> bool {
        let drawn = (h128(self.seed, key) >> 11) as f64 / (1u64 << 53) as f64;
        drawn < self.rate
    }
}

const KEYS: &[Kind] = &[
    Kind::Int,
    Kind::IdList,
    Kind::IdScoreList,
    Kind::Bytes,
    Kind::Text,
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Int64Array, LargeStringArray, ListArray, RecordBatch},
        datatypes::Int64Type,
    };

    use super::*;
    use crate::condition::{RowFilter, from_json};

    fn filter(json: &str, kind: Kind) -> Result<RowFilter, Error> {
        RowFilter::compile(
            &from_json("where", json)?,
            &[kind.feature("k"), Kind::Dense.feature("d")],
        )
    }

    fn kept(json: &str, kind: Kind, column: ArrayRef) -> Vec<usize> {
        let rows = RecordBatch::try_from_iter([("k", column)]).unwrap();
        let row_ids: Vec<i64> = (0..).take(rows.num_rows()).collect();
        let kept = filter(json, kind).unwrap().keep(&rows, &row_ids);
        kept.unwrap().set_indices().collect()
    }

    #[test]
    fn equal_keys_stay_together_and_the_part_is_the_rate() {
        let keys: Vec<Option<i64>> = (0..40_000)
            .map(|row| (row % 10 != 0).then_some(row % 2000))
            .collect();
        let column = || Arc::new(Int64Array::from(keys.clone())) as ArrayRef;
        let rows = kept(
            r#"{"sample": "k", "rate": 0.25, "seed": 3}"#,
            Kind::Int,
            column(),
        );
        let all = |key: i64| keys.iter().filter(|it| **it == Some(key)).count();
        for &row in &rows {
            let key = keys[row].expect("a null key is unknown");
            let together = rows.iter().filter(|other| keys[**other] == Some(key));
            if row < 2000 {
                assert_eq!(together.count(), all(key));
            }
        }
        let expected = keys.iter().flatten().count() / 4;
        assert!(
            rows.len().abs_diff(expected) < expected / 10,
            "{}",
            rows.len()
        );
        let other = kept(
            r#"{"sample": "k", "rate": 0.25, "seed": 4}"#,
            Kind::Int,
            column(),
        );
        assert_ne!(rows, other);
        // what is kept at a rate is kept at every higher one
        let more = kept(
            r#"{"sample": "k", "rate": 0.5, "seed": 3}"#,
            Kind::Int,
            column(),
        );
        assert!(rows.iter().all(|row| more.contains(row)));
        let most = kept(r#"{"sample": "k", "rate": 1}"#, Kind::Int, column());
        assert_eq!(most.len(), keys.iter().flatten().count());
        assert_eq!(
            kept(r#"{"sample": "k", "rate": 0}"#, Kind::Int, column()),
            [0; 0]
        );
    }

    /// The bits of every machine and build.
    #[test]
    fn keys_are_golden() {
        let ints: ArrayRef = Arc::new((0..40).map(Some).collect::<Int64Array>());
        let texts: ArrayRef = Arc::new(
            (0..40)
                .map(|row| Some(row.to_string()))
                .collect::<LargeStringArray>(),
        );
        let lists = (0..40).map(|row| Some((0..row % 5).map(move |place| Some(row + place))));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let part = r#"{"sample": "k", "rate": 0.3, "seed": -7}"#;
        let found = [
            kept(part, Kind::Int, ints.clone()),
            kept(part, Kind::Text, texts),
            kept(part, Kind::IdList, lists),
        ];
        assert_eq!(found, GOLDEN.map(Vec::from), "{found:?}");
        // a row is its own key, and an int of that value draws the same
        let by_row = filter(&part.replace("\"k\"", "null"), Kind::Int).unwrap();
        assert!(by_row.features().is_empty());
        let rows = RecordBatch::try_from_iter([("k", ints)]).unwrap();
        let by_row = by_row.keep(&rows, &(0..40).collect::<Vec<_>>()).unwrap();
        assert_eq!(by_row.set_indices().collect::<Vec<_>>(), GOLDEN[0]);
    }

    const GOLDEN: [&[usize]; 3] = [
        &[0, 2, 7, 12, 14, 15, 18, 19, 20, 21, 24, 29, 32, 34],
        &[5, 6, 7, 18, 19, 20, 24, 28, 30, 32, 35, 37, 38],
        &[9, 11, 12, 14, 17, 18],
    ];

    #[test]
    fn rates_and_kinds_that_make_no_sense_are_refused() {
        let message = |json: &str| filter(json, Kind::Int).unwrap_err().to_string();
        for rate in ["-0.1", "1.5", "\"NaN\""] {
            let json = format!(r#"{{"sample": "k", "rate": {rate}}}"#);
            assert!(message(&json).contains("is not between 0 and 1"));
        }
        assert_eq!(
            message(r#"{"sample": "d", "rate": 0.5}"#),
            "feature `d`: dense is no key to sample by; an int, ids, bytes or text are"
        );
        assert!(message(r#"{"sample": "k"}"#).contains("`rate` is missing"));
        assert!(message(r#"{"sample": "x", "rate": 0.5}"#).contains("unknown feature `x`"));
    }
}
