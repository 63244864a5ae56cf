//! Fitting: parts that a loader brings added up, and what was found, as `dpp.fitting` asks for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use dpp_client::load_artefact;
use dpp_ops::fit::{self, FitSettings, Origin, Reference};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

use crate::batch::Batch;
use crate::errors::{invalid, raise};
use crate::runtime;
use crate::table::storage;

/// A pass under way.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Fit {
    origin: Origin,
    fit: Mutex<Option<fit::Fit>>,
}

#[pymethods]
impl Fit {
    #[new]
    fn new(
        snapshot: String,
        plan: String,
        parts: u32,
        min_count: u64,
        most_ids: Option<usize>,
        most_counted: usize,
    ) -> PyResult<Fit> {
        let settings = FitSettings {
            parts,
            min_count,
            most_ids,
            most_counted,
        };
        let fit = fit::Fit::start(settings).map_err(|error| raise(&error))?;
        Ok(Fit {
            origin: Origin { snapshot, plan },
            fit: Mutex::new(Some(fit)),
        })
    }

    fn add(&self, py: Python<'_>, batch: &Bound<'_, Batch>) -> PyResult<()> {
        let tensors = batch.get().tensors();
        py.detach(|| match self.lock().as_mut() {
            Some(fit) => fit.add(tensors).map(drop).map_err(|error| raise(&error)),
            None => Err(invalid("this pass is over")),
        })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<Fitted> {
        let fit = self.lock().take();
        let fit = fit.ok_or_else(|| invalid("this pass is over"))?;
        Ok(py.detach(|| Fitted::of(fit.finish(self.origin.clone()))))
    }
}

impl Fit {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<fit::Fit>> {
        self.fit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pass found.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Fitted {
    fitted: fit::Fitted,
    bytes: Vec<u8>,
    #[pyo3(get)]
    digest: String,
}

impl Fitted {
    fn of(fitted: fit::Fitted) -> Fitted {
        let bytes = fitted.to_bytes();
        Fitted {
            digest: fit::digest(&bytes),
            bytes,
            fitted,
        }
    }

    fn vocabulary(&self, name: &str) -> PyResult<&fit::Vocabulary> {
        let found = self.fitted.vocabulary(name);
        found.ok_or_else(|| invalid(format!("no vocabulary was fitted for {name:?}")))
    }
}

#[pymethods]
impl Fitted {
    /// Reads an artefact, of that digest if one is given.
    #[staticmethod]
    fn load(
        py: Python<'_>,
        url: String,
        digest: Option<String>,
        storage_options: BTreeMap<String, String>,
    ) -> PyResult<Fitted> {
        let storage = storage(storage_options);
        let fitted = match digest {
            Some(digest) => {
                let reference = Reference { url, digest };
                let loaded = runtime::wait(py, || load_artefact(&reference, &storage))?;
                loaded.map_err(|error| raise(&error))?
            }
            None => {
                let read = || dpp_table::read_object(&url, &storage, u64::MAX);
                let bytes = runtime::wait(py, read)?.map_err(|error| raise(&error))?;
                fit::Fitted::from_bytes(&bytes).map_err(|error| raise(&error))?
            }
        };
        Ok(py.detach(|| Fitted::of(fitted)))
    }

    fn save(
        &self,
        py: Python<'_>,
        url: String,
        storage_options: BTreeMap<String, String>,
    ) -> PyResult<()> {
        let (storage, content) = (storage(storage_options), self.bytes.clone().into());
        let written = runtime::wait(py, || dpp_table::write_object(&url, &storage, content))?;
        written.map_err(|error| raise(&error))
    }

    /// Everything but the ids.
    fn summary(&self) -> String {
        let fit::Fitted {
            origin,
            rows,
            columns,
            vocabularies,
        } = &self.fitted;
        let names: Vec<&str> = vocabularies.iter().map(fit::Vocabulary::name).collect();
        json!({"origin": origin, "rows": rows, "columns": columns, "vocabularies": names})
            .to_string()
    }

    /// i64, little-endian.
    fn ids<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        let ids = self.vocabulary(name)?.ids();
        Ok(little_endian(py, ids.iter().map(|id| id.to_le_bytes())))
    }

    /// u64, little-endian.
    fn counts<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        let counts = self.vocabulary(name)?.counts();
        Ok(little_endian(
            py,
            counts.iter().map(|count| count.to_le_bytes()),
        ))
    }
}

fn little_endian(py: Python<'_>, numbers: impl Iterator<Item = [u8; 8]>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &numbers.flatten().collect::<Vec<u8>>())
}
