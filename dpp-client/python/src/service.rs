//! A service, and what this process shows it: `dpp.Service`.

use std::path::PathBuf;

use dpp_client::Place;
use dpp_proto::access::{Bearer, Files};
use pyo3::prelude::*;

use crate::errors::raise;

/// Shows no token to Python.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Service {
    url: String,
    files: Files,
    bearer: Option<Bearer>,
}

#[pymethods]
impl Service {
    /// Files that are not given are the environment's (`DPP_TLS_…`, `DPP_TOKEN_FILE`), read when a loader opens.
    #[new]
    #[pyo3(signature = (url, token, token_file, tls_ca, tls_cert, tls_key, tls_name))]
    fn new(
        url: String,
        token: Option<&str>,
        token_file: Option<PathBuf>,
        tls_ca: Option<PathBuf>,
        tls_cert: Option<PathBuf>,
        tls_key: Option<PathBuf>,
        tls_name: Option<String>,
    ) -> PyResult<Service> {
        let bearer = token.map(Bearer::of_text).transpose();
        let bearer = bearer.map_err(|error| raise(&error))?;
        let mut files = Files::from_environment();
        files.token_file = match &bearer {
            Some(_) => None,
            None => token_file.or(files.token_file),
        };
        files.tls.tls_ca = tls_ca.or(files.tls.tls_ca);
        files.tls.tls_name = tls_name.or(files.tls.tls_name);
        if tls_cert.is_some() || tls_key.is_some() {
            (files.tls.tls_cert, files.tls.tls_key) = (tls_cert, tls_key);
        }
        Ok(Service { url, files, bearer })
    }
}

impl Service {
    pub(crate) fn place(&self) -> PyResult<Place> {
        let caller = self.files.caller().map_err(|error| raise(&error))?;
        let caller = match &self.bearer {
            Some(bearer) => caller.showing(bearer.clone()),
            None => caller,
        };
        Ok(Place::ServiceAs(self.url.clone(), caller))
    }
}
