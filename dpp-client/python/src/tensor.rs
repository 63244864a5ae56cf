//! A tensor over memory that Rust assembled, lent to Python without a copy.
//!
//! torch takes it through DLPack, numpy and pyarrow through the buffer protocol. Whoever took it keeps the memory
//! alive, this object may go first.
#![expect(
    unsafe_code,
    reason = "DLPack and the buffer protocol hand out raw pointers"
)]

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};

use arrow_buffer::Buffer;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use pyo3::{IntoPyObjectExt, ffi};

/// Row-major numbers in memory of ours.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Tensor {
    buffer: Buffer,
    element: Element,
    shape: Box<[isize]>,
    byte_strides: Box<[isize]>,
}

/// What a tensor is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Float32,
    Int64,
    Int32,
    UInt8,
}

impl Tensor {
    /// `buffer` as a tensor of `shape`. A buffer that is not aligned for its elements is copied into one that is.
    ///
    /// # Panics
    /// If the buffer does not have the size of the shape: batches are checked before they come here.
    pub(crate) fn new(buffer: Buffer, element: Element, shape: &[usize]) -> Tensor {
        let width = element.bytes();
        let count: usize = shape.iter().product();
        assert_eq!(
            buffer.len(),
            count * width,
            "{element:?} of shape {shape:?}"
        );
        let is_aligned = buffer.as_ptr().addr().is_multiple_of(width);
        let mut stride = signed(width);
        let mut byte_strides = vec![0; shape.len()];
        for (place, size) in byte_strides.iter_mut().zip(shape).rev() {
            *place = stride;
            stride *= signed(*size).max(1);
        }
        Tensor {
            buffer: if is_aligned {
                buffer
            } else {
                Buffer::from(buffer.as_slice())
            },
            element,
            shape: shape.iter().copied().map(signed).collect(),
            byte_strides: byte_strides.into(),
        }
    }
}

impl Element {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Element::Float32 | Element::Int32 => 4,
            Element::Int64 => 8,
            Element::UInt8 => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Element::Float32 => "float32",
            Element::Int64 => "int64",
            Element::Int32 => "int32",
            Element::UInt8 => "uint8",
        }
    }

    /// As the `struct` module writes it.
    fn format(self) -> &'static CStr {
        match self {
            Element::Float32 => c"f",
            Element::Int64 => c"q",
            Element::Int32 => c"i",
            Element::UInt8 => c"B",
        }
    }

    fn dlpack(self) -> DlDataType {
        let code = match self {
            Element::Int64 | Element::Int32 => 0,
            Element::UInt8 => 1,
            Element::Float32 => 2,
        };
        let bits = u8::try_from(self.bytes() * 8).expect("at most 64");
        DlDataType {
            code,
            bits,
            lanes: 1,
        }
    }
}

#[pymethods]
impl Tensor {
    #[getter]
    fn dtype(&self) -> &'static str {
        self.element.name()
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.shape.iter())
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.buffer.len()
    }

    fn __repr__(&self) -> String {
        format!("<dpp tensor {} {:?}>", self.element.name(), self.shape)
    }

    /// `stream` and `max_version` change nothing here: memory is the host's, capsules are unversioned.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<Bound<'py, PyAny>>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = (stream, max_version);
        if let Some(device) = dl_device.filter(|device| *device != HOST) {
            let message =
                format!("dpp tensors are in host memory, not on DLPack device {device:?}");
            return Err(PyBufferError::new_err(message));
        }
        let buffer = match copy {
            Some(true) => Buffer::from(self.buffer.as_slice()),
            _ => self.buffer.clone(),
        };
        Exported::new(buffer, self).into_capsule(py)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        HOST
    }

    /// Read-only. Fills `view` as the buffer protocol asks.
    ///
    /// # Safety
    /// `view` points to a `Py_buffer` that is ours to fill, as Python promises.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
            return Err(PyBufferError::new_err(
                "a batch's memory is read-only here: copy it to change it",
            ));
        }
        let tensor = slf.get();
        let dimensions = c_int::try_from(tensor.shape.len()).expect("few dimensions");
        let asked = |flag: c_int| flags & flag == flag;
        let when = |wanted: bool, pointer: *const isize| match wanted {
            true => pointer.cast_mut(),
            false => ptr::null_mut(),
        };
        let filled = ffi::Py_buffer {
            buf: tensor.buffer.as_ptr().cast_mut().cast(),
            obj: slf.clone().into_py_any(slf.py())?.into_ptr(),
            len: signed(tensor.buffer.len()),
            itemsize: signed(tensor.element.bytes()),
            readonly: 1,
            ndim: dimensions,
            format: match asked(ffi::PyBUF_FORMAT) {
                true => tensor.element.format().as_ptr().cast_mut(),
                false => ptr::null_mut(),
            },
            shape: when(asked(ffi::PyBUF_ND), tensor.shape.as_ptr()),
            strides: when(asked(ffi::PyBUF_STRIDES), tensor.byte_strides.as_ptr()),
            suboffsets: ptr::null_mut(),
            internal: ptr::null_mut(),
        };
        // SAFETY: `view` is valid for a write by this function's contract. What it points to (memory, shape, strides,
        // static format) never changes in a frozen class, and `obj` holds this object until the view is released.
        unsafe { view.write(filled) };
        Ok(())
    }
}

