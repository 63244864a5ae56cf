//! The fleet's own numbers, through the `metrics` facade: whoever runs the process decides where they go.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::autoscaler::Decision;

/// Says what each metric means. Called once, when serving begins.
pub(crate) fn describe() {
    describe_gauge!(WORKERS, Unit::Count, "Workers heard of lately");
    describe_gauge!(RANKS, Unit::Count, "Ranks of runs heard of lately");
    describe_gauge!(
        REQUIRED,
        Unit::Count,
        "Workers required; absent until that is known"
    );
    describe_gauge!(
        VERDICT,
        Unit::Count,
        "1 for what is said on whether more workers would help, 0 for what was said before"
    );
    describe_counter!(HEARTBEATS, Unit::Count, "Heartbeats taken note of");
    describe_counter!(REFUSED, Unit::Count, "Heartbeats refused");
    describe_counter!(LISTS, Unit::Count, "Lists of workers given out");
}

pub(crate) fn heartbeat(taken: bool) {
    counter!(if taken { HEARTBEATS } else { REFUSED }).increment(1);
}

pub(crate) fn list() {
    counter!(LISTS).increment(1);
}

pub(crate) fn decided(decision: &Decision, workers: usize, ranks: usize) {
    for (name, count) in [(WORKERS, workers), (RANKS, ranks)] {
        gauge!(name).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    let Some(required) = decision.required else {
        return;
    };
    gauge!(REQUIRED).set(f64::from(required));
    for verdict in crate::autoscaler::Verdict::ALL {
        let holds = f64::from(u8::from(verdict == decision.verdict));
        gauge!(VERDICT, "verdict" => verdict.word()).set(holds);
    }
}

const WORKERS: &str = "dpp_fleet_workers";
const RANKS: &str = "dpp_fleet_ranks";
const REQUIRED: &str = "dpp_fleet_required_workers";
const VERDICT: &str = "dpp_fleet_verdict";
const HEARTBEATS: &str = "dpp_fleet_heartbeats_total";
const REFUSED: &str = "dpp_fleet_refused_heartbeats_total";
const LISTS: &str = "dpp_fleet_lists_total";
