//! What `dpp bench` prints: where CPU time goes, what bounds the job, what a fleet for it costs.

use std::fmt;

use dpp_client::Stats;
use serde::Serialize;

use super::{FleetArguments, cores};
use crate::output;

/// Above this share of its threads' time a job is bound by the processor.
const BUSY: f64 = 0.8;

const BILLION: f64 = 1e9;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// What was measured.
#[derive(Debug)]
pub(super) struct Cost {
    /// Of the whole process.
    pub(super) cpu_seconds: f64,
    pub(super) wall_seconds: f64,
    /// Compute threads.
    pub(super) threads: u64,
    pub(super) stats: Stats,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    rows: u64,
    wall_seconds: f64,
    rows_per_second: f64,
    cpu_seconds: f64,
    rows_per_cpu_second: f64,
    first_batch_seconds: Option<f64>,
    /// Seconds of compute threads: decrypting, unpacking, decoding.
    decode_seconds: f64,
    /// Seconds of compute threads: transforming, packing.
    transform_seconds: f64,
    /// CPU seconds of everything else: fetching, ordering, handing over.
    rest_seconds: f64,
    /// Seconds that reads waited for storage, over all reads.
    storage_seconds: f64,
    bytes_read_per_row: f64,
    tensor_bytes_per_row: f64,
    bound_by: Bound,
    /// Seconds that a core is taken by a row: computing, and where storage bounds the job, waiting for it too.
    core_seconds_per_row: f64,
    fleet: Fleet,
}

/// What keeps rows from coming faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    Decode,
    Transform,
    Rest,
    Storage,
    Nothing,
}

/// What the workers cost: `rows/s × core-seconds a row ÷ (cores × target utilisation)`, from what was measured here.
#[derive(Debug, Serialize)]
struct Fleet {
    /// Of one worker.
    worker_cores: u64,
    rows_per_second_per_worker: f64,
    wanted_rows_per_second: Option<f64>,
    workers: Option<u64>,
    price_per_billion_rows: Option<f64>,
}

impl Cost {
    /// Of all threads, busy or not.
    fn core_seconds(&self) -> f64 {
        self.wall_seconds * self.threads as f64
    }
}

impl Report {
    pub(super) fn new(cost: Cost, fleet: &FleetArguments) -> Report {
        let stats = &cost.stats;
        let per_row = |amount: f64| ratio(amount, stats.rows as f64);
        let bound_by = Bound::of(&cost);
        let core_seconds = match bound_by {
            Bound::Storage => cost.core_seconds(),
            _ => cost.cpu_seconds,
        };
        let rest = cost.cpu_seconds - stats.decode_seconds - stats.transform_seconds;
        Report {
            rows: stats.rows,
            wall_seconds: cost.wall_seconds,
            rows_per_second: ratio(stats.rows as f64, cost.wall_seconds),
            cpu_seconds: cost.cpu_seconds,
            rows_per_cpu_second: ratio(stats.rows as f64, cost.cpu_seconds),
            first_batch_seconds: stats.first_batch_seconds,
            decode_seconds: stats.decode_seconds,
            transform_seconds: stats.transform_seconds,
            rest_seconds: rest.max(0.0),
            storage_seconds: stats.storage_seconds,
            bytes_read_per_row: per_row(stats.read_bytes as f64),
            tensor_bytes_per_row: per_row(stats.tensor_bytes as f64),
            bound_by,
            core_seconds_per_row: per_row(core_seconds),
            fleet: Fleet::new(per_row(core_seconds), fleet),
        }
    }

    fn stage(&self, f: &mut fmt::Formatter<'_>, name: &str, seconds: f64) -> fmt::Result {
        let all = self.decode_seconds + self.transform_seconds + self.rest_seconds;
        let share = 100.0 * ratio(seconds, all);
        let rate = output::count(ratio(self.rows as f64, seconds) as u64);
        writeln!(
            f,
            "  {name:<11}{share:5.1} %  {rate} rows per second of a thread"
        )
    }
}

impl Bound {
    fn of(cost: &Cost) -> Bound {
        let stats = &cost.stats;
        let busy = ratio(cost.cpu_seconds, cost.core_seconds());
        let computed = stats.decode_seconds + stats.transform_seconds;
        let rest = cost.cpu_seconds - computed;
        if busy < BUSY {
            return match stats.storage_seconds > computed {
                true => Bound::Storage,
                false => Bound::Nothing,
            };
        }
        if rest > stats.decode_seconds.max(stats.transform_seconds) {
            Bound::Rest
        } else if stats.decode_seconds >= stats.transform_seconds {
            Bound::Decode
        } else {
            Bound::Transform
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Bound::Decode => "the processor: most of it decrypts, unpacks and decodes",
            Bound::Transform => "the processor: most of it transforms and packs",
            Bound::Rest => "the processor: most of it fetches, orders and hands over",
            Bound::Storage => {
                "storage: reads wait for it longer than they compute; more workers or slots wait at the same time"
            }
            Bound::Nothing => {
                "neither processor nor storage: too few pieces are read at a time; larger tables, or more lanes"
            }
        }
    }
}

