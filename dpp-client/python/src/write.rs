//! Rows from Python as a new table: taken from Arrow's C stream as they come, encoded and written elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use dpp_proto::v1;
use dpp_table::{EncryptionPlan, EncryptionSettings, TableSettings, WriteSettings, write_table};
use futures::stream;
use pyo3::prelude::*;
use serde::Deserialize;

use crate::errors::{invalid, raise};
use crate::keys::Keys;
use crate::table::storage;
use crate::{rows, runtime};

/// `dpp_table::TableSettings` without what is no plain data.
#[derive(Deserialize)]
struct Settings {
    #[serde(flatten)]
    write: WriteSettings,
    file_bytes: u64,
    partition_by: Vec<String>,
    measure: bool,
}

/// Writes rows (Arrow data) to an empty place, as the JSON `settings` say; returns rows and files written. `encryption` is
/// who wraps the keys, and what a key file says about writing, unless the keys' own file says it.
#[pyfunction]
#[pyo3(name = "write_table")]
pub(crate) fn write(
    py: Python<'_>,
    rows: &Bound<'_, PyAny>,
    url: String,
    storage_options: BTreeMap<String, String>,
    settings: &str,
    encryption: Option<(Bound<'_, Keys>, Option<String>)>,
) -> PyResult<(u64, u64)> {
    let reader = rows::stream(rows)?;
    let settings: Settings =
        serde_json::from_str(settings).map_err(|error| invalid(format!("settings: {error}")))?;
    let encryption = encryption.map(|(keys, says)| plan(keys.get(), says.as_deref()));
    let settings = TableSettings {
        write: settings.write,
        file_bytes: settings.file_bytes,
        partition_by: settings.partition_by,
        encryption: encryption.transpose()?,
        measure: settings.measure,
    };
    let destination = v1::TableSource {
        url,
        storage: storage(storage_options),
        ..v1::TableSource::default()
    };
    let schema = reader.schema();
    let written = runtime::wait(py, || async {
        let rows = stream::iter(reader);
        write_table(rows, schema, &destination, &settings, Arc::new(|_| ())).await
    })?;
    let written = written.map_err(|error| raise(&error))?;
    Ok((written.rows, written.files))
}

fn plan(keys: &Keys, says: Option<&str>) -> PyResult<Arc<EncryptionPlan>> {
    let settings = match says {
        Some(says) => EncryptionSettings::from_json(says).map_err(|error| raise(&error))?,
        None => keys.encryption()?,
    };
    Ok(Arc::new(EncryptionPlan::new(settings, keys.open()?)))
}
