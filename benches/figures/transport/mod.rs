//! What it costs to move frames: processor time per gigabyte on either side, by TCP, a Unix socket, memory shared beside it and TLS, against bytes written to a
//! bare TCP socket and read from it. The server is a process of its own, with the listener, windows and messages of a worker's, and
//! frames that are there already.

mod server;

use std::{path::Path, time::Instant};

use clap::Args;
use dpp_client::Error;
use dpp_proto::{
    access::{Caller, Files},
    listen::Address,
    shared::View,
    stream::{self, Part},
    tls,
    v1::ReadRequest,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde::Serialize;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

pub(crate) use self::server::{Arguments as ServerArguments, serve};
use crate::{
    failed,
    machine::{Machine, cpu_time},
    rounds::median_of,
    serve::Process,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Bytes of a frame, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2)]
    frame_mib: u64,
    /// Bytes moved at a time, in gigabytes (10⁹)
    #[arg(long, value_name = "GB", default_value_t = 2.0)]
    gigabytes: f64,
    /// How often each way is taken, in turns; medians are shown
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    frame_mib: u64,
    gigabytes: f64,
    rounds: usize,
    ways: Vec<Cost>,
    /// Processor seconds that TLS adds to a gigabyte by TCP, both sides together.
    tls_seconds_per_gigabyte: f64,
    machine: Machine,
}

/// Medians over the rounds.
#[derive(Clone, Serialize)]
struct Cost {
    way: &'static str,
    server_seconds_per_gigabyte: f64,
    client_seconds_per_gigabyte: f64,
    gigabytes_per_second: f64,
}

/// A way for frames, and the process at its other end.
struct Way {
    name: &'static str,
    process: Process,
    reach: Reach,
}

enum Reach {
    Bare,
    Calls(Caller),
    /// Frames lie in memory that both ends share.
    Shares(Caller),
}

/// Moves frames every way in turns, and returns the figure.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let ways = ways(folder.path(), arguments.frame_mib)?;
    let bytes = (arguments.gigabytes * 1e9) as u64;
    let mut costs = vec![Vec::new(); ways.len()];
    for _ in 0..arguments.rounds {
        for (way, costs) in ways.iter().zip(&mut costs) {
            costs.push(way.cost(bytes).await?);
        }
    }
    let ways: Vec<Cost> = costs.iter().map(|costs| median(costs)).collect();
    let sum = |name| {
        let way = ways.iter().find(|cost| cost.way == name);
        way.map_or(0.0, |cost| {
            cost.server_seconds_per_gigabyte + cost.client_seconds_per_gigabyte
        })
    };
    let figure = Figure {
        figure: "transport",
        frame_mib: arguments.frame_mib,
        gigabytes: arguments.gigabytes,
        rounds: arguments.rounds,
        tls_seconds_per_gigabyte: sum("tls") - sum("tcp"),
        ways,
        machine: Machine::here(),
    };
    Ok(match arguments.json {
        true => serde_json::to_string(&figure).expect("numbers and names are JSON"),
        false => figure.table(),
    })
}

fn ways(folder: &Path, frame_mib: u64) -> Result<Vec<Way>, Error> {
    let start = |listen: &str, more: &str| {
        Process::start(&format!(
            "frames --listen {listen} --frame-mib {frame_mib} {more}"
        ))
    };
    certificates(folder)?;
    let at = |file: &str| folder.join(file);
    let tls = Files {
        tls: tls::Files {
            tls_ca: Some(at("authority.pem")),
            ..tls::Files::default()
        },
        ..Files::default()
    };
    let shown = format!(
        "--tls-cert {} --tls-key {}",
        at("server.pem").display(),
        at("server.key").display()
    );
    let loopback = "127.0.0.1:0";
    let socket = format!("unix:{}", at("socket").display());
    Ok(vec![
        Way {
            name: "bare tcp",
            process: start(loopback, "--bare")?,
            reach: Reach::Bare,
        },
        Way {
            name: "tcp",
            process: start(loopback, "")?,
            reach: Reach::Calls(Caller::default()),
        },
        Way {
            name: "unix socket",
            process: start(&socket, "")?,
            reach: Reach::Calls(Caller::default()),
        },
        Way {
            name: "shared memory",
            process: start(&format!("{socket}-shared"), "")?,
            reach: Reach::Shares(Caller::default()),
        },
        Way {
            name: "tls",
            process: start(loopback, &shown)?,
            reach: Reach::Calls(tls.caller().map_err(failed)?),
        },
    ])
}

