use dpp_proto::{
    Fault, Faulty as _,
    v1::{self, HeartbeatRequest, RunWork, StallSeconds},
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A rank that receives 100 rows in every busy second, and waits `share` of its time.
fn report(rank: u64, seconds: u32, share: f64) -> RankReport {
    let seconds = f64::from(seconds);
    RankReport {
        loader_id: format!("loader of {rank}"),
        run: Some(v1::Run {
            name: "a".into(),
            ..Default::default()
        }),
        rank,
        rows: (100.0 * seconds * (1.0 - share)).round() as u64,
        elapsed_seconds: seconds,
        stalled: Some(StallSeconds {
            storage: seconds * share,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn tell(runs: &mut Runs, at: u32, shares: &[f64]) {
    for (rank, share) in (0..).zip(shares) {
        runs.report(report(rank, at, *share), SECOND * at).unwrap();
    }
}

#[test]
fn a_run_wants_what_its_ranks_could_take_if_none_waited() {
    let mut runs = Runs::default();
    tell(&mut runs, 2, &[0.0, 0.0]);
    let load = &runs.loads(&Work::default())[0];
    assert_eq!(load.wanted_rows_per_second, None, "one report is no rate");
    tell(&mut runs, 4, &[0.5, 0.5]);
    tell(&mut runs, 12, &[0.5, 0.5]);
    let load = &runs.loads(&Work::default())[0];
    assert_eq!(load.rows_per_second, 100.0);
    assert!((load.stalls.storage - 0.5).abs() < 1e-9);
    assert!((load.wanted_rows_per_second.unwrap() - 200.0).abs() < 1e-6);
}

#[test]
fn a_run_that_gets_nothing_wants_what_it_wanted_before() {
    let mut runs = Runs::default();
    tell(&mut runs, 2, &[0.5]);
    tell(&mut runs, 4, &[0.5]);
    runs.loads(&Work::default());
    for at in [13, 22, 31] {
        let stuck = RankReport {
            rows: 200,
            elapsed_seconds: f64::from(at),
            stalled: Some(StallSeconds {
                storage: 2.0 + f64::from(at - 4),
                ..Default::default()
            }),
            ..report(0, at, 0.0)
        };
        runs.report(stuck, SECOND * at).unwrap();
    }
    let load = &runs.loads(&Work::default())[0];
    assert_eq!(load.rows_per_second, 0.0);
    assert_eq!(load.stalls.total(), 1.0);
    assert!((load.wanted_rows_per_second.unwrap() - 100.0).abs() < 1e-6);
}

#[test]
fn silent_ranks_are_forgotten_and_runs_with_them() {
    let mut runs = Runs::default();
    tell(&mut runs, 2, &[0.0, 0.0, 0.0]);
    tell(&mut runs, 5, &[0.0]);
    assert_eq!(runs.ranks(), 3);
    runs.expire(SECOND * 6, SECOND * 8);
    assert_eq!(runs.ranks(), 1);
    runs.expire(SECOND * 6, SECOND * 11);
    assert!(runs.loads(&Work::default()).is_empty());
}

#[test]
fn nonsense_is_refused() {
    let mut runs = Runs::default();
    let long = "x".repeat(1 << 20);
    for bad in [
        RankReport {
            loader_id: String::new(),
            ..report(0, 1, 0.0)
        },
        RankReport {
            run: Some(v1::Run {
                name: long,
                ..Default::default()
            }),
            ..report(0, 1, 0.0)
        },
        RankReport {
            elapsed_seconds: f64::NAN,
            ..report(0, 1, 0.0)
        },
    ] {
        let refused = runs.report(bad, SECOND).unwrap_err();
        assert_eq!(refused.fault(), Fault::Invalid);
        assert!(refused.to_string().len() < 400);
    }
    assert_eq!(runs.ranks(), 0);
}

#[test]
fn rows_cost_what_workers_say_lately() {
    let mut work = Work::default();
    let beat = |rows, slot_seconds| HeartbeatRequest {
        worker_id: "w".into(),
        address: "h:1".into(),
        slots: 2,
        runs: vec![RunWork {
            run: "a".into(),
            rows,
            slot_seconds,
        }],
        ..Default::default()
    };
    work.heartbeat(&beat(1000, 1.0), SECOND);
    assert!((work.slot_seconds_per_row("a").unwrap() - 0.001).abs() < 1e-9);
    for second in 2..200 {
        // From now on a row costs three times as much, and the worker is half busy.
        let busy = f64::from(second - 1);
        work.heartbeat(
            &beat(1000 + u64::from(second - 1) * 333, 1.0 + busy),
            SECOND * second,
        );
    }
    let cost = work.slot_seconds_per_row("a").unwrap();
    assert!((cost - 1.0 / 333.0).abs() < 1e-5, "{cost}");
    let (busy, rows_per_second, runs) = work.of_worker("w");
    assert!((busy - 0.5).abs() < 1e-6, "{busy}");
    assert!((rows_per_second - 333.0).abs() < 1e-6);
    assert_eq!(runs, 1);
    assert_eq!(work.slot_seconds_per_row("b"), None);
}
