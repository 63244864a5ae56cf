//! A batch as the Python package takes it apart: one tensor a call, none copied.

use std::collections::HashMap;
use std::sync::OnceLock;

use arrow_buffer::Buffer;
use dpp_batch::{ExtraData, ExtraKind};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::errors::{internal, invalid, raise};
use crate::tensor::{Element, Tensor};

/// Tensors of some rows, and where the rows came from.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Batch {
    tensors: dpp_batch::Batch,
    /// What a loader's batch knows beside its tensors.
    delivered: Option<dpp_client::Batch>,
    /// i32 `[K·B + 1]`, once somebody asks.
    offsets: OnceLock<Buffer>,
    /// For each key, where its ids end; once somebody asks.
    key_ends: OnceLock<Vec<usize>>,
}

impl Batch {
    /// A loader's batch. Fails when it holds 2^31 ids or more.
    pub(crate) fn new(batch: dpp_client::Batch) -> PyResult<Batch> {
        let tensors = batch.tensors.clone();
        Batch::checked(tensors, Some(batch))
    }

    /// Tensors of rows that no loader delivered. Fails as [`new`](Batch::new).
    pub(crate) fn of(tensors: dpp_batch::Batch) -> PyResult<Batch> {
        Batch::checked(tensors, None)
    }

    fn checked(tensors: dpp_batch::Batch, delivered: Option<dpp_client::Batch>) -> PyResult<Batch> {
        let ids = tensors.sparse.values.len() / Element::Int64.bytes();
        if i32::try_from(ids).is_err() {
            return Err(invalid(
                "a batch holds 2^31 ids or more: choose a smaller batch_size",
            ));
        }
        Ok(Batch {
            tensors,
            delivered,
            offsets: OnceLock::new(),
            key_ends: OnceLock::new(),
        })
    }

    fn ends(&self) -> &[usize] {
        self.key_ends.get_or_init(|| {
            let tensors = &self.tensors;
            let mut lengths = int32s(&tensors.sparse.lengths);
            let of_key = |_| {
                (&mut lengths)
                    .take(tensors.rows)
                    .map(|it| it as usize)
                    .sum()
            };
            let keys = (0..tensors.layout.sparse.len()).map(of_key);
            let ends = keys.scan(0, |end, ids: usize| {
                *end += ids;
                Some(*end)
            });
            ends.collect()
        })
    }

    pub(crate) fn tensors(&self) -> &dpp_batch::Batch {
        &self.tensors
    }

    fn extra(&self, index: usize) -> PyResult<(&dpp_batch::Extra, ExtraKind)> {
        let extra = self.tensors().extras.get(index);
        let spec = self.tensors().layout.extras.get(index);
        let found = extra.zip(spec.map(|spec| spec.kind));
        found.ok_or_else(|| internal(format!("no extra {index}")))
    }
}

