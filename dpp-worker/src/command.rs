//! What `dpp-worker` and `dpp serve worker` take, and how they run.

use std::{ffi::OsString, num::NonZeroUsize, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser};
use dpp_ops::Registry;
use dpp_proto::access;
use dpp_proto::listen::{self, Address, Listener};
use dpp_proto::process::{self, ConfigFile, Exporter, LogFormat, exit, start_traced_log};
use dpp_proto::shared;
use dpp_table::{DiskCache, KeySource, TableOptions};

use crate::{ByteSize, Engine, Error, allocator, heartbeat, server};

/// Options of a worker.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Where to listen: host:port (port 0 lets the system choose one), or unix:/path, where trainers of this machine share memory
    /// with the worker (at /path.memory)
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "DPP_WORKER_LISTEN",
        default_value = "127.0.0.1:7401"
    )]
    pub listen: Address,

    /// The fleet to tell that this worker is there, as fleet://host:port
    #[arg(long, value_name = "URL", env = "DPP_WORKER_FLEET", value_parser = fleet)]
    pub fleet: Option<Address>,

    /// Address that trainers use to reach this worker [default: where it listens]
    #[arg(long, value_name = "ADDRESS", env = "DPP_WORKER_ADVERTISE")]
    pub advertise: Option<Address>,

    /// Keys of encrypted tables: a key file, env:VARIABLE, vault:https://HOST/MOUNT or aws-kms:REGION. Jobs bring none
    #[arg(long, value_name = "KEYS", env = "DPP_KEYS")]
    pub keys: Option<KeySource>,

    /// Read tables and artefacts only at and below these places, whoever asks: s3://bucket/path or a folder. Jobs then name no
    /// endpoint and bring no credentials [default: wherever a caller may]
    #[arg(
        long,
        value_name = "URL,…",
        value_delimiter = ',',
        env = "DPP_WORKER_ALLOW"
    )]
    pub allow: Vec<String>,

    /// Compute threads [default: one a core]
    #[arg(long, value_name = "N", env = "DPP_WORKER_THREADS")]
    pub threads: Option<NonZeroUsize>,

    /// Most bytes of buffers: stored bytes, decoded rows and frames that trainers have not taken, as 2GiB or 512MiB. At a Unix
    /// socket an eighth of it is shared with trainers.
    /// Reads that do not fit wait; footers and code are beside it [default: as much as reads need]
    #[arg(long, value_name = "BYTES", env = "DPP_WORKER_MEMORY", value_parser = memory)]
    pub memory: Option<ByteSize>,

    /// Stored bytes kept for runs that read the same table, a part of --memory; 0 keeps none [default: an eighth of --memory, else
    /// 256MiB]
    #[arg(long, value_name = "BYTES", env = "DPP_WORKER_CACHE")]
    pub cache: Option<ByteSize>,

    /// Stored bytes kept in a folder of this machine's disk as well, so many of them, still there when the worker starts anew:
    /// /var/cache/dpp=100GiB. One worker a folder; not in `dpp serve worker` and the Python package, which are built without
    #[arg(long, value_name = "FOLDER=BYTES", env = "DPP_WORKER_CACHE_DISK", value_parser = disk)]
    pub cache_disk: Option<(PathBuf, ByteSize)>,

    /// What this worker shows trainers and fleet, and whom it lets in
    #[command(flatten)]
    pub access: access::Files,

    /// Listen beyond loopback although everybody is let in: whoever reaches the port may read what this worker may
    #[arg(long, env = "DPP_WORKER_INSECURE")]
    pub insecure: bool,

    /// Send traces to this OpenTelemetry collector by gRPC, as http://127.0.0.1:4317: jobs opened, reads, and what these did
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp: Option<String>,

    /// What neither flags nor environment say.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Serves rows of tables as packed tensors.
#[derive(Parser)]
#[command(name = "dpp-worker", version, after_help = EXAMPLES)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,

    /// How log lines look; what is logged follows DPP_LOG (info, dpp_worker=debug, …)
    #[arg(long, value_enum, env = "DPP_LOG_FORMAT", default_value = "human")]
    log_format: LogFormat,
}

