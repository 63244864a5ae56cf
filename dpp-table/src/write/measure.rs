//! Encodings by measurement: a sample of each column is written in every way its type allows and read back, and the way
//! that costs least is chosen.
//!
//! The cost of a way is `seconds to decode + stored bytes / READ_BYTES_PER_SECOND`. Bytes are each column's own; seconds are
//! noisy, so they are per value over all columns of a kind.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::Result;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use serde::{Deserialize, Serialize};

use crate::features::schema::{kind_name, kind_of};
use crate::write::file::{FileWriter, RowGroupLimits};
use crate::write::settings::{ColumnEncoding, WriteSettings, candidates, encode};

/// What was measured of one encoding, over all leaf columns of a kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EncodingMeasured {
    /// Stored bytes of the sample, had every column been written so.
    pub stored_bytes: u64,
    /// Nanoseconds to decode one value.
    pub decode_ns_per_value: f64,
    /// Leaf columns that are written so.
    pub chosen: u64,
}

/// For each kind of feature, what was measured of each encoding.
pub type Measured = BTreeMap<String, BTreeMap<ColumnEncoding, EncodingMeasured>>;

/// What a sample says about the columns it holds.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// By the leaf's path.
    pub(crate) encodings: BTreeMap<String, ColumnEncoding>,
    pub(crate) measured: Measured,
}

/// One leaf column, written in every way.
struct Leaf {
    path: String,
    kind: String,
    values: u64,
    stored_bytes: BTreeMap<ColumnEncoding, u64>,
}

/// Sums over the leaf columns of a kind.
#[derive(Clone, Copy, Default)]
struct Decoding {
    seconds: f64,
    values: u64,
}

impl Choice {
    /// Adds what another sample says of other columns.
    pub(crate) fn add(&mut self, other: Choice) {
        self.encodings.extend(other.encodings);
        for (kind, encodings) in other.measured {
            let of_kind = self.measured.entry(kind).or_default();
            for (encoding, measured) in encodings {
                let sum = of_kind.entry(encoding).or_default();
                sum.stored_bytes += measured.stored_bytes;
                sum.decode_ns_per_value = measured.decode_ns_per_value;
                sum.chosen += measured.chosen;
            }
        }
    }
}

/// Chooses for every leaf column of `sample` that is not `known`.
pub(crate) fn choose(
    sample: &RecordBatch,
    settings: &WriteSettings,
    known: &BTreeMap<String, ColumnEncoding>,
) -> Result<Choice> {
    let mut leaves = Vec::new();
    let mut decoding: BTreeMap<(String, ColumnEncoding), Decoding> = BTreeMap::new();
    let schema = sample.schema();
    for (field, column) in schema.fields().iter().zip(sample.columns()) {
        let alone = Schema::new(vec![FieldRef::clone(field)]);
        let column = RecordBatch::try_new(alone.into(), vec![column.clone()])?;
        let stored = ArrowSchemaConverter::new().convert(&column.schema())?;
        let is_known = |leaf: &ColumnDescPtr| known.contains_key(&leaf.path().string());
        if !stored.columns().iter().all(is_known) {
            measure(
                &column,
                &stored,
                field,
                settings,
                &mut leaves,
                &mut decoding,
            )?;
        }
    }
    let seconds_per_value = |kind: &str, encoding| {
        let measured = decoding.get(&(kind.to_owned(), encoding));
        measured.map_or(0.0, |sum| sum.seconds / sum.values.max(1) as f64)
    };
    let mut choice = Choice::default();
    for leaf in leaves {
        let cost = |encoding: ColumnEncoding| {
            let decode = seconds_per_value(&leaf.kind, encoding) * leaf.values as f64;
            decode + leaf.stored_bytes[&encoding] as f64 / READ_BYTES_PER_SECOND
        };
        let ways = leaf.stored_bytes.keys().copied();
        let Some(best) = ways.min_by(|a, b| cost(*a).total_cmp(&cost(*b))) else {
            continue;
        };
        for (encoding, stored_bytes) in &leaf.stored_bytes {
            let of_kind = choice.measured.entry(leaf.kind.clone()).or_default();
            let measured = of_kind.entry(*encoding).or_default();
            measured.stored_bytes += stored_bytes;
            measured.decode_ns_per_value = 1e9 * seconds_per_value(&leaf.kind, *encoding);
            measured.chosen += u64::from(*encoding == best);
        }
        choice.encodings.insert(leaf.path, best);
    }
    Ok(choice)
}

