//! A table and its snapshot, as `dpp.table` asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use dpp_proto::v1;
use dpp_table::{Description, KeyProvider, TableOptions};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use serde_json::json;

use crate::errors::raise;
use crate::keys::Keys;
use crate::{predicate, runtime};

/// An open table. What it offers is asked of storage once.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Table {
    source: v1::TableSource,
    keys: Option<Arc<dyn KeyProvider>>,
    table: dpp_table::Table,
    description: PyOnceLock<Arc<Description>>,
}

impl Table {
    /// Where the table is, for a job.
    pub(crate) fn source(&self) -> &v1::TableSource {
        &self.source
    }

    /// Who gives the keys of an encrypted table, to this process.
    pub(crate) fn keys(&self) -> Option<Arc<dyn KeyProvider>> {
        self.keys.clone()
    }

    /// Snapshot and schema.
    pub(crate) fn describe(&self, py: Python<'_>) -> PyResult<&Arc<Description>> {
        if let Some(description) = self.description.get(py) {
            return Ok(description);
        }
        let described =
            runtime::wait(py, || self.table.describe())?.map_err(|error| raise(&error))?;
        Ok(self.description.get_or_init(py, || Arc::new(described)))
    }
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (url, storage_options, filter, snapshot, feature_names, keys))]
    fn new(
        url: String,
        storage_options: BTreeMap<String, String>,
        filter: Option<&str>,
        snapshot: Option<String>,
        feature_names: BTreeMap<String, String>,
        keys: Option<&Bound<'_, Keys>>,
    ) -> PyResult<Table> {
        let names = feature_names.into_iter();
        let source = v1::TableSource {
            url,
            storage: storage(storage_options),
            filter: filter.map(predicate::read).transpose()?,
            snapshot: snapshot.unwrap_or_default(),
            feature_names: names
                .map(|(entry, name)| v1::FeatureName { entry, name })
                .collect(),
        };
        let keys = keys.map(|keys| keys.get().open()).transpose()?;
        let options = keys.clone().map(TableOptions::with_keys);
        let table = dpp_table::Table::open_with(&source, options.unwrap_or_default())
            .map_err(|error| raise(&error))?;
        Ok(Table {
            source,
            keys,
            table,
            description: PyOnceLock::new(),
        })
    }

    /// `{"features": [{"name", "kind", "width"}], "partition_columns": […]}`
    fn schema(&self, py: Python<'_>) -> PyResult<String> {
        let schema = &self.describe(py)?.schema;
        let features = schema.features.iter().map(describe_feature);
        let document = json!({
            "features": features.collect::<PyResult<Vec<_>>>()?,
            "partition_columns": schema.partition_columns,
        });
        Ok(document.to_string())
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        Ok(Snapshot(self.describe(py)?.snapshot.clone()))
    }
}

fn describe_feature(feature: &v1::Feature) -> PyResult<serde_json::Value> {
    let kind = dpp_ops::Kind::of(feature).map_err(|error| raise(&error))?;
    Ok(json!({
        "name": feature.name,
        "kind": kind.map_or("unknown", dpp_ops::Kind::name),
        "width": feature.width,
    }))
}

/// The exact files a run reads.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Snapshot(dpp_table::Snapshot);

#[pymethods]
impl Snapshot {
    #[getter]
    fn hash(&self) -> &str {
        self.0.hash()
    }

    #[getter]
    fn num_rows(&self) -> u64 {
        self.0.num_rows()
    }

    #[getter]
    fn num_files(&self) -> usize {
        self.0.files().len()
    }

    /// (path, bytes, rows of every row group, checksum of the footer) of every file.
    fn files(&self) -> Vec<(&str, u64, Vec<u64>, u64)> {
        let files = self.0.files().iter();
        files
            .map(|file| {
                let rows = file.row_group_rows.clone();
                (
                    file.path.as_str(),
                    file.size_bytes,
                    rows,
                    file.footer_checksum,
                )
            })
            .collect()
    }

    /// `hash@URL`
    fn save(
        &self,
        py: Python<'_>,
        url: String,
        storage_options: BTreeMap<String, String>,
    ) -> PyResult<String> {
        let storage = storage(storage_options);
        runtime::wait(py, || self.0.save(&url, &storage))?.map_err(|error| raise(&error))
    }

    #[staticmethod]
    fn load(
        py: Python<'_>,
        reference: String,
        storage_options: BTreeMap<String, String>,
    ) -> PyResult<Snapshot> {
        let storage = storage(storage_options);
        let loaded = runtime::wait(py, || dpp_table::Snapshot::load(&reference, &storage))?;
        loaded.map(Snapshot).map_err(|error| raise(&error))
    }
}

/// As a table's source has them.
pub(crate) fn storage(options: BTreeMap<String, String>) -> Vec<v1::StorageOption> {
    let options = options.into_iter();
    options
        .map(|(key, value)| v1::StorageOption { key, value })
        .collect()
}
