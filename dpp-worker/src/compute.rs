//! Where CPU work runs: async code waits, this pool computes, for all runs by turns.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    Error,
    shares::{Asker, Shares},
};

/// A pool of compute threads, one a core unless told otherwise.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: rayon::ThreadPool,
    waiting: Arc<Mutex<Shares<Work>>>,
}

/// What waits for a thread.
struct Work(Box<dyn FnOnce() + Send>);

impl Pool {
    /// Starts `threads` threads; `None` starts one a core.
    pub(crate) fn start(threads: Option<usize>) -> Result<Pool, Error> {
        let count = threads.unwrap_or(0); // rayon's word for one a core
        rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("dpp-compute-{index}"))
            .build()
            .map(|threads| Pool {
                threads,
                waiting: Arc::default(),
            })
            .map_err(|source| Error::Threads {
                threads: count,
                source,
            })
    }

    /// Number of threads.
    pub(crate) fn size(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `work` on the pool when it is the asker's turn. Work whose caller has gone before it starts is not run.
    ///
    /// # Errors
    /// [`Error::Panicked`] when `work` does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        asker: &Asker,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let span = Span::current(); // what is traced there belongs to what is traced here
        let work = Work(Box::new(move || {
            if !reply.is_closed() {
                let done = span.in_scope(|| catch_unwind(AssertUnwindSafe(work)));
                drop(span); // before whoever hears of it ends it, or it would end later, perhaps after the process
                // A caller that has gone meanwhile needs no answer.
                let _ = reply.send(done);
            }
        }));
        lock(&self.waiting).push(asker, work);
        let waiting = self.waiting.clone();
        self.threads.spawn(move || take_one(&waiting));
        match answer.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(Error::Panicked {
                message: panic_message(&*panic),
            }),
            Err(_) => unreachable!("the reply is sent unless this future is gone"),
        }
    }
}

/// Does the work whose turn it is. Called once for all that is pushed, so there is some.
fn take_one(waiting: &Mutex<Shares<Work>>) {
    let Some(handed) = lock(waiting).pop() else {
        return;
    };
    let (began, charged) = (Instant::now(), handed.charged());
    (handed.work.0)();
    lock(waiting).done(&handed.run, charged, began.elapsed().as_secs_f64());
}

/// Queues stay consistent between calls, so a panic elsewhere does not spoil them.
fn lock(waiting: &Mutex<Shares<Work>>) -> MutexGuard<'_, Shares<Work>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Work")
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
        let asker = Asker {
            run: "a".to_owned(),
            priority: 0,
        };
        let failing = pool.run(&asker, || panic!("split {}", 7));
        let error = failing.await.unwrap_err();
        assert_eq!(error.to_string(), "a worker thread panicked: split 7");
        assert_eq!(pool.run(&asker, || 2 + 2).await.unwrap(), 4);
    }
}
