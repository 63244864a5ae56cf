//! The one place where errors become Python's: the fault names a class of `dpp.errors`.

use dpp_proto::{Fault, Faulty, fault::message_with_causes};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// `error` as the exception of its fault; the message is followed by its causes'.
pub(crate) fn raise(error: &dyn Faulty) -> PyErr {
    exception(error.fault(), message_with_causes(error))
}

/// An `InvalidRequest` saying `message`.
pub(crate) fn invalid(message: impl Into<String>) -> PyErr {
    exception(Fault::Invalid, message.into())
}

/// A mistake of our own, or a machine that gives us no threads.
pub(crate) fn internal(message: impl Into<String>) -> PyErr {
    exception(Fault::Internal, message.into())
}

fn exception(fault: Fault, message: String) -> PyErr {
    Python::attach(|py| match class(py, fault) {
        Ok(class) => PyErr::from_type(class, (message,)),
        Err(error) => error,
    })
}

fn class(py: Python<'_>, fault: Fault) -> PyResult<Bound<'_, PyType>> {
    let name = match fault {
        Fault::Invalid => "InvalidRequest",
        Fault::NotFound => "NotFound",
        Fault::Denied => "PermissionDenied",
        Fault::Corrupt => "CorruptData",
        Fault::Changed => "Changed",
        Fault::Unavailable => "Unavailable",
        Fault::Internal => "Error",
    };
    let class = py.import("dpp.errors")?.getattr(name)?;
    Ok(class.cast_into::<PyType>()?)
}
