//! What belongs to the process that made it: threads and connections do not survive a fork.

use std::process;

use pyo3::prelude::*;

use crate::errors::invalid;

/// A value that is only used, and only dropped, in the process that made it.
pub(crate) struct Home<T> {
    pid: u32,
    value: Option<T>,
}

impl<T> Home<T> {
    pub(crate) fn new(value: T) -> Home<T> {
        Home {
            pid: process::id(),
            value: Some(value),
        }
    }

    /// The value. In another process this is an `InvalidRequest` that says what to do; `what` names the value.
    pub(crate) fn get(&self, what: &str) -> PyResult<&T> {
        if self.pid != process::id() {
            return Err(invalid(format!(
                "this {what} belongs to process {} and can't go on after a fork, in process {}: make the DataLoader in \
                 the process that iterates it",
                self.pid,
                process::id()
            )));
        }
        Ok(self.look())
    }

    /// The value, where looking at it needs no thread: a saved state does not.
    pub(crate) fn look(&self) -> &T {
        self.value.as_ref().expect("only drop takes it")
    }
}

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if self.pid != process::id() {
            // Its threads exist in the parent only; joining them would wait for ever.
            std::mem::forget(value);
        }
    }
}
