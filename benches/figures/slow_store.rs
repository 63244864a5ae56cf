//! A store that is as slow as asked: a proxy in front of an S3 server that serves one request at a time, or some.
//!
//! Each request takes `request_ms` and then its bytes at `bandwidth_mb`, as of one disk or one throttled prefix (or, with many
//! at a time, of an object store that is far away), and is answered
//! no sooner. *Service time* is what requests took of that device by this rule, requests and bytes counted as they pass: not
//! waiting in line, and not what the server behind takes until its answer begins, which has the reader's own disk and
//! processors here. `busy_seconds` is the same by the clock, with the late timers of a busy machine.
//! HTTP/1.1 is passed on as it is, so signatures stay valid; requests and bodies are delimited, not understood.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
    task::JoinHandle,
    time::Instant,
};

/// How slow the store is.
#[derive(Args, Clone, Copy, Debug, Serialize)]
pub(crate) struct Slowness {
    /// Milliseconds that every request takes before its first byte
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    pub(crate) request_ms: f64,
    /// Megabytes (10⁶) a second that the store gives
    #[arg(long, value_name = "MB/S", default_value_t = 100.0)]
    pub(crate) bandwidth_mb: f64,
    /// Requests that the store serves side by side, each at these speeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) at_a_time: usize,
}

/// What a store has served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Served {
    pub(crate) requests: u64,
    /// Bytes of bodies sent to clients.
    pub(crate) bytes: u64,
    pub(crate) service_seconds: f64,
    pub(crate) busy_seconds: f64,
}

/// A running proxy; it ends when dropped.
pub(crate) struct SlowStore {
    address: SocketAddr,
    device: Arc<Device>,
    accepting: JoinHandle<()>,
}

/// What all connections share.
struct Device {
    slowness: Slowness,
    free: Semaphore,
    requests: AtomicU64,
    bytes: AtomicU64,
    busy_nanoseconds: AtomicU64,
}

impl Slowness {
    /// Seconds that `requests` of `bytes` in all take, as the model has it.
    pub(crate) fn seconds(&self, requests: u64, bytes: u64) -> f64 {
        requests as f64 * self.request_ms / 1e3 + bytes as f64 / (self.bandwidth_mb * 1e6)
    }
}

