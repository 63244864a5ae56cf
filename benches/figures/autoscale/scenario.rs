//! Demand over time, and what goes wrong.

/// One simulated hour or two.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) runs: Vec<RunShape>,
    /// Rows/s that storage gives to all workers together.
    pub(crate) storage_rows_per_second: f64,
    /// A worker dies this often; 0: never.
    pub(crate) loss_every_seconds: f64,
}

/// One run.
#[derive(Clone)]
pub(crate) struct RunShape {
    pub(crate) name: &'static str,
    /// Rows/s that its trainer takes, by time.
    pub(crate) wanted: fn(f64) -> f64,
    /// Seconds of a slot that a row computes, and that it waits for storage.
    pub(crate) compute_seconds: f64,
    pub(crate) storage_seconds: f64,
}

const HOUR: f64 = 3600.0;
const MILLISECOND: f64 = 0.001;

impl Scenario {
    pub(crate) fn all() -> Vec<Scenario> {
        let run = |name, wanted, compute_seconds, storage_seconds| RunShape {
            name,
            wanted,
            compute_seconds,
            storage_seconds,
        };
        let plain = |name, runs| Scenario {
            name,
            seconds: HOUR,
            runs,
            storage_rows_per_second: f64::MAX,
            loss_every_seconds: 0.0,
        };
        vec![
            plain("load steps", vec![run("steps", steps, MILLISECOND, 0.0)]),
            Scenario {
                seconds: 4.0 * HOUR,
                ..plain("diurnal", vec![run("waves", waves, MILLISECOND, 0.0)])
            },
            plain(
                "unlike jobs",
                vec![
                    run("light", light, 0.2 * MILLISECOND, 0.0),
                    run("heavy, 40 x", heavy, 8.0 * MILLISECOND, 0.0),
                ],
            ),
            plain(
                "slow storage",
                vec![run("waits", steps, 0.1 * MILLISECOND, 0.9 * MILLISECOND)],
            ),
            Scenario {
                storage_rows_per_second: 8_000.0,
                ..plain(
                    "storage wall",
                    vec![run("greedy", greedy, MILLISECOND, 0.0)],
                )
            },
            Scenario {
                loss_every_seconds: 30.0,
                ..plain("worker loss", vec![run("steps", steps, MILLISECOND, 0.0)])
            },
        ]
    }

    /// Mean and largest number of workers that demand asks for, three quarters busy.
    pub(crate) fn workers(&self) -> (f64, f64) {
        let at = |second: f64| -> f64 {
            let slots =
                |run: &RunShape| (run.wanted)(second) * (run.compute_seconds + run.storage_seconds);
            self.runs.iter().map(slots).sum::<f64>() / (super::world::SLOTS * 0.75)
        };
        let seconds = 0..self.seconds as u32;
        let count = f64::from(seconds.end);
        let (sum, most) = seconds
            .map(|second| at(f64::from(second)))
            .fold((0.0, 0.0f64), |(sum, most), workers| {
                (sum + workers, most.max(workers))
            });
        (sum / count, most)
    }
}

fn steps(second: f64) -> f64 {
    [6_000.0, 24_000.0, 3_000.0, 12_000.0, 30_000.0, 9_000.0][(second / 600.0) as usize % 6]
}

fn waves(second: f64) -> f64 {
    15_000.0 * (1.0 + 0.8 * (second / (2.0 * HOUR) * std::f64::consts::TAU).sin())
}

fn light(second: f64) -> f64 {
    if second < 2400.0 { 40_000.0 } else { 10_000.0 }
}

fn heavy(second: f64) -> f64 {
    if (900.0..2700.0).contains(&second) {
        2_000.0
    } else {
        0.0
    }
}

fn greedy(_: f64) -> f64 {
    30_000.0
}