/// A worker's whole `main`: reads `arguments`, of which the first is the program's name, logs, and serves with the ops
/// of `registry`. A worker with ops of your own is a binary that calls this with `Registry::standard().with(…)`.
pub async fn main(arguments: impl IntoIterator<Item = OsString>, registry: Registry) -> ExitCode {
    let command: Command = process::parse(arguments).unwrap_or_else(|asked| asked.exit());
    let served = async {
        let otlp = command.arguments.otlp.as_deref();
        let _traces = start_traced_log(command.log_format, "dpp-worker", otlp)?;
        run(command.arguments, registry).await
    };
    exit("dpp-worker", served.await)
}

/// Serves until SIGTERM or SIGINT, with the ops of `registry`.
///
/// Once the listener is bound, prints one line `dpp-worker listening on ADDRESS` on standard output.
///
/// # Errors
/// The address is wrong, taken, or reachable from elsewhere without TLS, tokens or `--insecure`; or certificates or keys can't be
/// used.
pub async fn run(arguments: Arguments, registry: Registry) -> Result<(), Error> {
    let exporter = Exporter::install();
    let (tls, gate) = (arguments.access.tls.service()?, arguments.access.gate()?);
    let listener = Listener::bind_with(&arguments.listen, arguments.insecure, tls, &gate).await?;
    let shutdown = listen::signalled()?;
    if arguments.memory.is_some() {
        allocator::give_back_what_is_freed();
    }
    let threads = arguments.threads.map(NonZeroUsize::get);
    let is_nearby = matches!(arguments.listen, Address::Unix(_));
    let shares = shares(arguments.cache, arguments.memory, is_nearby)?;
    let disk = match arguments.cache_disk {
        Some((folder, size)) => Some(DiskCache::open(&folder, size.0).await?),
        None => None,
    };
    let engine = Engine::start(threads)?
        .with_options(options(arguments.keys.as_ref())?)
        .with_cache(shares.cache, disk)
        .with_memory(shares.reads)
        .with_registry(registry);
    let engine = match arguments.allow.is_empty() {
        true => engine,
        false => engine.with_allowed(arguments.allow),
    };
    let engine = match shares.shared {
        Some(shared) => engine.with_shared_memory(shared),
        None => engine,
    };
    let engine = Arc::new(engine);
    let address = arguments.advertise.unwrap_or_else(|| listener.address());
    let worker_id = format!("{address}#{}", std::process::id());
    let fleet = arguments.fleet.map(|fleet| {
        arguments
            .access
            .caller()?
            .connect(&fleet, |endpoint| endpoint)
    });
    let fleet = fleet.transpose()?;
    if let Some(fleet) = &fleet {
        heartbeat::arrive(&engine, fleet.clone(), &address, &worker_id).await;
    }
    listener.announce("dpp-worker");
    tracing::info!(%address, threads = engine.slots(), "listening");
    let Some(fleet) = fleet else {
        let served = server::serve_to(gate, engine.clone(), listener, exporter, shutdown).await;
        engine.close().await;
        return served;
    };
    let leaving = async {
        tokio::select! {
            () = shutdown => {}
            () = heartbeat::beat(engine.clone(), fleet.clone(), address.clone(), worker_id.clone()) => {}
        }
        heartbeat::leave(&engine, fleet.clone(), &address, &worker_id).await;
    };
    let served = server::serve_to(gate, engine.clone(), listener, exporter, leaving).await;
    engine.close().await;
    served
}

/// What this worker reads tables with.
fn options(keys: Option<&KeySource>) -> Result<TableOptions, Error> {
    let keys = keys.map(KeySource::open).transpose();
    let keys = keys.map_err(|source| Error::Keys { source })?;
    Ok(keys.map(TableOptions::with_keys).unwrap_or_default())
}

/// What the memory is for. Without a ceiling, reads take what they need.
struct Shares {
    cache: ByteSize,
    /// With trainers of this machine; `None`: as much as is usual.
    shared: Option<ByteSize>,
    reads: Option<ByteSize>,
}

