//! Two thousand workers and sixteen hundred ranks at one real fleet: what that costs it.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod running;

use std::{fs, time::Duration};

use dpp_proto::v1::{ListWorkersRequest, StatusRequest, fleet_client::FleetClient};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use self::running::{Process, binary, heartbeat, report};

const WORKERS: usize = 2000;
const RANKS: usize = 1600;
const RUNS: usize = 40;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 4;

/// One heartbeat period in which everybody is heard once, and what it cost the fleet.
async fn round(channels: &[FleetClient<Channel>], seconds: f64, version: u64) -> u64 {
    let mut tasks = JoinSet::new();
    for (index, client) in channels.iter().enumerate() {
        let mut client = client.clone();
        tasks.spawn(async move {
            let mine = |all: usize| (index..all).step_by(CONNECTIONS);
            for worker in mine(WORKERS) {
                let run = format!("run {}", worker % RUNS);
                let beat = heartbeat(
                    &format!("10.0.{}.{}:7401", worker / 250, worker % 250),
                    &run,
                    seconds,
                );
                client.heartbeat(beat).await.unwrap();
            }
            let mut version = version;
            for rank in mine(RANKS) {
                let asked = ListWorkersRequest {
                    known_version: version,
                    ..report(&format!("run {}", rank % RUNS), rank as u64, seconds)
                };
                version = client
                    .list_workers(asked)
                    .await
                    .unwrap()
                    .into_inner()
                    .version;
            }
            version
        });
    }
    tasks.join_all().await.into_iter().max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_fits_into_a_core_and_little_memory() {
    let mut fleet = Process::start(&["--listen", "127.0.0.1:0", "--heartbeat-seconds", "20"]);
    let address = fleet.address();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        channels.push(FleetClient::new(channel.connect().await.unwrap()));
    }
    // Everybody comes; then only what changes is said.
    let mut version = round(&channels, 1.0, 0).await;
    let before = cpu_seconds(fleet.0.id());
    for second in 2..2 + ROUNDS {
        version = round(&channels, second as f64, version).await;
    }
    let cpu_seconds_per_round = (cpu_seconds(fleet.0.id()) - before) / ROUNDS as f64;
    let status = channels[0]
        .status(StatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(status.workers.len(), WORKERS);
    let most_memory = peak_memory_mib(fleet.0.id());
    println!(
        "{WORKERS} workers and {RANKS} ranks: {cpu_seconds_per_round:.3} CPU-seconds a heartbeat period, {most_memory} MiB at most"
    );
    // Of an unoptimised build; a period is two seconds.
    assert!(cpu_seconds_per_round < 4.0, "{cpu_seconds_per_round}");
    assert!(most_memory < 256, "{most_memory}");
}

#[test]
fn help_says_how_to_begin() {
    let output = binary().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("--local-workers 0..4"), "{help}");
}

/// User and system time of a process.
fn cpu_seconds(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10).as_secs_f64() // a tick is 1/100 s on every Linux we build for
}

fn peak_memory_mib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
