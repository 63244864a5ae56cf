//! Keys of encrypted tables, as `dpp.keys` hands them in: a place to get them from, or the keys themselves.

use std::sync::Arc;

use dpp_table::{EncryptionSettings, KeyProvider, KeyRing, KeySource};
use pyo3::prelude::*;

use crate::errors::{invalid, raise};

/// Shows no key to Python.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Keys(Held);

enum Held {
    /// Read by whoever opens it: what a process has of a key service does not survive a fork.
    Elsewhere(KeySource),
    Here(Arc<KeyRing>),
}

impl Keys {
    pub(crate) fn open(&self) -> PyResult<Arc<dyn KeyProvider>> {
        match &self.0 {
            Held::Elsewhere(source) => source.open().map_err(|error| raise(&error)),
            Held::Here(ring) => Ok(Arc::clone(ring) as _),
        }
    }

    /// How files are encrypted, as the keys' own file says.
    pub(crate) fn encryption(&self) -> PyResult<EncryptionSettings> {
        match &self.0 {
            Held::Elsewhere(KeySource::File(path)) => {
                EncryptionSettings::from_key_file(path).map_err(|error| raise(&error))
            }
            _ => Err(invalid(
                "only a key file says itself which key is whose: give dpp.Encryption(keys, footer=…)",
            )),
        }
    }
}

#[pymethods]
impl Keys {
    /// A place as one line: `dpp_table::KeySource`.
    #[staticmethod]
    fn at(place: &str) -> PyResult<Keys> {
        let source = place.parse().map_err(|error| raise(&error))?;
        Ok(Keys(Held::Elsewhere(source)))
    }

    /// The line that `at` reads; `None` when the keys are here.
    fn place(&self) -> Option<String> {
        match &self.0 {
            Held::Elsewhere(source) => Some(source.to_string()),
            Held::Here(_) => None,
        }
    }

    /// The content of a key file.
    #[staticmethod]
    fn from_json(json: &str) -> PyResult<Keys> {
        let ring = KeyRing::from_json(json).map_err(|error| raise(&error))?;
        Ok(Keys(Held::Here(Arc::new(ring))))
    }
}
