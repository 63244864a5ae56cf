//! What `dpp-fleet` and `dpp serve fleet` take, and how they run.

use std::{ffi::OsString, ops::RangeInclusive, time::Duration};

use clap::Args;
use dpp_proto::{
    access,
    listen::{self, Address, Listener},
    process::{ConfigFile, Exporter},
};

use crate::{
    Error, autoscaler,
    fleet::Settings,
    local::LocalWorkers,
    registry,
    server::{self, Service},
};

/// Options of the fleet service.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Where to listen: host:port (port 0 lets the system choose one) or unix:/path
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "DPP_FLEET_LISTEN",
        default_value = "127.0.0.1:7400"
    )]
    pub listen: Address,

    /// How often workers say that they are there; one silent for three times as long is forgotten
    #[arg(
        long,
        value_name = "SECONDS",
        env = "DPP_FLEET_HEARTBEAT_SECONDS",
        default_value = "2",
        value_parser = heartbeat
    )]
    pub heartbeat_seconds: Duration,

    /// Fewest and most workers that are ever required [default: 0..1000, or as --local-workers says]
    #[arg(
        long,
        value_name = "LEAST..MOST",
        env = "DPP_FLEET_WORKERS",
        value_parser = bounds,
        conflicts_with = "local_workers"
    )]
    pub workers: Option<RangeInclusive<u32>>,

    /// Start and stop so many workers on this machine, as trainers need them
    #[arg(
        long,
        value_name = "LEAST..MOST",
        env = "DPP_FLEET_LOCAL_WORKERS",
        value_parser = bounds
    )]
    pub local_workers: Option<RangeInclusive<u32>>,

    /// Share of their slots that workers are meant to be busy
    #[arg(
        long,
        value_name = "SHARE",
        env = "DPP_FLEET_TARGET_UTILISATION",
        default_value = "0.75",
        value_parser = share
    )]
    pub target_utilisation: f64,

    /// Fewer workers are required only after fewer sufficed for this long [default: 15 heartbeats]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "DPP_FLEET_SCALE_DOWN_SECONDS",
        value_parser = scale_down
    )]
    pub scale_down_seconds: Option<Duration>,

    /// What this service shows workers and trainers, and whom it lets in
    #[command(flatten)]
    pub access: access::Files,

    /// Listen beyond loopback although everybody is let in: whoever reaches the port may list and register workers
    #[arg(long, env = "DPP_FLEET_INSECURE")]
    pub insecure: bool,

    /// What neither flags nor environment say.
    #[command(flatten)]
    pub config: ConfigFile,

    /// Arguments for workers on this machine, after `--`: -- --threads 1
    #[arg(
        last = true,
        value_name = "WORKER ARGUMENTS",
        requires = "local_workers"
    )]
    pub worker_arguments: Vec<OsString>,
}

/// Serves until SIGTERM or SIGINT.
///
/// Once the listener is bound, prints one line `dpp-fleet listening on ADDRESS` on standard output. `worker` is the
/// program, with its first arguments, that makes a worker on this machine.
///
/// # Errors
/// The address is taken, or reachable from elsewhere without TLS, tokens or `--insecure`.
pub async fn run(arguments: Arguments, worker: Vec<OsString>) -> Result<(), Error> {
    let exporter = Exporter::install();
    let (tls, gate) = (arguments.access.tls.service()?, arguments.access.gate()?);
    let listener = Listener::bind_with(&arguments.listen, arguments.insecure, tls, &gate).await?;
    let shutdown = listen::signalled()?;
    let service = Service::new(arguments.settings());
    let address = listener.address();
    tracing::info!(%address, "listening");
    listener.announce("dpp-fleet");
    if arguments.local_workers.is_none() {
        return server::serve_to(gate, listener, service, exporter, shutdown).await;
    }
    let mut worker_arguments = arguments.access.arguments();
    worker_arguments.extend(arguments.worker_arguments);
    let command = worker_command(worker, &address, worker_arguments);
    let mut local = LocalWorkers::new(command, service.clone());
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            () = local.keep() => {}
        }
        // While the fleet still answers, so that workers can say that they leave.
        local.stop().await;
    };
    server::serve_to(gate, listener, service, exporter, shutdown).await
}

impl Arguments {
    fn settings(&self) -> Settings {
        let workers = self.local_workers.clone().or_else(|| self.workers.clone());
        let mut scale = autoscaler::Settings::for_heartbeats(
            workers.unwrap_or(0..=MOST_WORKERS),
            self.heartbeat_seconds,
        );
        scale.target_utilisation = self.target_utilisation;
        scale.scale_down_after = self.scale_down_seconds.unwrap_or(scale.scale_down_after);
        Settings {
            registry: registry::Settings::every(self.heartbeat_seconds),
            scale,
        }
    }
}

/// The whole command line of a worker that serves this machine and tells this fleet.
fn worker_command(
    mut command: Vec<OsString>,
    fleet: &Address,
    arguments: Vec<OsString>,
) -> Vec<OsString> {
    let fleet = fleet.to_string().replace("0.0.0.0:", "127.0.0.1:");
    command.extend(["--listen", "127.0.0.1:0", "--fleet"].map(OsString::from));
    command.push(format!("fleet://{fleet}").into());
    command.extend(arguments);
    command
}

fn heartbeat(text: &str) -> Result<Duration, String> {
    let wrong = || "give seconds between 0.05 and 3600".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if (0.05..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

fn bounds(text: &str) -> Result<RangeInclusive<u32>, String> {
    let wrong = || "give LEAST..MOST, as 0..4".to_owned();
    let (least, most) = text.split_once("..").ok_or_else(wrong)?;
    let most = most.strip_prefix('=').unwrap_or(most);
    let least: u32 = least.parse().map_err(|_| wrong())?;
    let most: u32 = most.parse().map_err(|_| wrong())?;
    if least > most || most == 0 || most > MOST_BOUND {
        return Err(format!(
            "LEAST must not exceed MOST, and MOST be 1 to {MOST_BOUND}"
        ));
    }
    Ok(least..=most)
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "give a number")?;
    if (0.1..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("give a share between 0.1 and 1".to_owned())
    }
}

fn scale_down(text: &str) -> Result<Duration, String> {
    let wrong = || "give seconds between 0 and 86400".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

const MOST_WORKERS: u32 = 1000;
const MOST_BOUND: u32 = 20_000;
