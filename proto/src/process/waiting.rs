//! Threads that wait.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Where a process waits for storage, services and trainers.
///
/// One thread to four cores: such threads wait and copy bytes, which one does by the gigabyte a second, and each more is one more to
/// wake, which costs more than the work that woke it. Whatever computes has threads of its own.
///
/// # Errors
/// The system gives no thread.
pub fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(CORES_TO_A_THREAD))
        .thread_name("dpp-wait")
        .enable_all()
        .build()
}

const CORES_TO_A_THREAD: usize = 4;
