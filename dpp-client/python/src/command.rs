//! The `dpp` command inside the Python process.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs `dpp` with these arguments, the program's name first; returns its exit status.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| dpp_cli::main(arguments))
}
