//! A fleet that is gone for a while, as a training run with real workers sees it: not at all.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod dpp;
#[path = "dpp/service.rs"]
mod service;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dpp_client::{BatchRows, Error, Loader, Place, Settings};
use dpp_ops::Plan;
use dpp_proto::v1::TableSource;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    dpp::{command, dpp, text},
    service::Service,
};

const PLAN: &str = r#"{"nodes": [{"pattern": "f_*"}, {"op": "fill_null", "inputs": [0], "value": 0.0}], "dense": [{"node": 1}]}"#;
const PATIENCE: Duration = Duration::from_secs(60);
/// What a step of the trainer takes, with a batch at hand.
const STEP: Duration = Duration::from_millis(5);
/// Twenty heartbeats, unless the environment says more.
const AWAY_SECONDS: u64 = 4;

/// A run, and what it waited for.
struct Training {
    loader: Loader,
    longest: Duration,
    began: Instant,
}

impl Training {
    async fn open(fleet: &str, table: &TempDir) -> Training {
        let source = TableSource {
            url: table.path().display().to_string(),
            ..Default::default()
        };
        let settings = Settings {
            batch: BatchRows::PerRank(100),
            run_name: "away".to_owned(),
            ..Settings::default()
        };
        let place = Place::Service(format!("fleet://{fleet}"));
        let plan = Plan::from_json(PLAN).unwrap().to_proto();
        Training {
            loader: Loader::open(place, source, plan, settings).await.unwrap(),
            longest: Duration::ZERO,
            began: Instant::now(),
        }
    }

    /// Trains until it is told to stop; the first batch of all is none that is waited for.
    async fn go_on(mut self, stop: Arc<AtomicBool>) -> Result<Training, Error> {
        let mut is_first = true;
        while !stop.load(Ordering::Relaxed) {
            let mut batches = self.loader.start_epoch();
            loop {
                let asked = Instant::now();
                let Some(batch) = batches.next().await else {
                    break;
                };
                batch?;
                if !std::mem::take(&mut is_first) {
                    self.longest = self.longest.max(asked.elapsed());
                }
                tokio::time::sleep(STEP).await;
            }
        }
        Ok(self)
    }
}

fn status(fleet: &str) -> Value {
    let output = dpp(&format!("fleet top --json --fleet fleet://{fleet}"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many are required, once both workers are known and the run's rate is.
async fn settled(fleet: &str) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = status(fleet);
        let workers = status["workers"].as_array().unwrap().len();
        let rate = status["runs"][0]["rows_per_second"].as_f64();
        if let (Some(required), 2) = (status["scale"]["required_workers"].as_u64(), workers)
            && rate.is_some_and(|rate| rate > 0.0)
        {
            return required;
        }
        assert!(Instant::now() < deadline, "not settled: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_away_for_a_while_is_not_missed() {
    let table = TempDir::new().unwrap();
    let made = dpp(&format!(
        "table synth {} --rows 20000 --files 5 --row-group-rows 2000 --dense 4 --sparse 2",
        table.path().display()
    ));
    assert!(made.status.success(), "{}", text(&made.stderr));
    let fleet = "serve fleet --heartbeat-seconds 0.2 --scale-down-seconds 60 --listen";
    let first = Service::start(command(&format!("{fleet} 127.0.0.1:0")));
    let address = first.address.clone();
    let worker = format!("serve worker --listen 127.0.0.1:0 --threads 1 --fleet fleet://{address}");
    let _workers = [
        Service::start(command(&worker)),
        Service::start(command(&worker)),
    ];

    let stop = Arc::new(AtomicBool::new(false));
    let training = Training::open(&address, &table).await;
    let training = tokio::spawn(training.go_on(stop.clone()));
    let required = settled(&address).await;
    drop(first); // killed
    let away = std::env::var("DPP_FLEET_AWAY_SECONDS").ok();
    let away = away.map_or(AWAY_SECONDS, |seconds| seconds.parse().unwrap());
    tokio::time::sleep(Duration::from_secs(away)).await;

    let mut second = Service::start(command(&format!("{fleet} {address}")));
    assert!(
        status(&address)["scale"]["required_workers"].is_null(),
        "nothing is known yet"
    );
    let again = settled(&address).await;
    assert!(again >= required.min(2), "scaled in: {again} of {required}");
    stop.store(true, Ordering::Relaxed);
    let training = training.await.unwrap().unwrap();
    second.terminate();
    let stats = training.loader.stats();
    let elapsed = training.began.elapsed().as_secs_f64();
    eprintln!(
        "away {away} s of {elapsed:.1} s; waited {:.3} s in all, {:.3} s at most for a batch",
        stats.stall_seconds,
        training.longest.as_secs_f64()
    );
    assert!(
        training.longest < Duration::from_secs(1),
        "{:?}",
        training.longest
    );
}