impl Fleet {
    fn new(core_seconds_per_row: f64, asked: &FleetArguments) -> Fleet {
        let worker_cores = asked.worker_cores.unwrap_or_else(cores);
        let busy_cores = worker_cores as f64 * asked.target_utilisation;
        let paid_seconds_per_row = core_seconds_per_row / asked.target_utilisation;
        let workers = |rate: f64| (rate * core_seconds_per_row / busy_cores).ceil().max(1.0) as u64;
        let price = |hour: f64| hour * BILLION * paid_seconds_per_row / SECONDS_PER_HOUR;
        Fleet {
            worker_cores,
            rows_per_second_per_worker: ratio(busy_cores, core_seconds_per_row),
            wanted_rows_per_second: asked.rows_per_second,
            workers: asked.rows_per_second.map(workers),
            price_per_billion_rows: asked.price_per_core_hour.map(price),
        }
    }
}

/// 0 where there is nothing to divide by.
fn ratio(of: f64, by: f64) -> f64 {
    if by > 0.0 { of / by } else { 0.0 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = output::count(self.rows_per_second as u64);
        let per_cpu = output::count(self.rows_per_cpu_second as u64);
        let (rows, wall) = (output::count(self.rows), self.wall_seconds);
        writeln!(f, "rows         {rows} in {wall:.2} s, {rate} rows/s")?;
        writeln!(
            f,
            "CPU          {:.2} s, {per_cpu} rows per CPU-second",
            self.cpu_seconds
        )?;
        self.stage(f, "decode", self.decode_seconds)?;
        self.stage(f, "transform", self.transform_seconds)?;
        self.stage(f, "rest", self.rest_seconds)?;
        writeln!(
            f,
            "storage      {:.2} s waited over all reads",
            self.storage_seconds
        )?;
        writeln!(
            f,
            "bytes        {:.0} read and {:.0} of tensors a row",
            self.bytes_read_per_row, self.tensor_bytes_per_row
        )?;
        if let Some(seconds) = self.first_batch_seconds {
            writeln!(f, "first batch  after {seconds:.3} s")?;
        }
        writeln!(f, "bound by     {}", self.bound_by.meaning())?;
        write!(f, "{}", self.fleet)
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = output::count(self.rows_per_second_per_worker as u64);
        write!(
            f,
            "a worker     of {} cores gives {rate} rows/s",
            self.worker_cores
        )?;
        if let (Some(workers), Some(wanted)) = (self.workers, self.wanted_rows_per_second) {
            let wanted = output::count(wanted as u64);
            write!(
                f,
                "\nworkers      {} for {wanted} rows/s",
                output::count(workers)
            )?;
        }
        if let Some(price) = self.price_per_billion_rows {
            write!(f, "\nprice        {price:.2} for a billion rows")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10,000 rows in 1 s of 2 threads: 0.9 s decode, 0.6 s transform, 0.3 s beside.
    fn cost() -> Cost {
        Cost {
            cpu_seconds: 1.8,
            wall_seconds: 1.0,
            threads: 2,
            stats: Stats {
                rows: 10_000,
                decode_seconds: 0.9,
                transform_seconds: 0.6,
                storage_seconds: 0.5,
                ..Stats::default()
            },
        }
    }

    fn asked() -> FleetArguments {
        FleetArguments {
            rows_per_second: Some(1_000_000.0),
            worker_cores: Some(10),
            target_utilisation: 0.8,
            price_per_core_hour: Some(0.072),
        }
    }

    #[test]
    fn workers_and_price_follow_what_a_row_takes_of_a_core() {
        let fleet = Report::new(cost(), &asked()).fleet;
        // 1.8 s for 10,000 rows: 180 cores for a million rows/s, 8 busy ones a worker.
        assert_eq!(fleet.workers, Some(23));
        assert_eq!(fleet.rows_per_second_per_worker.round(), 44_444.0);
        // 10⁹ rows take 225,000 core-seconds, 62.5 hours.
        let price = fleet.price_per_billion_rows.unwrap();
        assert!((price - 4.5).abs() < 1e-9, "{price}");
    }

    #[test]
    fn a_core_that_waits_for_storage_is_taken_too() {
        let mut waits = cost();
        (waits.wall_seconds, waits.stats.storage_seconds) = (4.0, 7.0);
        // 2 cores for 4 s, however many reads waited at a time: 800 cores for a million rows/s.
        assert_eq!(Report::new(waits, &asked()).fleet.workers, Some(100));
    }

    #[test]
    fn what_bounds_is_named() {
        assert_eq!(Bound::of(&cost()), Bound::Decode);
        let mut waits = cost();
        (waits.wall_seconds, waits.stats.storage_seconds) = (4.0, 7.0);
        assert_eq!(Bound::of(&waits), Bound::Storage);
        waits.stats.storage_seconds = 0.1;
        assert_eq!(Bound::of(&waits), Bound::Nothing);
        let mut packs = cost();
        packs.stats.transform_seconds = 1.0;
        assert_eq!(Bound::of(&packs), Bound::Transform);
    }

    #[test]
    fn no_rows_divide_nothing() {
        let nothing = Cost {
            stats: Stats::default(),
            ..cost()
        };
        let text = Report::new(nothing, &asked()).to_string();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
