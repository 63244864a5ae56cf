//! What fitting adds up of some rows. Parts of one table amount to the same however its rows are cut, and in whatever order
//! they are added: who has the rows makes parts, and one process adds them.
//!
//! ```text
//! one line of JSON: format, version, names of columns and of sparse outputs; then numbers:
//! rows · for each column: missing, values, sums by place, bits dropped, buckets · for each sparse output: ids, with counts
//! ```

use std::sync::{Arc, LazyLock};

use arrow::buffer::Buffer;
use dpp_batch::{Batch, Extra, ExtraData, ExtraKind, ExtraSpec, Jagged, Layout};
use serde::{Deserialize, Serialize};

use super::{
    bytes::{Bytes, push, push_signed},
    distribution::Distribution,
    id_counts::IdCounts,
    moments::{Moments, Sum},
};
use crate::Error;

/// Sums of some rows of a plan's outputs.
#[derive(Clone, Debug)]
pub struct Part {
    pub(super) outputs: Outputs,
    pub(super) rows: u64,
    pub(super) columns: Vec<Column>,
    pub(super) ids: Vec<IdCounts>,
}

/// What is fitted, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outputs {
    format: String,
    version: u32,
    /// Dense outputs, then labels.
    pub(super) columns: Vec<String>,
    pub(super) sparse: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) moments: Moments,
    pub(super) distribution: Distribution,
    pub(super) missing: u64,
}

impl Part {
    /// Of no rows yet, whose plan packs NaN for null.
    pub fn of(layout: &Layout) -> Part {
        Part::of_outputs(Outputs {
            format: FORMAT.to_owned(),
            version: VERSION,
            columns: layout.dense.iter().chain(&layout.labels).cloned().collect(),
            sparse: layout.sparse.iter().map(|key| key.name.clone()).collect(),
        })
    }

    fn of_outputs(outputs: Outputs) -> Part {
        Part {
            rows: 0,
            columns: vec![Column::default(); outputs.columns.len()],
            ids: vec![IdCounts::default(); outputs.sparse.len()],
            outputs,
        }
    }

    /// Adds rows of the layout that the part is of.
    pub fn add(&mut self, batch: &Batch) {
        self.rows += batch.rows as u64;
        let dense = batch.layout.dense.len();
        let (dense, labels) = self.columns.split_at_mut(dense);
        add_matrix(dense, &batch.dense);
        add_matrix(labels, &batch.labels);
        let mut values = batch.sparse.values.as_slice();
        let keys = batch.sparse.lengths.chunks(batch.rows.max(1) * 4);
        for (counts, lengths) in self.ids.iter_mut().zip(keys) {
            let (lengths, _) = lengths.as_chunks();
            let ids: usize = lengths
                .iter()
                .map(|it| i32::from_le_bytes(*it) as usize)
                .sum();
            let (own, rest) = values.split_at(ids * 8);
            values = rest;
            let (own, _) = own.as_chunks();
            own.iter()
                .for_each(|id| counts.add(i64::from_le_bytes(*id), 1));
        }
    }

    /// About as many bytes as it takes.
    pub fn byte_size(&self) -> usize {
        let ids: usize = self.ids.iter().map(IdCounts::distinct).sum();
        let buckets: usize = self.columns.iter().map(|it| it.distribution.size()).sum();
        ids * ID_BYTES + buckets * BUCKET_BYTES
    }

    /// The part as a batch of one row, for frames.
    pub fn into_batch(self) -> Batch {
        let bytes = self.into_bytes();
        let none = || Buffer::from_vec(Vec::<u8>::new());
        let length = i32::try_from(bytes.len()).expect("parts are cut long before");
        Batch {
            layout: Part::layout().clone(),
            rows: 1,
            dense: none(),
            labels: none(),
            sparse: Jagged {
                lengths: none(),
                values: none(),
                weights: None,
            },
            vectors: Vec::new(),
            extras: vec![Extra {
                validity: None,
                data: ExtraData::Variable {
                    lengths: Buffer::from_vec(vec![length]),
                    bytes: Buffer::from_vec(bytes),
                },
            }],
        }
    }

