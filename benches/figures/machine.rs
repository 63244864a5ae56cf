//! What a figure was measured on, and with how much CPU.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// The machine a figure belongs to.
#[derive(Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
}

impl Machine {
    pub(crate) fn here() -> Machine {
        let description = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = description
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: named
                .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']))
                .to_owned(),
        }
    }
}

/// CPU time of this process so far, over all threads.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}
