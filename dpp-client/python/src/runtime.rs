//! Waiting from Python: one async runtime for the process, the GIL released, Ctrl-C heard.
//!
//! A forked child has none of its parent's threads, so it gets a runtime of its own.

use std::pin::pin;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dpp_proto::process::{LogFormat, start_log};
use pyo3::prelude::*;
use tokio::runtime::{EnterGuard, Runtime};

use crate::errors::{internal, raise};

/// Waits for what `start` begins, with the GIL released. A signal whose handler raises, as Ctrl-C's does, ends the wait
/// and drops the future.
pub(crate) fn wait<F>(py: Python<'_>, start: impl FnOnce() -> F + Send) -> PyResult<F::Output>
where
    F: Future<Output: Send>,
{
    let runtime = runtime()?;
    py.detach(move || {
        let mut future = pin!(start());
        loop {
            let slice = async { tokio::time::timeout(SLICE, &mut future).await };
            match runtime.block_on(slice) {
                Ok(output) => return Ok(output),
                Err(_still_waiting) => Python::attach(|py| py.check_signals())?,
            }
        }
    })
}

/// Calls `function` where it may spawn tasks.
pub(crate) fn within<T>(function: impl FnOnce() -> T) -> PyResult<T> {
    let runtime = runtime()?;
    let _entered: EnterGuard<'_> = runtime.enter();
    Ok(function())
}

fn runtime() -> PyResult<Arc<Runtime>> {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*current {
        Some((pid, runtime)) if *pid == process::id() => return Ok(runtime.clone()),
        // Dropping it would join threads that exist in the parent only.
        Some(_) => std::mem::forget(current.take()),
        None => {}
    }
    // Waiting for a worker, say, is a warning that somebody should see.
    start_log(LogFormat::Human, "warn").map_err(|error| raise(&error))?;
    let runtime = Arc::new(
        dpp_proto::process::runtime()
            .map_err(|error| internal(format!("can't start threads: {error}")))?,
    );
    *current = Some((process::id(), runtime.clone()));
    Ok(runtime)
}

static CURRENT: Mutex<Option<(u32, Arc<Runtime>)>> = Mutex::new(None);

/// How late Ctrl-C may be heard.
const SLICE: Duration = Duration::from_millis(100);
