//! A plan on rows that the process already holds.

use std::sync::Arc;

use dpp_client::load_artefact;
use dpp_ops::{Registry, fit::references};
use pyo3::prelude::*;

use crate::batch::Batch;
use crate::errors::raise;
use crate::{plan, rows, runtime};

/// A plan ready for rows in memory.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Applier {
    applier: dpp_client::Applier,
    kinds: rows::Kinds,
}

#[pymethods]
impl Applier {
    #[new]
    fn new(py: Python<'_>, plan: &str) -> PyResult<Applier> {
        let plan = plan::read(plan)?;
        let kinds = rows::Kinds::of(&plan);
        let mut registry = Registry::standard();
        for reference in references(&plan) {
            let loaded = runtime::wait(py, || load_artefact(&reference, &[]))?;
            let loaded = loaded.map_err(|error| raise(&error))?;
            registry = registry.with_fitted(&reference.digest, Arc::new(loaded));
        }
        let applier = dpp_client::Applier::new(plan, registry);
        let applier = applier.map_err(|error| raise(&error))?;
        Ok(Applier { applier, kinds })
    }

    #[pyo3(signature = (rows, row_ids=None))]
    fn apply(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        row_ids: Option<Vec<i64>>,
    ) -> PyResult<Batch> {
        let rows = rows::read(rows, &self.kinds)?;
        let row_ids = row_ids.unwrap_or_else(|| (0..).take(rows.num_rows()).collect());
        let tensors = py.detach(|| self.applier.apply(&rows, &row_ids));
        Batch::of(tensors.map_err(|error| raise(&error))?)
    }
}