/// A tensor on its way to another library; frees itself through its deleter.
///
/// `managed` is first, so that a pointer to it is a pointer to the whole.
#[repr(C)]
struct Exported {
    managed: DlManagedTensor,
    shape: Box<[i64]>,
    strides: Box<[i64]>,
    buffer: Buffer,
}

impl Exported {
    fn new(buffer: Buffer, tensor: &Tensor) -> Box<Exported> {
        let width = signed(tensor.element.bytes());
        let mut exported = Box::new(Exported {
            managed: DlManagedTensor {
                tensor: DlTensor {
                    data: buffer.as_ptr().cast_mut().cast(),
                    device: HOST.into(),
                    dimensions: i32::try_from(tensor.shape.len()).expect("few dimensions"),
                    element: tensor.element.dlpack(),
                    shape: ptr::null_mut(),
                    strides: ptr::null_mut(),
                    byte_offset: 0,
                },
                context: ptr::null_mut(),
                deleter: Some(delete),
            },
            shape: tensor.shape.iter().map(|size| *size as i64).collect(),
            strides: tensor
                .byte_strides
                .iter()
                .map(|stride| (*stride / width) as i64)
                .collect(),
            buffer,
        });
        exported.managed.tensor.shape = exported.shape.as_mut_ptr();
        exported.managed.tensor.strides = exported.strides.as_mut_ptr();
        debug_assert_eq!(
            exported.managed.tensor.data.cast_const().cast(),
            exported.buffer.as_ptr()
        );
        exported
    }

    fn into_capsule(self: Box<Self>, py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
        let pointer = NonNull::from(Box::leak(self)).cast::<c_void>();
        // SAFETY: `pointer` is a DlManagedTensor that lives until its deleter runs; `release` runs it unless the
        // consumer renamed the capsule and with that took the duty over. Buffers may be dropped on any thread.
        unsafe { PyCapsule::new_with_pointer_and_destructor(py, pointer, DLTENSOR, Some(release)) }
    }
}

/// # Safety
/// `managed` came from [`Exported::into_capsule`], and nobody uses it after.
unsafe extern "C" fn delete(managed: *mut DlManagedTensor) {
    // SAFETY: by the contract, this is the box leaked there, and `managed` is its first field.
    drop(unsafe { Box::from_raw(managed.cast::<Exported>()) });
}

/// # Safety
/// `capsule` is one of ours and is being destroyed, as Python promises.
unsafe extern "C" fn release(capsule: *mut ffi::PyObject) {
    // SAFETY: the capsule is alive during its destructor. One that still has our name was consumed by nobody, so that
    // its pointer is ours to delete.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, DLTENSOR.as_ptr()) == 1 {
            delete(ffi::PyCapsule_GetPointer(capsule, DLTENSOR.as_ptr()).cast());
        }
    }
}

fn signed(size: usize) -> isize {
    isize::try_from(size).expect("a size in memory fits")
}

/// Name of a capsule that nobody has consumed yet.
const DLTENSOR: &CStr = c"dltensor";

/// DLPack's device of host memory.
const HOST: (i32, i32) = (1, 0);

// The layout of dlpack.h, before versions.

#[repr(C)]
struct DlManagedTensor {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManagedTensor)>,
}

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device: DlDevice,
    dimensions: i32,
    element: DlDataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct DlDevice {
    kind: i32,
    id: i32,
}

impl From<(i32, i32)> for DlDevice {
    fn from((kind, id): (i32, i32)) -> Self {
        DlDevice { kind, id }
    }
}

#[repr(C)]
struct DlDataType {
    code: u8,
    bits: u8,
    lanes: u16,
}
