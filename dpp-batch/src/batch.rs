//! Tensors of some rows.
//!
//! ```text
//! dense    f32 [B, D]   row-major         labels   f32 [B, L]   row-major
//! sparse   lengths i32 [K·B]              key 0: row 0 … row B-1, key 1: row 0 … row B-1, …
//!          values  i64, weights f32       in the order of lengths
//! vectors  f32 | u8 [B, …shape]           extras   i64 | f32 [B], or lengths i32 [B] and bytes; validity u8 [B]
//! ```
//!
//! Numbers are little-endian. A batch a trainer receives is aligned for its types; one inside a frame
//! need not be, so nothing here reads a buffer but as bytes.

use std::sync::Arc;

use arrow_buffer::Buffer;
use xxhash_rust::xxh3::Xxh3;

use crate::{Error, Layout, little_endian::sum_of_lengths};

/// Tensors of `rows` rows, laid out as `layout` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Names and widths of the tensors.
    pub layout: Arc<Layout>,
    /// Number of rows, B.
    pub rows: usize,
    /// f32 `[B, D]`, row-major.
    pub dense: Buffer,
    /// f32 `[B, L]`, row-major.
    pub labels: Buffer,
    /// Ids of every sparse key.
    pub sparse: Jagged,
    /// f32 or u8 `[B, …shape]` each, in layout order.
    pub vectors: Vec<Buffer>,
    /// Columns carried exactly, in layout order.
    pub extras: Vec<Extra>,
}

/// Ids of K keys for B rows, as TorchRec's KeyedJaggedTensor lays them out.
#[derive(Clone, Debug, PartialEq)]
pub struct Jagged {
    /// i32 `[K·B]`, key-major: ids per key and row.
    pub lengths: Buffer,
    /// i64, in the order of `lengths`.
    pub values: Buffer,
    /// f32, one a value; present iff any key of the layout is weighted.
    pub weights: Option<Buffer>,
}

/// One column carried exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Extra {
    /// u8 `[B]`, 0 where the row is null; `None` when no row is.
    pub validity: Option<Buffer>,
    /// The rows' values; a null row's are zero or empty.
    pub data: ExtraData,
}

/// Values of an extra.
#[derive(Clone, Debug, PartialEq)]
pub enum ExtraData {
    /// i64 or f32 `[B]`.
    Fixed(Buffer),
    /// Rows of unlike length.
    Variable {
        /// i32 `[B]`, bytes per row.
        lengths: Buffer,
        /// The rows' bytes, one after another.
        bytes: Buffer,
    },
}

impl Batch {
    /// `rows` rows of no content: zeros, no ids, extras null.
    pub(crate) fn padding(layout: &Arc<Layout>, rows: usize) -> Batch {
        let zeros = |bytes: usize| Buffer::from_vec(vec![0_u8; rows * bytes]);
        let extras = layout.extras.iter().map(|spec| Extra {
            validity: (rows > 0).then(|| zeros(1)),
            data: match spec.kind.fixed_width() {
                Some(width) => ExtraData::Fixed(zeros(width)),
                None => ExtraData::Variable {
                    lengths: zeros(4),
                    bytes: zeros(0),
                },
            },
        });
        Batch {
            layout: layout.clone(),
            rows,
            dense: zeros(4 * layout.dense.len()),
            labels: zeros(4 * layout.labels.len()),
            sparse: Jagged {
                lengths: zeros(4 * layout.sparse.len()),
                values: zeros(0),
                weights: layout.is_weighted().then(|| zeros(0)),
            },
            vectors: layout
                .vectors
                .iter()
                .map(|spec| zeros(spec.row_bytes()))
                .collect(),
            extras: extras.collect(),
        }
    }

    /// Checks that every buffer has the size that layout, rows and lengths give it.
    ///
    /// # Errors
    /// [`Error::Layout`] names the buffer that differs.
    pub fn check(&self) -> Result<(), Error> {
        self.ids_of_keys().map(|_| ())
    }

    /// How many ids every sparse key has, of a batch that [`Batch::check`] finds nothing wrong with.
    pub(crate) fn ids_of_keys(&self) -> Result<Vec<usize>, Error> {
        let (layout, rows) = (&self.layout, self.rows);
        expect_size(
            "dense",
            &self.dense,
            rows.checked_mul(layout.dense.len() * 4),
        )?;
        expect_size(
            "labels",
            &self.labels,
            rows.checked_mul(layout.labels.len() * 4),
        )?;
        let ids = self.check_sparse()?;
        expect_count("vectors", self.vectors.len(), layout.vectors.len())?;
        for (spec, vector) in layout.vectors.iter().zip(&self.vectors) {
            expect_size(&spec.name, vector, rows.checked_mul(spec.row_bytes()))?;
        }
        expect_count("extras", self.extras.len(), layout.extras.len())?;
        for (spec, extra) in layout.extras.iter().zip(&self.extras) {
            extra.check(&spec.name, spec.kind.fixed_width(), rows)?;
        }
        Ok(ids)
    }