/// Writes one column in every way, and reads it back.
fn measure(
    column: &RecordBatch,
    stored: &SchemaDescriptor,
    field: &FieldRef,
    settings: &WriteSettings,
    leaves: &mut Vec<Leaf>,
    decoding: &mut BTreeMap<(String, ColumnEncoding), Decoding>,
) -> Result<()> {
    let first = leaves.len();
    let kind = kind_of(field.data_type());
    let kind = kind.map_or("no feature".to_owned(), |(kind, width)| {
        kind_name(kind, width)
    });
    leaves.extend(stored.columns().iter().map(|leaf| Leaf {
        path: leaf.path().string(),
        kind: format!("{kind}, {}", leaf.physical_type()),
        values: 0,
        stored_bytes: BTreeMap::new(),
    }));
    let ways = stored.columns().iter().map(|leaf| candidates(leaf).len());
    for way in 0..ways.max().unwrap_or(0) {
        let file = write(column, stored, way, settings)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone())?;
        let chunks: Vec<(u64, u64)> = builder
            .metadata()
            .row_groups()
            .first()
            .map(|group| group.columns().iter())
            .into_iter()
            .flatten()
            .map(|chunk| {
                (
                    chunk.compressed_size().unsigned_abs(),
                    chunk.num_values().unsigned_abs(),
                )
            })
            .collect();
        let all_values: u64 = chunks.iter().map(|(_, values)| values).sum();
        let seconds = decode_seconds(&file)?;
        for ((leaf, descriptor), (bytes, values)) in
            leaves[first..].iter_mut().zip(stored.columns()).zip(chunks)
        {
            let Some(&encoding) = candidates(descriptor).get(way) else {
                continue;
            };
            leaf.values = values;
            leaf.stored_bytes.insert(encoding, bytes);
            let sum = decoding.entry((leaf.kind.clone(), encoding)).or_default();
            sum.seconds += seconds * values as f64 / all_values.max(1) as f64;
            sum.values += values;
        }
    }
    Ok(())
}

/// The column as a file in memory, every leaf in the `way`-th encoding of its type, or the usual one.
fn write(
    column: &RecordBatch,
    schema: &SchemaDescriptor,
    way: usize,
    settings: &WriteSettings,
) -> Result<Bytes> {
    let mut properties = settings.properties(schema, &BTreeMap::new());
    for leaf in schema.columns() {
        let ways = candidates(leaf);
        properties = encode(properties, leaf, *ways.get(way).unwrap_or(&ways[0]));
    }
    let whole = RowGroupLimits {
        stored_bytes: usize::MAX,
        memory_bytes: usize::MAX,
    };
    let mut file = FileWriter::new(Vec::new(), column.schema(), properties.build(), whole)?;
    file.write(column)?;
    Ok(file.finish()?.into())
}

/// The best of a few, as others share the machine.
fn decode_seconds(file: &Bytes) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let batches = ParquetRecordBatchReaderBuilder::try_new(file.clone())?.build()?;
        let started = Instant::now();
        for batch in batches {
            batch?;
        }
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// What storage gives a core that reads: a gigabit or two of network.
const READ_BYTES_PER_SECOND: f64 = 200e6;
const TIMES: usize = 3;
/// Rows that are enough of a sample.
pub(crate) const SAMPLED_ROWS: usize = 16_384;
