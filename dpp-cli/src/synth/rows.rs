//! Record batches of a synthetic table: any rows of any file, from seed and position alone.
//!
//! A chunk of rows is drawn column by column, each from its own seed; the label comes last, from what the others say.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, RecordBatch},
    datatypes::{Schema, SchemaRef},
};
use dpp_proto::shuffle::mix;
use rand::{Rng as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

use super::{
    files::File,
    maps::Maps,
    quantiles::level,
    shape::{Shape, Values},
};

/// Makes rows of one table. The same seed and shape give the same rows, in any order and on any thread.
#[derive(Debug)]
pub(crate) struct Rows {
    shape: Shape,
    schema: SchemaRef,
    maps: Option<Maps>,
    seed: u64,
    /// Log-odds that all rows share, so that labels have their base rate.
    bias: f64,
}

impl Rows {
    pub(crate) fn new(shape: Shape, seed: u64) -> Rows {
        let fields: Vec<_> = shape.columns.iter().map(|column| column.field()).collect();
        let mut rows = Rows {
            shape,
            schema: Arc::new(Schema::new(fields)),
            maps: None,
            seed,
            bias: 0.0,
        };
        if rows.shape.has_label() {
            let (_, odds) = rows.draw(PILOT, 0, CHUNK_ROWS);
            rows.bias = bias(&odds, rows.shape.base_rate);
        }
        rows
    }

    /// The same rows in the map layout.
    pub(crate) fn into_maps(mut self) -> Rows {
        self.maps = Some(Maps::new(&self.shape, &self.schema));
        self
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.maps.as_ref().map_or(&self.schema, Maps::schema)
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The file's rows, in batches of at most [`CHUNK_ROWS`].
    pub(crate) fn of<'a>(&'a self, file: &'a File) -> impl Iterator<Item = RecordBatch> + 'a {
        (0..file.rows).step_by(CHUNK_ROWS).map(move |first| {
            let flat = self.chunk(file, first);
            match &self.maps {
                Some(maps) => maps.of(&flat),
                None => flat,
            }
        })
    }

    fn chunk(&self, file: &File, first: u64) -> RecordBatch {
        let left = file.rows - first;
        let rows = usize::try_from(left).map_or(CHUNK_ROWS, |left| left.min(CHUNK_ROWS));
        let (mut columns, odds) = self.draw(file.number, first, rows);
        for (i, column) in self.shape.columns.iter().enumerate() {
            let numbers = (first..).take(rows);
            columns[i] = match &column.values {
                Values::Label => self.labels(file.number, first, &odds),
                Values::RowNumber => {
                    let position = |row: u64| (file.first_row + row).cast_signed();
                    Arc::new(Int64Array::from_iter_values(numbers.map(position)))
                }
                Values::Time => Arc::new(Int64Array::from_iter_values(
                    numbers.map(|row| file.time_of(row)),
                )),
                _ => continue,
            };
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("columns are made by the schema, with as many rows each")
    }

    /// Columns that are drawn (others as empty placeholders) and the rows' log-odds without bias.
    fn draw(&self, file: u64, first: u64, rows: usize) -> (Vec<ArrayRef>, Vec<f64>) {
        let mut odds = vec![0.0; rows];
        let nothing: ArrayRef = Arc::new(Int64Array::new_null(0));
        let columns = (0u64..).zip(&self.shape.columns).map(|(i, column)| {
            let mut random = self.random(file, first, i);
            let drawn = column.draw(&mut random, &mut odds);
            drawn.unwrap_or_else(|| Arc::clone(&nothing))
        });
        (columns.collect(), odds)
    }

    fn labels(&self, file: u64, first: u64, odds: &[f64]) -> ArrayRef {
        let mut random = self.random(file, first, u64::MAX);
        let mut label = |odds: &f64| {
            let clicked = level(random.next_u64()) < logistic(odds + self.bias);
            f32::from(u8::from(clicked))
        };
        Arc::new(Float32Array::from_iter_values(odds.iter().map(&mut label)))
    }

    fn random(&self, file: u64, first: u64, column: u64) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(mix(&[self.seed, file, first, column]))
    }
}

/// The bias at which the mean of the labels' probabilities is `base_rate`, by bisection.
fn bias(odds: &[f64], base_rate: f64) -> f64 {
    let (mut low, mut high) = (-50.0, 50.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let sum: f64 = odds.iter().map(|odds| logistic(odds + middle)).sum();
        if sum / (odds.len() as f64) < base_rate {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-odds))
}

/// Rows made at a time: a chunk of a few hundred columns stays within megabytes.
pub(crate) const CHUNK_ROWS: usize = 4096;
/// Not a file's number: the rows that the bias is measured on are nobody's.
const PILOT: u64 = u64::MAX;
