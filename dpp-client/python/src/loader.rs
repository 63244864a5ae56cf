//! A loader and the batches of a pass: waiting happens here, with the GIL released.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use dpp_client::{Agreement, Place, Settings, State, source::Description};
use dpp_proto::Fault;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::sync::Mutex as AsyncMutex;

use crate::batch::Batch;
use crate::errors::{internal, invalid, raise};
use crate::home::Home;
use crate::service::Service;
use crate::table::Table;
use crate::{plan, runtime, usage};

/// A job and where the trainer stands in it.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Loader(Home<Mutex<dpp_client::Loader>>);

#[pymethods]
impl Loader {
    /// Describes the table, unless another loader's description is given, and opens the job; reads no rows. Settings are
    /// `dpp_client::Settings` as JSON. `agree` gives the greatest of all ranks' numbers at each place.
    #[new]
    #[pyo3(signature = (table, plan, settings, service, threads, described=None, agree=None))]
    #[expect(clippy::too_many_arguments, reason = "Python's, which names them")]
    fn new(
        py: Python<'_>,
        table: &Bound<'_, Table>,
        plan: &str,
        settings: &str,
        service: Option<&Bound<'_, Service>>,
        threads: Option<usize>,
        described: Option<&[u8]>,
        agree: Option<Py<PyAny>>,
    ) -> PyResult<Loader> {
        let settings: Settings = serde_json::from_str(settings)
            .map_err(|error| invalid(format!("settings: {error}")))?;
        let plan = plan::read(plan)?.to_proto();
        let (table, keys) = (table.get().source().clone(), table.get().keys());
        let place = match service {
            Some(service) => service.get().place()?,
            None => Place::OnBox { threads, keys },
        };
        let described = described.map(Description::decode).transpose();
        let described = described.map_err(|error| raise(&error))?;
        let opened = runtime::wait(py, || async {
            match described {
                Some(known) => {
                    dpp_client::Loader::open_described(place, table, known, settings).await
                }
                None => dpp_client::Loader::open(place, table, plan, settings).await,
            }
        })?;
        let mut loader = opened.map_err(|error| raise(&error))?;
        if let Some(agree) = agree {
            loader = loader.with_agreement(Arc::new(Ranks(agree)));
        }
        Ok(Loader(Home::new(Mutex::new(loader))))
    }

    /// Begins a pass: the rest of the loaded epoch, or the next one.
    fn start_epoch(&self) -> PyResult<Batches> {
        let mut loader = lock(self.0.get("loader")?);
        let batches = runtime::within(|| loader.start_epoch())?;
        Ok(Batches(Home::new(AsyncMutex::new(batches))))
    }

    /// `dpp_batch::Layout` as JSON.
    fn layout(&self) -> PyResult<String> {
        to_json(lock(self.0.look()).layout().as_ref())
    }

    /// What another process needs to open the same job.
    fn described<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &lock(self.0.look()).description().encode())
    }

    #[getter]
    fn num_rows(&self) -> u64 {
        lock(self.0.look()).num_rows()
    }

    #[getter]
    fn num_steps(&self) -> Option<u64> {
        lock(self.0.look()).num_steps()
    }

    #[getter]
    fn snapshot_hash(&self) -> String {
        lock(self.0.look()).snapshot_hash().to_owned()
    }

    /// `dpp_client::State` as JSON: what was consumed.
    fn state(&self) -> PyResult<String> {
        to_json(&lock(self.0.look()).state())
    }

    fn load_state(&self, state: &str) -> PyResult<()> {
        let state: State = serde_json::from_str(state)
            .map_err(|error| invalid(format!("this is no state of a loader: {error}")))?;
        let mut loader = lock(self.0.get("loader")?);
        loader.load_state(&state).map_err(|error| raise(&error))
    }

    fn set_epoch(&self, epoch: u64) {
        lock(self.0.look()).set_epoch(epoch);
    }

    /// Writes what the run reads below `folder`, in place of what it wrote there before.
    fn log_usage(
        &self,
        py: Python<'_>,
        table: &Bound<'_, Table>,
        run: String,
        folder: String,
    ) -> PyResult<()> {
        let (described, read_bytes) = {
            let loader = lock(self.0.get("loader")?);
            (loader.description().clone(), loader.stats().read_bytes)
        };
        let table = table.get().source();
        usage::log(py, run, table, &described, read_bytes, folder)
    }

    /// `dpp_client::Stats` as JSON.
    fn stats(&self) -> PyResult<String> {
        to_json(&lock(self.0.look()).stats())
    }
}

/// A function of Python's that gives the greatest of all ranks' numbers. Called by the thread that waits for a batch.
#[derive(Debug)]
struct Ranks(Py<PyAny>);

impl Agreement for Ranks {
    fn greatest(&self, numbers: Vec<i64>) -> Result<Vec<i64>, dpp_client::Error> {
        let called = Python::attach(|py| self.0.call1(py, (numbers,))?.extract(py));
        called.map_err(|error| dpp_client::Error::Source {
            fault: Fault::Unavailable,
            message: format!("ranks could not agree on the next step: {error}"),
        })
    }
}

/// The batches of one pass. Dropping it stops reading.
#[pyclass(frozen, module = "dpp._dpp")]
pub(crate) struct Batches(Home<AsyncMutex<dpp_client::Batches>>);

#[pymethods]
impl Batches {
    /// The next batch, or `None` after the last. Interrupted by a signal, it loses none.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let batches = self.0.get("pass of a loader")?;
        let next = runtime::wait(py, || async {
            let next = batches.lock().await.next().await;
            next.map(|batch| batch.map(Batch::new))
        })?;
        match next {
            Some(Ok(batch)) => batch.map(Some),
            Some(Err(error)) => Err(raise(&error)),
            None => Ok(None),
        }
    }

    /// Whether the next batch, or the end, is ready; and the batch. Never waits.
    fn try_next(&self) -> PyResult<(bool, Option<Batch>)> {
        let batches = self.0.get("pass of a loader")?;
        let Ok(mut batches) = batches.try_lock() else {
            return Ok((false, None));
        };
        match batches.try_next() {
            Poll::Pending => Ok((false, None)),
            Poll::Ready(None) => Ok((true, None)),
            Poll::Ready(Some(Ok(batch))) => Batch::new(batch).map(|batch| (true, Some(batch))),
            Poll::Ready(Some(Err(error))) => Err(raise(&error)),
        }
    }
}

/// A loader stays consistent between calls, so a panic elsewhere does not spoil it.
fn lock(loader: &Mutex<dpp_client::Loader>) -> MutexGuard<'_, dpp_client::Loader> {
    loader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one state of ranks that were saved together, all as JSON.
#[pyfunction]
pub(crate) fn merge_states(states: Vec<String>) -> PyResult<String> {
    let states = states.iter().map(|state| State::from_json(state));
    let states = states.collect::<Result<Vec<_>, _>>();
    let merged = states.and_then(|states| State::merge(&states));
    to_json(&merged.map_err(|error| raise(&error))?)
}

fn to_json(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| internal(error.to_string()))
}
