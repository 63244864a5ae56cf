//! What the runs on a workload come to.

use std::fmt::Write as _;

use serde::Serialize;

use super::Rounds;
use crate::{
    machine::Machine,
    rounds::{median, median_of},
    run::{Job, Run},
};

#[derive(Serialize)]
pub(super) struct Figure {
    figure: &'static str,
    workload: String,
    rows: u64,
    n_ids: u64,
    sum_dense: f64,
    batch_rows: u64,
    epochs: u32,
    rounds: usize,
    ways: Vec<Way>,
    /// The Parquet crate's decode of the same columns, in one thread.
    floor_rows_per_cpu_second: f64,
    /// CPU-seconds that a worker by Unix socket adds to a gigabyte of tensors, both processes; medians of what rounds add.
    unix_adds_seconds_per_gigabyte: f64,
    tcp_adds_seconds_per_gigabyte: f64,
    /// Rows a second with all cores over those with one.
    cores_gain: f64,
    /// One pass on-box.
    lanes: Vec<Lanes>,
    machine: Machine,
}

/// One way of going, medians over the rounds. A gigabyte is one of tensors.
#[derive(Serialize)]
struct Way {
    way: &'static str,
    /// Of all processes.
    rows_per_cpu_second: f64,
    rows_per_second: f64,
    gigabytes_per_second: f64,
    trainer_cpu_seconds_per_gigabyte: f64,
    worker_cpu_seconds_per_gigabyte: f64,
    /// From opening the loader.
    first_batch_seconds: f64,
    decode_share: f64,
    transform_share: f64,
    /// Fetching, ordering, sending, receiving, joining, the sums.
    rest_share: f64,
    read_bytes_per_row: f64,
    trainer_peak_anonymous_mb: f64,
    worker_peak_anonymous_mb: f64,
}

/// Most anonymous memory at once of a trainer that reads so many lanes.
#[derive(Serialize)]
pub(super) struct Lanes {
    pub(super) lanes: u64,
    pub(super) peak_mb: f64,
}

impl Figure {
    pub(super) fn new(workload: String, job: &Job, rounds: Rounds, lanes: Vec<Lanes>) -> Figure {
        let first = &rounds.on_box[0];
        let adds = |remote: &[Run]| {
            let pairs = remote.iter().zip(&rounds.on_box);
            median(
                pairs
                    .map(|(remote, on_box)| {
                        (remote.all_cpu_seconds() - on_box.all_cpu_seconds()) / on_box.gigabytes()
                    })
                    .collect(),
            )
        };
        let (on_box, one_core) = (
            Way::of("on-box", &rounds.on_box),
            Way::of("one core", &rounds.one_core),
        );
        Figure {
            figure: "end-to-end",
            workload,
            rows: first.rows,
            n_ids: first.n_ids,
            sum_dense: first.sum_dense,
            batch_rows: job.batch_rows,
            epochs: job.epochs,
            rounds: rounds.on_box.len(),
            cores_gain: on_box.rows_per_second / one_core.rows_per_second,
            ways: vec![
                on_box,
                one_core,
                Way::of("unix socket", &rounds.unix),
                Way::of("tcp", &rounds.tcp),
            ],
            floor_rows_per_cpu_second: median_of(&rounds.floor, |floor| {
                floor.rows as f64 / floor.cpu_seconds
            }),
            unix_adds_seconds_per_gigabyte: adds(&rounds.unix),
            tcp_adds_seconds_per_gigabyte: adds(&rounds.tcp),
            lanes,
            machine: Machine::here(),
        }
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{}: {} rows by {}, {} cores, medians of {}\n{:<12} {:>11} {:>11} {:>6} {:>8} {:>7} {:>9} {:>6} {:>9} {:>9} {:>9} {:>9}",
            self.workload,
            self.rows,
            self.batch_rows,
            self.machine.cores,
            self.rounds,
            "",
            "rows/CPU-s",
            "rows/s",
            "GB/s",
            "first s",
            "decode",
            "transform",
            "rest",
            "trainer",
            "worker",
            "trainer",
            "worker",
        );
        for way in &self.ways {
            text += &way.line();
        }
        _ = write!(
            text,
            "\n{:<12} {:>11.0}  the Parquet crate's decode of the same columns, one thread\n",
            "floor", self.floor_rows_per_cpu_second,
        );
        _ = writeln!(
            text,
            "a worker adds {:.2} CPU-s to a GB of tensors by Unix socket, {:.2} by TCP; all cores give {:.2} times one's rows/s",
            self.unix_adds_seconds_per_gigabyte,
            self.tcp_adds_seconds_per_gigabyte,
            self.cores_gain,
        );
        let lanes = self.lanes.iter();
        let lanes: Vec<String> = lanes
            .map(|it| format!("{:.0} MB with {}", it.peak_mb, it.lanes))
            .collect();
        _ = write!(
            text,
            "{:.1} stored bytes read a row; one pass on-box by lanes: {}",
            self.ways[0].read_bytes_per_row,
            lanes.join(", "),
        );
        text
    }
}

impl Way {
    fn of(way: &'static str, runs: &[Run]) -> Way {
        let of = |number: fn(&Run) -> f64| median_of(runs, number);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        Way {
            way,
            rows_per_cpu_second: of(|run| run.rows as f64 / run.all_cpu_seconds()),
            rows_per_second: of(|run| run.rows as f64 / run.wall_seconds),
            gigabytes_per_second: of(|run| run.gigabytes() / run.wall_seconds),
            trainer_cpu_seconds_per_gigabyte: of(|run| run.cpu_seconds / run.gigabytes()),
            worker_cpu_seconds_per_gigabyte: of(|run| run.worker.cpu_seconds / run.gigabytes()),
            first_batch_seconds: of(|run| run.stats.first_batch_seconds),
            decode_share: of(|run| run.stats.decode_seconds / stages(run)),
            transform_share: of(|run| run.stats.transform_seconds / stages(run)),
            rest_share: of(|run| rest(run) / stages(run)),
            read_bytes_per_row: of(|run| run.stats.read_bytes as f64 / run.rows as f64),
            trainer_peak_anonymous_mb: median_of(runs, |run| megabytes(run.peak_anonymous_bytes)),
            worker_peak_anonymous_mb: median_of(runs, |run| {
                megabytes(run.worker.peak_anonymous_bytes)
            }),
        }
    }

    fn line(&self) -> String {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        format!(
            "\n{:<12} {:>11.0} {:>11.0} {:>6.2} {:>8.3} {:>7} {:>9} {:>6} {:>4.2} s/GB {:>4.2} s/GB {:>6.0} MB {:>6.0} MB",
            self.way,
            self.rows_per_cpu_second,
            self.rows_per_second,
            self.gigabytes_per_second,
            self.first_batch_seconds,
            percent(self.decode_share),
            percent(self.transform_share),
            percent(self.rest_share),
            self.trainer_cpu_seconds_per_gigabyte,
            self.worker_cpu_seconds_per_gigabyte,
            self.trainer_peak_anonymous_mb,
            self.worker_peak_anonymous_mb,
        )
    }
}

/// What is neither decoding nor transforming.
fn rest(run: &Run) -> f64 {
    let counted = run.stats.decode_seconds + run.stats.transform_seconds;
    (run.all_cpu_seconds() - counted).max(0.0)
}

fn stages(run: &Run) -> f64 {
    run.stats.decode_seconds + run.stats.transform_seconds + rest(run)
}
