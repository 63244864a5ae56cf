//! Who says how many workers there are.

use std::collections::VecDeque;

use super::{scenario::Scenario, world::World};

/// One way to choose.
pub(crate) enum Policy {
    /// The fleet's autoscaler.
    Fleet { verdict: String },
    /// What Kubernetes does by CPU: every 15 s, target 70 %, tolerance 10 %, down after the most of 300 s.
    Processor {
        next_at: f64,
        required: u32,
        lately: VecDeque<(f64, u32)>,
    },
    /// Always the same.
    Fixed { name: &'static str, workers: u32 },
}

impl Policy {
    pub(crate) fn all(scenario: &Scenario) -> Vec<Policy> {
        let (mean, most) = scenario.workers();
        let fixed = |name, workers: f64| Policy::Fixed {
            name,
            workers: workers.ceil() as u32,
        };
        vec![
            Policy::Fleet {
                verdict: String::new(),
            },
            Policy::Processor {
                next_at: 0.0,
                required: 1,
                lately: VecDeque::new(),
            },
            fixed("mean", mean),
            fixed("peak", most),
        ]
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Policy::Fleet { .. } => "dpp fleet".into(),
            Policy::Processor { .. } => "CPU at 70 %".into(),
            Policy::Fixed { name, workers } => format!("fixed, {workers} for the {name}"),
        }
    }

    pub(crate) fn verdict(&self) -> String {
        match self {
            Policy::Fleet { verdict } => verdict.clone(),
            _ => String::new(),
        }
    }

    /// Workers there should be now.
    pub(crate) fn required(&mut self, world: &mut World) -> u32 {
        match self {
            Policy::Fleet { verdict } => {
                let (required, said) = world.fleet_says();
                said.clone_into(verdict);
                required
            }
            Policy::Processor {
                next_at,
                required,
                lately,
            } => {
                let now = world.now();
                if now >= *next_at {
                    *next_at = now + PERIOD_SECONDS;
                    let ratio = world.processor_share() / TARGET;
                    let present = world.asked_workers() as f64;
                    let asked = if (ratio - 1.0).abs() <= TOLERANCE {
                        present
                    } else {
                        (present * ratio).ceil()
                    };
                    let asked = if now == 0.0 {
                        1
                    } else {
                        (asked as u32).clamp(1, 64)
                    };
                    lately.push_back((now, asked));
                    lately.retain(|(at, _)| now - at <= STABLE_SECONDS);
                    let floor = lately.iter().map(|(_, asked)| *asked).max().unwrap_or(1);
                    *required = floor.min((*required).max(asked));
                }
                *required
            }
            Policy::Fixed { workers, .. } => *workers,
        }
    }
}

const PERIOD_SECONDS: f64 = 15.0;
const TARGET: f64 = 0.7;
const TOLERANCE: f64 = 0.1;
const STABLE_SECONDS: f64 = 300.0;
