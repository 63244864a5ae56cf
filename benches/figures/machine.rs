//! What a figure was measured on, and with how much CPU.

use std::{fs, io, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// The machine a figure belongs to.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
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

/// CPU seconds that another process has used so far, over all its threads.
pub(crate) fn cpu_seconds_of(process: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(USER_TIME)
        .take(2) // in user mode and in the kernel's
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Most memory that a process had so far.
pub(crate) fn peak_bytes(process: u32) -> io::Result<u64> {
    status_bytes(process, "VmHWM:")
}

/// Most memory that a process had so far, less what files back now. Code that was first touched after the peak makes it too
/// little by its size.
pub(crate) fn peak_anonymous_bytes(process: u32) -> io::Result<u64> {
    Ok(peak_bytes(process)?.saturating_sub(status_bytes(process, "RssFile:")?))
}

/// The first of the cores that this process may use.
pub(crate) fn first_core() -> io::Result<usize> {
    status(std::process::id(), "Cpus_allowed_list:", |list| {
        list.split(['-', ',']).next()?.parse().ok()
    })
}

fn status_bytes(process: u32, name: &str) -> io::Result<u64> {
    let kibibytes: u64 = status(process, name, |size| size.split(' ').next()?.parse().ok())?;
    Ok(kibibytes << 10)
}

/// What /proc/PID/status says after `name`.
fn status<T>(process: u32, name: &str, read: impl Fn(&str) -> Option<T>) -> io::Result<T> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let mut lines = status.lines();
    let value = lines.find_map(|line| read(line.strip_prefix(name)?.trim()));
    value.ok_or_else(|| io::Error::other(format!("no {name} of process {process}")))
}

/// Place of `utime` among the fields of /proc/PID/stat that follow the name.
const USER_TIME: usize = 11;
/// In which Linux counts the times of processes for whoever asks.
const TICKS_PER_SECOND: f64 = 100.0;
