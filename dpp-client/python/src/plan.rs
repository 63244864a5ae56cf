//! Plans as JSON text: read, named, and held against a table.

use std::collections::BTreeMap;

use dpp_ops::{Plan, Registry};
use pyo3::prelude::*;

use crate::errors::raise;
use crate::table::Table;

/// The ops that plans may name, each with the parameters it knows.
#[pyfunction]
pub(crate) fn known_ops() -> BTreeMap<&'static str, Vec<&'static str>> {
    let registry = Registry::standard();
    let entries = registry.entries();
    entries
        .map(|entry| (entry.name, entry.parameters.to_vec()))
        .collect()
}

/// The plan's JSON as dpp writes it.
#[pyfunction]
pub(crate) fn plan_to_json(text: &str) -> PyResult<String> {
    Ok(read(text)?.to_json())
}

/// The plan as it is fitted, as JSON.
#[pyfunction]
pub(crate) fn plan_for_fitting(text: &str) -> PyResult<String> {
    let plan = read(text)?.for_fitting().map_err(|error| raise(&error))?;
    Ok(plan.to_json())
}

/// 64 hexadecimal digits that name the plan's content.
#[pyfunction]
pub(crate) fn plan_hash(text: &str) -> PyResult<String> {
    Ok(read(text)?.hash())
}

/// The plan with patterns expanded and kinds resolved, as JSON.
#[pyfunction]
pub(crate) fn bind_plan(py: Python<'_>, text: &str, table: &Bound<'_, Table>) -> PyResult<String> {
    let plan = read(text)?;
    let schema = &table.get().describe(py)?.schema;
    let bound = plan.bind(schema).map_err(|error| raise(&error))?;
    Ok(bound.to_json())
}

/// The plan as a tree for people.
#[pyfunction]
pub(crate) fn explain_plan(text: &str) -> PyResult<String> {
    Ok(read(text)?.explain())
}

pub(crate) fn read(text: &str) -> PyResult<Plan> {
    Plan::from_json(text).map_err(|error| raise(&error))
}