impl SlowStore {
    /// Starts a proxy on a free port of loopback, in front of `upstream` (`host:port`).
    pub(crate) async fn start(upstream: String, slowness: Slowness) -> io::Result<SlowStore> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let device = Arc::new(Device {
            slowness,
            free: Semaphore::new(slowness.at_a_time),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            busy_nanoseconds: AtomicU64::new(0),
        });
        let shared = Arc::clone(&device);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, device) = (upstream.clone(), Arc::clone(&shared));
                // a client that goes away ends its connection, nothing else
                tokio::spawn(async move { serve(client, &upstream, &device).await });
            }
        });
        Ok(SlowStore {
            address,
            device,
            accepting,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that was served so far.
    pub(crate) fn served(&self) -> Served {
        let device = &self.device;
        let requests = device.requests.load(Ordering::Relaxed);
        let bytes = device.bytes.load(Ordering::Relaxed);
        Served {
            requests,
            bytes,
            service_seconds: device.slowness.seconds(requests, bytes),
            busy_seconds: device.busy_nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
        }
    }
}

impl Drop for SlowStore {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl std::ops::Sub for Served {
    type Output = Served;

    fn sub(self, before: Served) -> Served {
        Served {
            requests: self.requests - before.requests,
            bytes: self.bytes - before.bytes,
            service_seconds: self.service_seconds - before.service_seconds,
            busy_seconds: self.busy_seconds - before.busy_seconds,
        }
    }
}

/// One end of a connection.
struct Peer {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Peer {
    fn new(stream: TcpStream) -> io::Result<Peer> {
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        Ok(Peer {
            from: BufReader::with_capacity(CHUNK_BYTES, from),
            to,
        })
    }
}

/// Passes on one request after the other until either side ends.
async fn serve(client: TcpStream, upstream: &str, device: &Device) -> io::Result<()> {
    let mut client = Peer::new(client)?;
    let mut store = Peer::new(TcpStream::connect(upstream).await?)?;
    while let Some(request) = Head::read(&mut client.from).await? {
        store.to.write_all(&request.bytes).await?;
        request
            .body()
            .pass(&mut client.from, &mut store.to, None)
            .await?;
        let Some(answer) = Head::read(&mut store.from).await? else {
            return Ok(());
        };
        let free = device.free.acquire().await;
        let _in_turn = free.map_err(io::Error::other)?;
        let started = Instant::now();
        tokio::time::sleep(Duration::from_secs_f64(device.slowness.request_ms / 1e3)).await;
        client.to.write_all(&answer.bytes).await?;
        if !request.is_head() && answer.has_body() {
            let pace = Pace::new(device.slowness.bandwidth_mb * 1e6);
            let body = answer.body();
            let bytes = body
                .pass(&mut store.from, &mut client.to, Some(pace))
                .await?;
            device.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        device.requests.fetch_add(1, Ordering::Relaxed);
        device
            .busy_nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
    }
    Ok(())
}

/// Start line and headers of a message, as they came.
struct Head {
    bytes: Vec<u8>,
    text: String,
}

/// How a message's body is delimited.
#[derive(Clone, Copy)]
enum Body {
    Length(u64),
    Chunked,
}

/// When the next byte may leave.
struct Pace {
    started: Instant,
    bytes_per_second: f64,
}

impl Head {
    /// `None` at the end of the connection.
    async fn read(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Head>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes).await? == 0 {
                return Ok(None);
            }
        }
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        Ok(Some(Head { bytes, text }))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(known, value)| (known == name).then(|| value.trim()))
    }

    fn body(&self) -> Body {
        match self.header("transfer-encoding") {
            Some("chunked") => Body::Chunked,
            _ => {
                let length = self.header("content-length");
                Body::Length(length.and_then(|length| length.parse().ok()).unwrap_or(0))
            }
        }
    }

    fn is_head(&self) -> bool {
        self.text.starts_with("head ")
    }

    /// Of an answer: these never have one, whatever their length says.
    fn has_body(&self) -> bool {
        let status = self.text.split(' ').nth(1).unwrap_or_default();
        status != "204" && status != "304"
    }
}

impl Body {
    /// Passes the body on and returns its bytes, framing included.
    async fn pass(
        self,
        from: &mut BufReader<OwnedReadHalf>,
        to: &mut OwnedWriteHalf,
        pace: Option<Pace>,
    ) -> io::Result<u64> {
        let mut sent = 0;
        if let Body::Length(length) = self {
            copy(from, to, length, &mut sent, pace.as_ref()).await?;
            return Ok(sent);
        }
        loop {
            let mut line = Vec::new();
            from.read_until(b'\n', &mut line).await?;
            to.write_all(&line).await?;
            let size = String::from_utf8_lossy(&line);
            let size = size.trim().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            copy(from, to, size + 2, &mut sent, pace.as_ref()).await?;
            if size == 0 {
                return Ok(sent);
            }
        }
    }
}

impl Pace {
    fn new(bytes_per_second: f64) -> Pace {
        Pace {
            started: Instant::now(),
            bytes_per_second,
        }
    }

    /// Waits until `sent` bytes would have left.
    async fn wait(&self, sent: u64) {
        let due = Duration::from_secs_f64(sent as f64 / self.bytes_per_second);
        tokio::time::sleep_until(self.started + due).await;
    }
}

async fn copy(
    from: &mut BufReader<OwnedReadHalf>,
    to: &mut OwnedWriteHalf,
    length: u64,
    sent: &mut u64,
    pace: Option<&Pace>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        let read = from.read(&mut chunk[..most]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *sent += read as u64;
        left -= read as u64;
        if let Some(pace) = pace {
            pace.wait(*sent).await;
        }
        to.write_all(&chunk[..read]).await?;
    }
    Ok(())
}

const CHUNK_BYTES: usize = 64 << 10;
