//! Values of some rows of one column, and what they add to the label's log-odds.
//!
//! Random words go in, one Arrow array comes out; `odds` collects each row's log-odds on the way.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, StructArray},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, FieldRef, Fields},
};
use dpp_proto::shuffle::mix;
use rand::{Rng as _, rngs::Xoshiro256PlusPlus};

use super::{
    quantiles::{happens, level},
    shape::{Column, Dense, Ids, Lengths, Values},
};

impl Column {
    /// The column's Arrow field.
    pub(crate) fn field(&self) -> Field {
        let (data_type, nullable) = match &self.values {
            Values::Label => (DataType::Float32, false),
            Values::RowNumber | Values::Time => (DataType::Int64, false),
            Values::Dense(_) => (DataType::Float32, true),
            Values::Id { .. } => (DataType::Int64, true),
            Values::IdList { .. } => (DataType::List(element(DataType::Int64)), true),
            Values::IdScoreList { .. } => (DataType::List(element(scored())), true),
        };
        Field::new(&self.name, data_type, nullable)
    }

    /// `odds.len()` nullable values, drawn from `random`; their effects are added to `odds`.
    ///
    /// `None` for columns that nothing is drawn for: label, row number and time.
    pub(crate) fn draw(
        &self,
        random: &mut Xoshiro256PlusPlus,
        odds: &mut [f64],
    ) -> Option<ArrayRef> {
        let effect = self.effect;
        Some(match &self.values {
            Values::Label | Values::RowNumber | Values::Time => return None,
            Values::Dense(dense) => floats(dense, effect, random, odds),
            Values::Id { ids, coverage } => integers(ids, *coverage, effect, random, odds),
            Values::IdList { ids, lengths } => {
                let rows = lists(lengths, random, odds.len());
                let values = draw_ids(ids, random, rows.len());
                add_means(effect, &rows.offsets, &values, odds);
                rows.list(DataType::Int64, Arc::new(Int64Array::from(values)))
            }
            Values::IdScoreList { ids, lengths } => {
                let rows = lists(lengths, random, odds.len());
                let values = draw_ids(ids, random, rows.len());
                let scores = rows.falling_scores(random);
                let columns: Vec<ArrayRef> =
                    vec![Arc::new(Int64Array::from(values)), Arc::new(scores)];
                rows.list(scored(), Arc::new(StructArray::new(pair(), columns, None)))
            }
        })
    }
}

fn floats(
    dense: &Dense,
    effect: f64,
    random: &mut Xoshiro256PlusPlus,
    odds: &mut [f64],
) -> ArrayRef {
    let mut values = Vec::with_capacity(odds.len());
    let mut valid = Vec::with_capacity(odds.len());
    for odds in odds {
        let word = random.next_u64();
        let present = happens(word, dense.coverage);
        let scaled = dense.quantiles.draw(word) * dense.scale;
        let value = if dense.whole { scaled.floor() } else { scaled } + dense.shift;
        values.push(if present { value as f32 } else { 0.0 });
        valid.push(present);
        if present {
            *odds += effect * standard(level(word));
        }
    }
    Arc::new(Float32Array::new(
        values.into(),
        Some(NullBuffer::from(valid)),
    ))
}

fn integers(
    ids: &Ids,
    coverage: f64,
    effect: f64,
    random: &mut Xoshiro256PlusPlus,
    odds: &mut [f64],
) -> ArrayRef {
    let mut values = Vec::with_capacity(odds.len());
    let mut valid = Vec::with_capacity(odds.len());
    for odds in odds {
        let word = random.next_u64();
        let present = happens(word, coverage);
        let id = id_of(ids, word);
        values.push(if present { id } else { 0 });
        valid.push(present);
        if present && effect != 0.0 {
            *odds += effect * effect_of(id);
        }
    }
    Arc::new(Int64Array::new(
        values.into(),
        Some(NullBuffer::from(valid)),
    ))
}

/// Where the lists of some rows begin and end, and which are null.
struct Lists {
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

fn lists(lengths: &Lengths, random: &mut Xoshiro256PlusPlus, rows: usize) -> Lists {
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut valid = Vec::with_capacity(rows);
    let mut end = 0i32;
    offsets.push(end);
    for _ in 0..rows {
        let word = random.next_u64();
        let present = happens(word, lengths.coverage);
        if present {
            // lengths are below 1,000 and a chunk has a few thousand rows
            let length = |quantiles: &super::quantiles::Quantiles| quantiles.draw(word) as i32;
            end += lengths.quantiles.as_deref().map_or(1, length);
        }
        offsets.push(end);
        valid.push(present || level(word) < lengths.empty);
    }
    Lists { offsets, valid }
}

impl Lists {
    /// Number of values in all lists.
    fn len(&self) -> usize {
        let end = self.offsets.last().copied().unwrap_or(0);
        usize::try_from(end).expect("lengths are not negative")
    }

    fn list(self, of: DataType, values: ArrayRef) -> ArrayRef {
        let offsets = OffsetBuffer::new(self.offsets.into());
        let nulls = Some(NullBuffer::from(self.valid));
        Arc::new(ListArray::new(element(of), offsets, values, nulls))
    }

    /// A score in (0, 1) for each value, falling within a list.
    fn falling_scores(&self, random: &mut Xoshiro256PlusPlus) -> Float32Array {
        let mut scores = Vec::with_capacity(self.len());
        for ends in self.offsets.windows(2) {
            let mut score = 1.0f32;
            for _ in ends[0]..ends[1] {
                score *= 0.5 + 0.5 * level(random.next_u64()) as f32;
                scores.push(score);
            }
        }
        Float32Array::from(scores)
    }
}

fn draw_ids(ids: &Ids, random: &mut Xoshiro256PlusPlus, count: usize) -> Vec<i64> {
    (0..count).map(|_| id_of(ids, random.next_u64())).collect()
}

/// Different ranks and spaces give different ids: the mix of one word loses nothing.
fn id_of(ids: &Ids, word: u64) -> i64 {
    let rank = ids.ranks.draw(word) as u64;
    mix(&[ids.space << 32 | rank]).cast_signed()
}

/// Adds each list's mean effect, scaled so that a single id's deviation is `effect`.
fn add_means(effect: f64, offsets: &[i32], ids: &[i64], odds: &mut [f64]) {
    if effect == 0.0 {
        return;
    }
    let mut ids = ids.iter();
    for (ends, odds) in offsets.windows(2).zip(odds) {
        let length = usize::try_from(ends[1] - ends[0]).expect("offsets ascend");
        if length > 0 {
            let sum: f64 = ids.by_ref().take(length).map(|id| effect_of(*id)).sum();
            *odds += effect * sum / length as f64;
        }
    }
}

/// What an id alone says about the label, over ids with mean 0 and deviation 1.
fn effect_of(id: i64) -> f64 {
    standard(level(mix(&[EFFECTS, id.cast_unsigned()])))
}

/// A uniform level in [0, 1), shifted and scaled to mean 0 and deviation 1.
fn standard(level: f64) -> f64 {
    (level - 0.5) * SQRT_12
}

fn element(of: DataType) -> FieldRef {
    Arc::new(Field::new("element", of, true))
}

fn scored() -> DataType {
    DataType::Struct(pair())
}

fn pair() -> Fields {
    let id = Field::new("id", DataType::Int64, false);
    Fields::from(vec![id, Field::new("score", DataType::Float32, false)])
}

const SQRT_12: f64 = 3.464_101_615_137_754_6;
/// Keeps what ids mean apart from what they are hashed from.
const EFFECTS: u64 = 0xEFFEC7;
