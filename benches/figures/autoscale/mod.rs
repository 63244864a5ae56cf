//! How well the number of workers follows demand: the fleet's own autoscaler against one by CPU and fixed fleets.
//!
//! Simulated time over the fleet's real state: simulated workers beat, simulated trainers report, and the answer starts
//! and stops simulated workers. Everything is seeded: the same settings print the same table.

mod policy;
mod scenario;
mod world;

use clap::Args;
use dpp_client::Error;
use serde::Serialize;

use self::{policy::Policy, scenario::Scenario, world::World};
use crate::machine::Machine;

/// What is simulated.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// One JSON line instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    figure: &'static str,
    results: Vec<Outcome>,
    machine: Machine,
}

/// How one policy did in one scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    scenario: &'static str,
    policy: String,
    /// Of the time of all trainers.
    stall_share: f64,
    /// Of the slot-seconds of all workers, starting ones included: those that made no row.
    waste_share: f64,
    worker_hours: f64,
    /// Changes of the required number, and those in the other direction than the last.
    changes: usize,
    reversals: usize,
    verdict: String,
}

/// Simulates and returns the figure.
pub(crate) fn measure(arguments: &Arguments) -> Result<String, Error> {
    let chosen = |scenario: &Scenario| {
        arguments
            .scenario
            .as_ref()
            .is_none_or(|name| scenario.name.contains(name.as_str()))
    };
    let results: Vec<Outcome> = Scenario::all()
        .iter()
        .filter(|scenario| chosen(scenario))
        .flat_map(|scenario| {
            Policy::all(scenario)
                .into_iter()
                .map(|policy| run(scenario, policy))
        })
        .collect();
    if arguments.json {
        let line = Line {
            figure: "autoscale",
            results,
            machine: Machine::here(),
        };
        return Ok(serde_json::to_string(&line).expect("numbers and names are JSON"));
    }
    Ok(table(&results))
}

fn run(scenario: &Scenario, mut policy: Policy) -> Outcome {
    let mut world = World::new(scenario);
    let mut history = Vec::new();
    while world.now() < scenario.seconds {
        let required = policy.required(&mut world);
        if history.last() != Some(&required) {
            history.push(required);
        }
        world.scale_to(required);
        world.step();
    }
    let steps: Vec<bool> = history.windows(2).map(|pair| pair[1] > pair[0]).collect();
    Outcome {
        scenario: scenario.name,
        stall_share: world.stalled_seconds / world.trainer_seconds.max(1.0),
        waste_share: 1.0 - world.useful_slot_seconds / world.paid_slot_seconds.max(1.0),
        worker_hours: world.paid_slot_seconds / world::SLOTS / 3600.0,
        changes: history.len() - 1,
        reversals: steps.windows(2).filter(|pair| pair[0] != pair[1]).count(),
        verdict: policy.verdict(),
        policy: policy.name(),
    }
}

fn table(results: &[Outcome]) -> String {
    let mut lines = vec![format!(
        "{:<14} {:<22} {:>7} {:>7} {:>8} {:>8} {:>10}  {}",
        "scenario", "policy", "stall", "waste", "worker h", "changes", "reversals", "last verdict"
    )];
    lines.extend(results.iter().map(|outcome| {
        format!(
            "{:<14} {:<22} {:>6.2}% {:>6.1}% {:>8.2} {:>8} {:>10}  {}",
            outcome.scenario,
            outcome.policy,
            outcome.stall_share * 100.0,
            outcome.waste_share * 100.0,
            outcome.worker_hours,
            outcome.changes,
            outcome.reversals,
            outcome.verdict
        )
    }));
    lines.join("\n")
}
