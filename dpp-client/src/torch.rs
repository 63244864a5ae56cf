//! A batch as libtorch sees it, for trainers written in Rust: the same bytes, none copied.

use dpp_batch::{Element, ExtraData, ExtraKind};
use tch::{Device, Kind, Tensor};

use crate::Batch;

/// Tensors over a batch's buffers, which it keeps alive.
#[derive(Debug)]
pub struct TchBatch {
    dense: Tensor,
    labels: Tensor,
    lengths: Tensor,
    values: Tensor,
    weights: Option<Tensor>,
    vectors: Vec<Tensor>,
    extras: Vec<TchExtra>,
    /// Dropped after the tensors that look into it.
    buffers: dpp_batch::Batch,
}

/// A column carried exactly.
#[derive(Debug)]
pub struct TchExtra {
    /// u8 `[B]`, 0 where the row is null; `None` when no row is.
    pub valid: Option<Tensor>,
    /// i64 or f32 `[B]`; the rows' bytes as u8, one after another, when they are of unlike length.
    pub values: Tensor,
    /// i32 `[B]`, bytes per row, when rows are of unlike length.
    pub lengths: Option<Tensor>,
}

impl Batch {
    /// The batch's tensors on the CPU, over the batch's own memory.
    ///
    /// # Safety
    /// libtorch does not know who owns the memory. No tensor of the result, and nothing that shares its storage (a view,
    /// a shallow clone), may be used after the result is dropped, and none may be written to. What is copied first, by
    /// `to_device`, `copy` or any op that makes a new tensor, is free of both.
    #[expect(unsafe_code, reason = "who calls it upholds what libtorch does not")]
    pub unsafe fn to_tch(&self) -> TchBatch {
        let tensors = &self.tensors;
        let (rows, layout) = (tensors.rows, &tensors.layout);
        let matrix = |buffer, width| tensor(buffer, Kind::Float, &[rows, width]);
        let vectors = tensors.vectors.iter().zip(&layout.vectors);
        let extras = tensors.extras.iter().zip(&layout.extras);
        TchBatch {
            dense: matrix(&tensors.dense, layout.dense.len()),
            labels: matrix(&tensors.labels, layout.labels.len()),
            lengths: flat(&tensors.sparse.lengths, Kind::Int, 4),
            values: flat(&tensors.sparse.values, Kind::Int64, 8),
            weights: tensors
                .sparse
                .weights
                .as_ref()
                .map(|weights| flat(weights, Kind::Float, 4)),
            vectors: vectors
                .map(|(vector, spec)| {
                    let kind = match spec.element {
                        Element::F32 => Kind::Float,
                        Element::U8 => Kind::Uint8,
                    };
                    tensor(vector, kind, &spec.shape_of(rows))
                })
                .collect(),
            extras: extras
                .map(|(extra, spec)| extra_tensors(extra, spec.kind))
                .collect(),
            buffers: tensors.clone(),
        }
    }
}

impl TchBatch {
    /// Number of rows, B.
    pub fn rows(&self) -> usize {
        self.buffers.rows
    }

    /// f32 `[B, D]`.
    pub fn dense(&self) -> &Tensor {
        &self.dense
    }

    /// f32 `[B, L]`.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// i32 `[K·B]`, key-major: ids per key and row.
    pub fn lengths(&self) -> &Tensor {
        &self.lengths
    }

    /// i64, in the order of `lengths`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// f32, one a value; `None` when no key is weighted.
    pub fn weights(&self) -> Option<&Tensor> {
        self.weights.as_ref()
    }

    /// f32 or u8 `[B, …shape]` each, in layout order.
    pub fn vectors(&self) -> &[Tensor] {
        &self.vectors
    }

    /// Columns carried exactly, in layout order.
    pub fn extras(&self) -> &[TchExtra] {
        &self.extras
    }
}

fn extra_tensors(extra: &dpp_batch::Extra, kind: ExtraKind) -> TchExtra {
    let valid = extra.validity.as_ref();
    let (values, lengths) = match (&extra.data, kind) {
        (ExtraData::Fixed(values), ExtraKind::Int) => (flat(values, Kind::Int64, 8), None),
        (ExtraData::Fixed(values), _) => (flat(values, Kind::Float, 4), None),
        (ExtraData::Variable { lengths, bytes }, _) => {
            let lengths = flat(lengths, Kind::Int, 4);
            (flat(bytes, Kind::Uint8, 1), Some(lengths))
        }
    };
    TchExtra {
        valid: valid.map(|valid| flat(valid, Kind::Uint8, 1)),
        values,
        lengths,
    }
}

fn flat(buffer: &[u8], kind: Kind, width: usize) -> Tensor {
    tensor(buffer, kind, &[buffer.len() / width])
}

/// A row-major tensor over `bytes`.
fn tensor(bytes: &[u8], kind: Kind, shape: &[usize]) -> Tensor {
    let elements: usize = shape.iter().product();
    assert_eq!(
        bytes.len(),
        elements * kind.elt_size_in_bytes(),
        "{shape:?}"
    );
    assert!(
        bytes
            .as_ptr()
            .addr()
            .is_multiple_of(kind.elt_size_in_bytes())
    );
    let shape: Vec<i64> = shape
        .iter()
        .map(|&size| i64::try_from(size).expect("a size in memory"))
        .collect();
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    #[expect(unsafe_code, reason = "libtorch takes a pointer")]
    // SAFETY: `bytes` hold exactly the elements of this shape, aligned for them (both checked above). That they outlive
    // the tensor and stay unwritten is what callers of `Batch::to_tch` promise; `TchBatch` keeps the buffers for them.
    unsafe {
        Tensor::from_blob(bytes.as_ptr(), &shape, &strides, kind, Device::Cpu)
    }
}