/// `authority.pem`, and `server.pem` with its key of somebody at 127.0.0.1 whom it vouches for.
fn certificates(folder: &Path) -> Result<(), Error> {
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = authority.self_signed(&key).map_err(failed)?;
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().map_err(failed)?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(failed)?;
    let server = server.signed_by(&key, &issuer).map_err(failed)?;
    for (name, text) in [
        ("authority.pem", certificate.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).map_err(failed)?;
    }
    Ok(())
}

impl Way {
    /// Moves so many bytes.
    async fn cost(&self, bytes: u64) -> Result<Cost, Error> {
        let (server, client, began) = (self.process.cpu_seconds()?, cpu_time(), Instant::now());
        let moved = match &self.reach {
            Reach::Bare => bare(&self.process.address, bytes).await?,
            Reach::Calls(caller) => frames(caller, &self.process.address, None, bytes).await?,
            Reach::Shares(caller) => {
                let view = shared(&self.process.address).await?;
                frames(caller, &self.process.address, Some(view), bytes).await?
            }
        };
        let gigabytes = moved as f64 / 1e9;
        Ok(Cost {
            way: self.name,
            server_seconds_per_gigabyte: (self.process.cpu_seconds()? - server) / gigabytes,
            client_seconds_per_gigabyte: (cpu_time() - client).as_secs_f64() / gigabytes,
            gigabytes_per_second: gigabytes / began.elapsed().as_secs_f64(),
        })
    }
}

/// Reads from a socket into one buffer.
async fn bare(address: &str, bytes: u64) -> Result<u64, Error> {
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    let mut moved = 0;
    while moved < bytes {
        let read = stream.read(&mut buffer).await.map_err(failed)?;
        if read == 0 {
            return Err(failed("the socket ended"));
        }
        moved += read as u64;
    }
    Ok(moved)
}

async fn shared(address: &str) -> Result<View, Error> {
    match address.parse().map_err(failed)? {
        Address::Unix(path) => View::connect(&path).await.map_err(failed),
        Address::Tcp(_) => Err(failed("memory is shared beside a Unix socket")),
    }
}

/// Takes frames as a trainer's process does, and drops them.
async fn frames(
    caller: &Caller,
    address: &str,
    view: Option<View>,
    bytes: u64,
) -> Result<u64, Error> {
    let address: Address = address.parse().map_err(failed)?;
    let channel = caller.connect(&address, stream::tuned);
    let request = ReadRequest {
        to_row: bytes,
        shared_memory: view.as_ref().map_or(&[][..], |view| view.token()).into(),
        ..ReadRequest::default()
    };
    let mut channel = channel.map_err(failed)?;
    let parts = stream::read(&mut channel, &request).await;
    let mut parts = parts.map_err(failed)?;
    let (mut moved, mut copy) = (0, Vec::new());
    while let Some(part) = parts.next().await.map_err(failed)? {
        match (part, &view) {
            (Part::Bytes(bytes), _) => moved += bytes.len() as u64,
            (Part::Placed(placed), Some(view)) => {
                copy.clear();
                let taken = view.take(placed, |source| source.append_to(&mut copy, usize::MAX));
                taken.map_err(failed)?;
                moved += copy.len() as u64;
            }
            _ => {}
        }
    }
    Ok(moved)
}

fn median(costs: &[Cost]) -> Cost {
    let of = |value: fn(&Cost) -> f64| median_of(costs, value);
    Cost {
        way: costs[0].way,
        server_seconds_per_gigabyte: of(|cost| cost.server_seconds_per_gigabyte),
        client_seconds_per_gigabyte: of(|cost| cost.client_seconds_per_gigabyte),
        gigabytes_per_second: of(|cost| cost.gigabytes_per_second),
    }
}

impl Figure {
    fn table(&self) -> String {
        let mut text = format!(
            "frames of {} MiB, {} GB at a time, medians of {}\n{:<14} {:>12} {:>12} {:>10}",
            self.frame_mib,
            self.gigabytes,
            self.rounds,
            "way",
            "server s/GB",
            "client s/GB",
            "GB/s",
        );
        for cost in &self.ways {
            text += &format!(
                "\n{:<14} {:>12.3} {:>12.3} {:>10.2}",
                cost.way,
                cost.server_seconds_per_gigabyte,
                cost.client_seconds_per_gigabyte,
                cost.gigabytes_per_second,
            );
        }
        text + &format!(
            "\ntls adds {:.3} processor seconds to a gigabyte",
            self.tls_seconds_per_gigabyte
        )
    }
}