    fn check_sparse(&self) -> Result<Vec<usize>, Error> {
        let (sparse, keys) = (&self.sparse, self.layout.sparse.len());
        expect_size("lengths", &sparse.lengths, self.rows.checked_mul(keys * 4))?;
        let of_key = |key| &sparse.lengths[key * self.rows * 4..(key + 1) * self.rows * 4];
        let of_keys: Option<Vec<usize>> =
            (0..keys).map(|key| sum_of_lengths(of_key(key))).collect();
        let of_keys = of_keys.ok_or_else(|| misfit("lengths are negative"))?;
        let ids = (of_keys.iter()).try_fold(0, |sum: usize, ids| sum.checked_add(*ids));
        expect_size(
            "values",
            &sparse.values,
            ids.and_then(|ids| ids.checked_mul(8)),
        )?;
        match &sparse.weights {
            Some(weights) => {
                expect_size("weights", weights, ids.and_then(|ids| ids.checked_mul(4)))?
            }
            None if self.layout.is_weighted() => return Err(misfit("weights are missing")),
            None => {}
        }
        Ok(of_keys)
    }

    /// Bytes of all tensors.
    pub fn byte_size(&self) -> usize {
        self.buffers().map(|buffer| buffer.len()).sum()
    }

    /// xxh3-64 over every tensor's bytes and length: equal batches have equal fingerprints.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(&(self.rows as u64).to_le_bytes());
        for buffer in self.buffers() {
            hash.update(&(buffer.len() as u64).to_le_bytes());
            hash.update(buffer);
        }
        hash.digest()
    }

    /// Whether every buffer is aligned for its type.
    pub(crate) fn is_aligned(&self) -> bool {
        let sparse = &self.sparse;
        let singles = [&self.dense, &self.labels, &sparse.lengths].into_iter();
        let mut singles = singles.chain(&sparse.weights).chain(&self.vectors);
        let aligned = |buffer: &Buffer, bytes: usize| {
            buffer.is_empty() || buffer.as_ptr().align_offset(bytes) == 0
        };
        singles.all(|buffer| aligned(buffer, 4))
            && aligned(&sparse.values, 8)
            && self.extras.iter().all(|extra| match &extra.data {
                ExtraData::Fixed(values) => aligned(values, 8),
                ExtraData::Variable { lengths, .. } => aligned(lengths, 4),
            })
    }

    /// Whether an extra carries validity although no row of it is null.
    pub(crate) fn has_needless_validity(&self) -> bool {
        let mut validities = self.extras.iter().flat_map(|extra| &extra.validity);
        validities.any(|valid| !valid.contains(&0))
    }

    /// Every buffer in the order in which frames carry them; an absent one is empty.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        let sparse = &self.sparse;
        [&self.dense, &self.labels, &sparse.lengths, &sparse.values]
            .into_iter()
            .chain(&sparse.weights)
            .chain(&self.vectors)
            .chain(self.extras.iter().flat_map(Extra::buffers))
    }
}

impl Extra {
    fn check(&self, name: &str, fixed_width: Option<usize>, rows: usize) -> Result<(), Error> {
        if let Some(validity) = &self.validity {
            expect_size(name, validity, Some(rows))?;
        }
        match (&self.data, fixed_width) {
            (ExtraData::Fixed(values), Some(width)) => {
                expect_size(name, values, rows.checked_mul(width))
            }
            (ExtraData::Variable { lengths, bytes }, None) => {
                expect_size(name, lengths, rows.checked_mul(4))?;
                expect_size(name, bytes, sum_of_lengths(lengths))
            }
            _ => Err(misfit(&format!("extra {name} is of another kind"))),
        }
    }

    fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        let (first, second) = match &self.data {
            ExtraData::Fixed(values) => (values, None),
            ExtraData::Variable { lengths, bytes } => (lengths, Some(bytes)),
        };
        self.validity.iter().chain([first]).chain(second)
    }
}

fn expect_size(name: &str, buffer: &Buffer, expected: Option<usize>) -> Result<(), Error> {
    match expected {
        Some(expected) if expected == buffer.len() => Ok(()),
        Some(expected) => Err(misfit(&format!(
            "{name} has {} bytes, {expected} expected",
            buffer.len()
        ))),
        None => Err(misfit(&format!("{name} has impossible lengths"))),
    }
}

fn expect_count(name: &str, count: usize, expected: usize) -> Result<(), Error> {
    if count == expected {
        Ok(())
    } else {
        Err(misfit(&format!("{count} {name}, {expected} expected")))
    }
}

fn misfit(what: &str) -> Error {
    Error::Layout {
        what: what.to_owned(),
    }
}