    /// The layout of such batches, which is also that of no rows at all.
    pub fn layout() -> &'static Arc<Layout> {
        static LAYOUT: LazyLock<Arc<Layout>> = LazyLock::new(|| {
            Arc::new(Layout {
                extras: vec![ExtraSpec {
                    name: FORMAT.to_owned(),
                    kind: ExtraKind::Bytes,
                }],
                ..Layout::default()
            })
        });
        &LAYOUT
    }

    /// The same bytes for the same rows, however they came.
    fn into_bytes(mut self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&self.outputs).expect("names are JSON");
        bytes.push(b'\n');
        push(&mut bytes, self.rows.into());
        for column in &mut self.columns {
            column.write(&mut bytes);
        }
        for counts in &self.ids {
            let counted = counts.ascending();
            push(&mut bytes, counted.len() as u128);
            let mut last = 0;
            for (id, count) in counted {
                push_signed(&mut bytes, i128::from(id) - last);
                push(&mut bytes, count.into());
                last = id.into();
            }
        }
        bytes
    }

    /// Adds the part that these bytes are of to one of the same outputs, if there is one. Fails where they are not.
    pub(super) fn merge(into: Option<Part>, bytes: &[u8]) -> Result<Part, Error> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (header, rest) = bytes.split_at(end.ok_or_else(|| damaged("it has no header"))?);
        let outputs: Outputs =
            serde_json::from_slice(header).map_err(|error| damaged(&error.to_string()))?;
        if (outputs.format.as_str(), outputs.version) != (FORMAT, VERSION) {
            return Err(damaged("a worker of another version made it"));
        }
        let mut sum = match into {
            Some(sum) if sum.outputs == outputs => sum,
            Some(_) => return Err(damaged("it is of other outputs")),
            None => Part::of_outputs(outputs),
        };
        sum.merge_numbers(Bytes(&rest[1..]))
            .ok_or_else(|| damaged("its numbers make no sense"))?;
        Ok(sum)
    }

    fn merge_numbers(&mut self, mut bytes: Bytes<'_>) -> Option<()> {
        let rows = bytes.next()?;
        self.rows = self.rows.checked_add(rows)?;
        for column in &mut self.columns {
            column.merge(&mut bytes, rows)?;
        }
        for counts in &mut self.ids {
            let mut last = 0i128;
            for _ in 0..bytes.next::<u64>()? {
                last = last.checked_add(bytes.next_signed()?)?;
                counts.add(i64::try_from(last).ok()?, bytes.next()?);
            }
        }
        bytes.0.is_empty().then_some(())
    }
}

impl Column {
    fn write(&mut self, bytes: &mut Vec<u8>) {
        push(bytes, self.missing.into());
        push(bytes, self.moments.values().into());
        push(bytes, self.moments.sums().count() as u128);
        for (place, sum) in self.moments.sums() {
            push(bytes, place.into());
            push_signed(bytes, sum.values);
            push(bytes, sum.squares);
        }
        let (dropped, counts) = self.distribution.counts();
        push(bytes, dropped.into());
        push(bytes, counts.len() as u128);
        let mut last = 0;
        for (bucket, count) in counts {
            push(bytes, (bucket - last).into());
            push(bytes, (*count).into());
            last = *bucket;
        }
    }

    /// Adds a column of so many rows; `None` where it is none.
    fn merge(&mut self, bytes: &mut Bytes<'_>, rows: u64) -> Option<()> {
        let (missing, values) = (bytes.next()?, bytes.next()?);
        if u64::checked_add(missing, values)? != rows {
            return None;
        }
        let mut sums = Vec::new();
        for _ in 0..bytes.next::<u8>()? {
            let (place, values, squares) = (bytes.next()?, bytes.next_signed()?, bytes.next()?);
            sums.push((place, Sum { values, squares }));
        }
        let dropped: u32 = bytes.next()?;
        let (mut counts, mut counted, mut last) = (Vec::new(), 0u64, 0u32);
        for place in 0..bytes.next::<u32>()? {
            let (beyond, count): (u32, u64) = (bytes.next()?, bytes.next()?);
            last = last.checked_add(beyond)?;
            counted = counted.checked_add(count)?;
            if (beyond == 0 && place > 0) || count == 0 {
                return None;
            }
            counts.push((last, count));
        }
        if dropped >= u32::BITS || last > u32::MAX >> dropped || counted != values {
            return None;
        }
        self.missing += missing;
        self.moments.merge(values, &sums);
        self.distribution.merge((dropped, counts));
        Some(())
    }
}

fn add_matrix(columns: &mut [Column], matrix: &[u8]) {
    if columns.is_empty() {
        return;
    }
    for row in matrix.chunks_exact(columns.len() * 4) {
        let (cells, _) = row.as_chunks();
        for (column, cell) in columns.iter_mut().zip(cells) {
            let value = f32::from_le_bytes(*cell);
            if value.is_finite() {
                column.moments.add(value);
                column.distribution.add(value);
            } else {
                column.missing += 1;
            }
        }
    }
}

fn damaged(message: &str) -> Error {
    Error::Fit {
        message: format!("a part of what was to be fitted can't be used: {message}"),
    }
}

const FORMAT: &str = "dpp.fit.part";
const VERSION: u32 = 1;
/// Of an id that is counted, and of a bucket.
const ID_BYTES: usize = 40;
const BUCKET_BYTES: usize = 16;