fn shares(
    cache: Option<ByteSize>,
    memory: Option<ByteSize>,
    is_nearby: bool,
) -> Result<Shares, Error> {
    let Some(ByteSize(memory)) = memory else {
        return Ok(Shares {
            cache: cache.unwrap_or(USUAL_CACHE),
            shared: None,
            reads: None,
        });
    };
    let cache = cache.map_or(memory / 8, |cache| cache.0);
    let left_beside = |shared: u64| {
        let left = memory.checked_sub(cache.saturating_add(shared));
        left.filter(|left| *left >= LEAST_MEMORY / 2)
    };
    // nobody needs it, as there is the socket
    let shared = Some(memory / 8).filter(|eighth| {
        is_nearby && *eighth >= shared::LEAST_BYTES && left_beside(*eighth).is_some()
    });
    let shared = shared.unwrap_or(0);
    match left_beside(shared) {
        Some(left) => Ok(Shares {
            cache: ByteSize(cache),
            shared: Some(ByteSize(shared)),
            reads: Some(ByteSize(left)),
        }),
        None => Err(Error::request(format!(
            "--cache {} leaves too little of --memory {} for reads",
            ByteSize(cache),
            ByteSize(memory)
        ))),
    }
}

fn fleet(url: &str) -> Result<Address, String> {
    let wrong = || format!("{url:?} is no fleet: give fleet://host:port");
    let address: Address = url
        .strip_prefix("fleet://")
        .ok_or_else(wrong)?
        .parse()
        .map_err(|_| wrong())?;
    address.endpoint().map_err(|_| wrong())?;
    Ok(address)
}

fn disk(text: &str) -> Result<(PathBuf, ByteSize), String> {
    match text.rsplit_once('=') {
        Some((folder, size)) if !folder.is_empty() => Ok((folder.into(), size.parse()?)),
        _ => Err("give FOLDER=BYTES, as /var/cache/dpp=100GiB".to_owned()),
    }
}

fn memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.0 < LEAST_MEMORY {
        return Err(format!("{size} holds no read: give 64MiB or more"));
    }
    Ok(size)
}

/// Some dozens of pieces: runs that read the same rows are seldom further apart.
const USUAL_CACHE: ByteSize = ByteSize(256 << 20);
/// A read or two of ordinary rows.
const LEAST_MEMORY: u64 = 64 << 20;

const EXAMPLES: &str = "\
Examples:
  dpp-worker
  dpp-worker --listen 127.0.0.1:0 --fleet fleet://127.0.0.1:7400
  dpp-worker --keys /etc/dpp/keys.json --allow s3://ads/clicks,s3://ads/models
  dpp-worker --keys vault:https://vault:8200/transit
  dpp-worker --listen unix:/run/dpp/worker.sock --threads 4 --memory 2GiB
  dpp-worker --config worker.toml           # memory = \"2GiB\", allow = [\"s3://ads\"], …";

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many MiB: for the cache, for trainers, for reads.
    fn mebibytes(cache: Option<u64>, memory: u64, is_nearby: bool) -> Option<(u64, u64, u64)> {
        let size = |mebibytes: u64| ByteSize(mebibytes << 20);
        let shares = shares(cache.map(size), Some(size(memory)), is_nearby).ok()?;
        let of = |share: Option<ByteSize>| share.map_or(0, |share| share.0 >> 20);
        Some((shares.cache.0 >> 20, of(shares.shared), of(shares.reads)))
    }

    #[test]
    fn memory_is_shared_where_enough_is_left_for_reads() {
        assert_eq!(mebibytes(None, 256, true), Some((32, 32, 192)));
        assert_eq!(mebibytes(None, 256, false), Some((32, 0, 224)));
        assert_eq!(mebibytes(None, 64, true), Some((8, 0, 56)), "too little");
        assert_eq!(mebibytes(Some(200), 256, true), Some((200, 0, 56)));
        assert_eq!(mebibytes(Some(250), 256, true), None);
        assert_eq!(mebibytes(Some(u64::MAX >> 20), 256, true), None);
    }
}