#[pymethods]
impl Batch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.tensors().rows
    }

    /// `dpp_batch::Layout` as JSON.
    fn layout(&self) -> PyResult<String> {
        let layout = serde_json::to_string(&*self.tensors.layout);
        layout.map_err(|error| internal(error.to_string()))
    }

    #[getter]
    fn step(&self) -> u64 {
        self.delivered.as_ref().map_or(0, |batch| batch.step)
    }

    /// u8 `[B]`, 0 where a row is padding; `None` where none can be.
    fn valid(&self) -> Option<Tensor> {
        let valid = self.delivered.as_ref()?.valid.as_ref()?;
        Some(flat(&Buffer::from_vec(valid.to_vec()), Element::UInt8))
    }

    fn dense(&self) -> Tensor {
        let (tensors, rows) = (self.tensors(), self.tensors().rows);
        Tensor::new(
            tensors.dense.clone(),
            Element::Float32,
            &[rows, tensors.layout.dense.len()],
        )
    }

    fn labels(&self) -> Tensor {
        let (tensors, rows) = (self.tensors(), self.tensors().rows);
        Tensor::new(
            tensors.labels.clone(),
            Element::Float32,
            &[rows, tensors.layout.labels.len()],
        )
    }

    fn values(&self) -> Tensor {
        flat(&self.tensors().sparse.values, Element::Int64)
    }

    /// `values` as int32. Fails on one that does not fit, naming its key.
    fn values_int32(&self, py: Python<'_>) -> PyResult<Tensor> {
        let sparse = &self.tensors().sparse;
        let narrowed = py.detach(|| narrow(&sparse.values));
        let buffer = narrowed.map_err(|(index, id)| {
            let key = self.ends().partition_point(|&end| end <= index);
            let name = &self.tensors().layout.sparse[key].name;
            invalid(format!(
                "id {id} of sparse key {name:?} does not fit int32: hash it into a smaller range, or leave id_dtype=\"int64\""
            ))
        })?;
        Ok(flat(&buffer, Element::Int32))
    }

    fn lengths(&self) -> Tensor {
        flat(&self.tensors().sparse.lengths, Element::Int32)
    }

    fn offsets(&self, py: Python<'_>) -> Tensor {
        let lengths = &self.tensors.sparse.lengths;
        let offsets = py.detach(|| self.offsets.get_or_init(|| offsets(lengths)));
        flat(offsets, Element::Int32)
    }

    fn weights(&self) -> Option<Tensor> {
        let weights = self.tensors().sparse.weights.as_ref();
        weights.map(|weights| flat(weights, Element::Float32))
    }

    fn key_ends(&self) -> Vec<usize> {
        self.ends().to_vec()
    }

    fn vector(&self, index: usize) -> PyResult<Tensor> {
        let tensors = self.tensors();
        let found = tensors
            .vectors
            .get(index)
            .zip(tensors.layout.vectors.get(index));
        let (vector, spec) = found.ok_or_else(|| internal(format!("no vector {index}")))?;
        Ok(Tensor::new(
            vector.clone(),
            match spec.element {
                dpp_batch::Element::F32 => Element::Float32,
                dpp_batch::Element::U8 => Element::UInt8,
            },
            &spec.shape_of(tensors.rows),
        ))
    }

    /// The values of a column of numbers; `None` for bytes and text.
    fn extra_numbers(&self, index: usize) -> PyResult<Option<Tensor>> {
        let (extra, kind) = self.extra(index)?;
        let element = match kind {
            ExtraKind::Int => Element::Int64,
            ExtraKind::Dense => Element::Float32,
            ExtraKind::Bytes | ExtraKind::Text => return Ok(None),
        };
        match &extra.data {
            ExtraData::Fixed(values) => Ok(Some(flat(values, element))),
            ExtraData::Variable { .. } => Err(internal("numbers of unlike length")),
        }
    }

    /// The rows of a column of bytes or text; `None` where a row is null.
    fn extra_list<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyList>> {
        let (extra, kind) = self.extra(index)?;
        let ExtraData::Variable { lengths, bytes } = &extra.data else {
            return Err(internal("an extra of numbers is no list"));
        };
        let list = PyList::empty(py);
        let mut rest = bytes.as_slice();
        for (row, length) in int32s(lengths).enumerate() {
            let length = usize::try_from(length).map_err(|_| internal("a length below 0"))?;
            let (value, after) = rest.split_at(length);
            rest = after;
            let is_null = extra
                .validity
                .as_ref()
                .is_some_and(|validity| validity[row] == 0);
            match (is_null, kind) {
                (true, _) => list.append(py.None())?,
                (false, ExtraKind::Text) => list.append(PyString::from_bytes(py, value)?)?,
                (false, _) => list.append(PyBytes::new(py, value))?,
            }
        }
        Ok(list)
    }

    /// u8 `[B]`, 0 where the row is null.
    fn extra_valid(&self, index: usize) -> PyResult<Tensor> {
        let validity = self.extra(index)?.0.validity.clone();
        let validity =
            validity.unwrap_or_else(|| Buffer::from_vec(vec![1_u8; self.tensors().rows]));
        Ok(flat(&validity, Element::UInt8))
    }

    /// (file, row group, row of the group) of every row.
    fn origin<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyString>, usize, u64)>> {
        let batch = self.delivered.as_ref();
        let batch = batch.ok_or_else(|| invalid("rows given to apply come from no file"))?;
        let origins = py.detach(|| batch.origin());
        let origins = origins.map_err(|error| raise(&error))?.into_iter();
        let mut paths = HashMap::new();
        let named = origins.map(|origin| {
            let path = || PyString::new(py, batch.file_path(origin.file));
            let path: &Bound<'_, _> = paths.entry(origin.file).or_insert_with(path);
            (path.clone(), origin.row_group, origin.row)
        });
        Ok(named.collect())
    }

    fn fingerprint(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.tensors().fingerprint())
    }
}

fn flat(buffer: &Buffer, element: Element) -> Tensor {
    Tensor::new(buffer.clone(), element, &[buffer.len() / element.bytes()])
}

/// Where each length begins, and where the last ends. Their sum was checked.
fn offsets(lengths: &Buffer) -> Buffer {
    let ends = int32s(lengths).scan(0_i32, |end, length| {
        *end += length;
        Some(*end)
    });
    Buffer::from_vec(std::iter::once(0).chain(ends).collect::<Vec<_>>())
}

/// i64 ids as i32, or the place and value of the first that does not fit.
fn narrow(ids: &Buffer) -> Result<Buffer, (usize, i64)> {
    let (ids, _) = ids.as_chunks::<8>();
    let narrowed = ids.iter().enumerate().map(|(index, id)| {
        let id = i64::from_le_bytes(*id);
        i32::try_from(id).map_err(|_| (index, id))
    });
    narrowed
        .collect::<Result<Vec<i32>, _>>()
        .map(Buffer::from_vec)
}

fn int32s(buffer: &Buffer) -> impl ExactSizeIterator<Item = i32> {
    let (numbers, _) = buffer.as_chunks::<4>();
    numbers.iter().map(|number| i32::from_le_bytes(*number))
}
