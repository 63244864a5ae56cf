//! [`CategoricalNgram`]: several categorical features as one.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    op::{Mismatch, Op, SharedOp, each_input, same_rows},
    parameters::Reader,
    registry::Entry,
};

/// `categorical_ngram([a, b, …], limits, vocabulary=None)`: Σ slot_k · Π_{m<k} limits[m], where slot_k is the id of
/// feature k. int, … → id_list of one id, 0 … Π limits − 1.
///
/// - Without vocabulary a feature's slot is its id, in `[0, limits[k])`. With one, the vocabularies of all features
///   one after the other, limits[k] ids each, it is the id's first place in its own.
/// - Unknown ids, null, NaN and an empty list count as slot 0, so there is an id in every row.
/// - A dense value is rounded to the nearest whole number first, halves away from zero. Of a list the first id counts.
/// - Errors: limits that are not one for each input, or less than 1; a product of limits or a vocabulary beyond what
///   fits; a vocabulary that is not Σ limits long.
/// - Source: Caffe2 NGramFromCategorical; the form without vocabulary is ours.
#[derive(Debug)]
pub struct CategoricalNgram {
    features: Vec<Feature>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "categorical_ngram",
    parameters: &["limits", "vocabulary"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let limits = reader.integers("limits")?;
    if limits.is_empty() {
        return Err(reader.bad("limits", "at least one limit is needed"));
    }
    if let Some(limit) = limits.iter().find(|limit| **limit < 1) {
        return Err(reader.bad("limits", format!("{limit} is not at least 1")));
    }
    let vocabulary = match reader.has("vocabulary") {
        true => Some(reader.integers("vocabulary")?),
        false => None,
    };
    if let Some(ids) = &vocabulary {
        let sum: i128 = limits.iter().copied().map(i128::from).sum();
        if sum != ids.len() as i128 {
            let message = format!("{} ids are given, the limits sum to {sum}", ids.len());
            return Err(reader.bad("vocabulary", message));
        }
    }
    let mut ids = vocabulary.as_deref();
    let mut features = Vec::with_capacity(limits.len());
    let mut factor: i64 = 1;
    for limit in limits {
        let slots = match ids {
            Some(rest) => {
                let (own, rest) = rest.split_at(usize::try_from(limit).unwrap_or(rest.len()));
                ids = Some(rest);
                Slots::Vocabulary(places(own))
            }
            None => Slots::Below(limit),
        };
        features.push(Feature { slots, factor });
        factor = factor.checked_mul(limit).ok_or_else(|| {
            reader.bad(
                "limits",
                "their product is beyond 2^63 - 1; hash the features first",
            )
        })?;
    }
    Ok(Arc::new(CategoricalNgram { features }))
}

impl Op for CategoricalNgram {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        if inputs.len() != self.features.len() {
            let wanted = self.features.len();
            return Err(Mismatch::Count { wanted });
        }
        each_input(inputs, CATEGORIES).map(|()| Kind::IdList)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let rows = same_rows(ENTRY.name, inputs)?;
        if inputs.len() != self.features.len() {
            return Err(Error::InputCount {
                op: ENTRY.name.to_owned(),
                wanted: self.features.len(),
                found: inputs.len(),
            });
        }
        let mut sums = vec![0i64; rows];
        for (feature, column) in self.features.iter().zip(inputs) {
            match column {
                Column::Int(ids) => feature.add_to(&mut sums, ids.iter()),
                Column::Dense(values) => {
                    let rounded = |x: f32| (!x.is_nan()).then_some(x.round() as i64);
                    let ids = values.iter().map(|value| value.and_then(rounded));
                    feature.add_to(&mut sums, ids);
                }
                lists => {
                    let ids = lists.id_list()?.id_rows();
                    feature.add_to(&mut sums, ids.map(|ids| ids.first().copied()));
                }
            }
        }
        let lists = IdList::of_single_ids(sums.into(), None);
        Ok(Column::IdList(lists))
    }
}

/// One digit of the result.
#[derive(Debug)]
struct Feature {
    slots: Slots,
    factor: i64,
}

/// Which slot an id has.
#[derive(Debug)]
enum Slots {
    /// Its own number, if below the limit.
    Below(i64),
    /// Its place in the vocabulary.
    Vocabulary(HashMap<i64, i64>),
}

impl Feature {
    fn add_to(&self, sums: &mut [i64], ids: impl Iterator<Item = Option<i64>>) {
        for (sum, id) in sums.iter_mut().zip(ids) {
            let slot = id.and_then(|id| self.slots.of(id)).unwrap_or(0);
            *sum += slot * self.factor;
        }
    }
}

impl Slots {
    fn of(&self, id: i64) -> Option<i64> {
        match self {
            Slots::Below(limit) => (0..*limit).contains(&id).then_some(id),
            Slots::Vocabulary(places) => places.get(&id).copied(),
        }
    }
}

