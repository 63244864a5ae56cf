//! A real S3 server over a folder, on loopback, and a front before it that misbehaves as told.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dpp_proto::v1::StorageOption;
use tempfile::TempDir;

/// The server; its folder `bucket` is the bucket of that name. It asks for no signatures.
pub(crate) struct S3 {
    folder: TempDir,
    port: u16,
    server: Child,
}

/// How a front treats what passes it.
#[derive(Clone)]
pub(crate) enum Front {
    /// Takes the condition off conditional puts.
    IgnoresConditions,
    /// Answers so many requests with this status before it lets any pass.
    Refuses(Arc<AtomicI64>, u16),
    /// Lets so many requests pass, then answers all with this status and sends them to that place.
    SendsOn(Arc<AtomicI64>, u16, String),
}

impl S3 {
    pub(crate) fn start() -> S3 {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bucket")).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/tools/bin/s3s-fs");
        let port = free_port();
        let server = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; `make test` installs it", program.display())
            });
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the S3 server does not answer");
            thread::sleep(Duration::from_millis(10));
        }
        S3 {
            folder,
            port,
            server,
        }
    }

    /// Where the bucket's objects lie.
    pub(crate) fn bucket(&self) -> std::path::PathBuf {
        self.folder.path().join("bucket")
    }

    pub(crate) fn options(&self) -> Vec<StorageOption> {
        options(self.port)
    }

    /// Options of a front before this server.
    pub(crate) fn behind(&self, front: Front) -> Vec<StorageOption> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (front_port, server_port) = (listener.local_addr().unwrap().port(), self.port);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let front = front.clone();
                thread::spawn(move || pass(client, server_port, &front));
            }
        });
        options(front_port)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Passes one connection on, until either side ends it.
fn pass(mut client: TcpStream, server_port: u16, front: &Front) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)) else {
        return;
    };
    let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let request = &mut buffer[..length];
        match front {
            Front::IgnoresConditions => blank(request),
            Front::Refuses(left, status) if left.fetch_sub(1, Ordering::Relaxed) > 0 => {
                let refusal = format!("HTTP/1.1 {status} Slow Down\r\ncontent-length: 0\r\n\r\n");
                let _ = client.write_all(refusal.as_bytes());
                continue;
            }
            Front::SendsOn(left, status, to) if left.fetch_sub(1, Ordering::Relaxed) <= 0 => {
                let redirect = format!(
                    "HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
                );
                let _ = client.write_all(redirect.as_bytes());
                continue;
            }
            Front::Refuses(..) | Front::SendsOn(..) => {}
        }
        if server.write_all(request).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// Gives the condition's header a name that nobody knows.
fn blank(request: &mut [u8]) {
    const CONDITION: &[u8] = b"if-none-match:";
    let found = request
        .windows(CONDITION.len())
        .position(|window| window.eq_ignore_ascii_case(CONDITION));
    if let Some(at) = found {
        request[at] = b'x';
    }
}

fn options(port: u16) -> Vec<StorageOption> {
    let endpoint = format!("http://127.0.0.1:{port}");
    [
        ("allow_http", "true"),
        ("endpoint", &endpoint),
        ("region", "us-east-1"),
        ("skip_signature", "true"),
    ]
    .map(|(key, value)| StorageOption {
        key: key.to_owned(),
        value: value.to_owned(),
    })
    .into()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
