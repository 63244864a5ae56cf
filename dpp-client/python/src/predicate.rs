//! A filter from JSON, as `dpp.predicates` writes it, to the wire's form.

use dpp_ops::condition;
use dpp_proto::v1;
use pyo3::prelude::*;

use crate::errors::raise;

/// Reads a filter. Fails on anything `dpp.predicates` does not write.
pub(crate) fn read(json: &str) -> PyResult<v1::Predicate> {
    condition::from_json("filter", json).map_err(|error| raise(&error))
}