/// The first place of every id.
fn places(vocabulary: &[i64]) -> HashMap<i64, i64> {
    let mut places = HashMap::with_capacity(vocabulary.len());
    for (&id, place) in vocabulary.iter().zip(0..) {
        places.entry(id).or_insert(place);
    }
    places
}

const CATEGORIES: &[Kind] = &[Kind::Int, Kind::Dense, Kind::IdList, Kind::IdScoreList];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::*;

    use crate::{Column, parameters::Value};

    fn grams(parameters: &[(&str, Value)], columns: &[&Column]) -> Vec<i64> {
        let found = apply_to("categorical_ngram", parameters, columns).unwrap();
        list_rows(&found).concat()
    }

    #[test]
    fn slots_are_digits() {
        let a = int(&[Some(0), Some(1), Some(2), Some(3), Some(-1), None]);
        let b = lists(&[vec![4], vec![0, 9], vec![], vec![1], vec![2], vec![5]]);
        let limits = ("limits", vec![3, 5].into());
        assert_eq!(
            grams(std::slice::from_ref(&limits), &[&a, &b]),
            [12, 1, 2, 3, 6, 0]
        );
        let vocabulary = ("vocabulary", vec![2, 3, -1, 9, 5, 4, 2, 1].into());
        assert_eq!(
            grams(&[limits, vocabulary], &[&a, &b]),
            [6, 0, 0, 13, 11, 3]
        );
    }

    #[test]
    fn dense_values_are_rounded() {
        let a = dense(&[
            Some(0.4),
            Some(0.5),
            Some(1.6),
            Some(f32::NAN),
            Some(f32::INFINITY),
            None,
        ]);
        assert_eq!(
            grams(&[("limits", vec![3].into())], &[&a]),
            [0, 1, 2, 0, 0, 0]
        );
    }

    #[test]
    fn bad_limits_are_refused() {
        let refusal = |limits: &[i64], vocabulary: &[i64]| {
            let vocabulary = ("vocabulary", vocabulary.to_vec().into());
            let limits = ("limits", limits.to_vec().into());
            let given = [limits, vocabulary];
            let parameters = if given[1].1 == Value::Integers(vec![]) {
                &given[..1]
            } else {
                &given
            };
            crate::ops::testing::refusal("categorical_ngram", parameters)
        };
        let start = "op categorical_ngram, parameter";
        assert_eq!(
            refusal(&[], &[]),
            format!("{start} `limits`: at least one limit is needed")
        );
        assert_eq!(
            refusal(&[3, 0], &[]),
            format!("{start} `limits`: 0 is not at least 1")
        );
        assert!(refusal(&[1 << 32, 1 << 32], &[]).contains("beyond 2^63 - 1"));
        let message = format!("{start} `vocabulary`: 3 ids are given, the limits sum to 4");
        assert_eq!(refusal(&[2, 2], &[1, 2, 3]), message);
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            rows((
                prop::option::of(-2i64..8),
                -2f32..9.0,
                prop::collection::vec(-2i64..8, 0..3),
            )),
            prop::array::uniform3(1i64..6),
            prop::collection::vec(-2i64..8, 15),
        );
        check_rows("categorical_ngram", cases, |(rows, limits, known)| {
            let a = int(&rows.iter().map(|row| row.0).collect::<Vec<_>>());
            let b = dense(&rows.iter().map(|row| Some(row.1)).collect::<Vec<_>>());
            let c = lists(&rows.iter().map(|row| row.2.clone()).collect::<Vec<_>>());
            let ids = |row: &(Option<i64>, f32, Vec<i64>)| {
                [row.0, Some(row.1.round() as i64), row.2.first().copied()]
            };
            let sum = |slots: [i64; 3]| slots[0] + limits[0] * (slots[1] + limits[1] * slots[2]);
            let limited = ("limits", limits.to_vec().into());
            let found = grams(std::slice::from_ref(&limited), &[&a, &b, &c]);
            let below = |(id, limit): (Option<i64>, i64)| {
                id.filter(|id| (0..limit).contains(id)).unwrap_or(0)
            };
            let expected = rows.iter().map(|row| {
                let ids = ids(row);
                sum([0, 1, 2].map(|k| below((ids[k], limits[k]))))
            });
            assert_eq!(found, expected.collect::<Vec<_>>());
            let ends = [limits[0], limits[0] + limits[1], limits.iter().sum::<i64>()]
                .map(|end| end as usize);
            let own = [
                &known[..ends[0]],
                &known[ends[0]..ends[1]],
                &known[ends[1]..ends[2]],
            ];
            let vocabulary = ("vocabulary", known[..ends[2]].to_vec().into());
            let found = grams(&[limited, vocabulary], &[&a, &b, &c]);
            let expected = rows.iter().map(|row| {
                let ids = ids(row);
                sum([0, 1, 2].map(|k| {
                    (0..)
                        .zip(own[k])
                        .find(|(_, id)| Some(**id) == ids[k])
                        .map_or(0, |(slot, _)| slot)
                }))
            });
            assert_eq!(found, expected.collect::<Vec<_>>());
        });
    }
}
