//! Where CPU work runs: async code waits, this pool computes.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokio::sync::oneshot;

use crate::Error;

/// A pool of compute threads, one a core unless told otherwise.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: rayon::ThreadPool,
}

impl Pool {
    /// Starts `threads` threads; `None` starts one a core.
    pub(crate) fn start(threads: Option<usize>) -> Result<Pool, Error> {
        let count = threads.unwrap_or(0); // rayon's word for one a core
        rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("dpp-compute-{index}"))
            .build()
            .map(|threads| Pool { threads })
            .map_err(|source| Error::Threads {
                threads: count,
                source,
            })
    }

    /// Number of threads.
    pub(crate) fn size(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `work` on the pool. Work whose caller has gone before it starts is not run.
    ///
    /// # Errors
    /// [`Error::Panicked`] when `work` does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.threads.spawn(move || {
            if !reply.is_closed() {
                // A caller that has gone meanwhile needs no answer.
                let _ = reply.send(catch_unwind(AssertUnwindSafe(work)));
            }
        });
        match answer.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(Error::Panicked {
                message: panic_message(&*panic),
            }),
            Err(_) => unreachable!("the reply is sent unless this future is gone"),
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_lives_on() {
        let pool = Pool::start(Some(1)).unwrap();
        let error = pool.run(|| panic!("split {}", 7)).await.unwrap_err();
        assert_eq!(error.to_string(), "a worker thread panicked: split 7");
        assert_eq!(pool.run(|| 2 + 2).await.unwrap(), 4);
    }
}
