//! A real S3 server over a folder, on loopback, that asks for signatures.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The server; buckets are folders of its folder.
pub(crate) struct S3 {
    port: u16,
    server: Child,
}

impl S3 {
    pub(crate) fn start(folder: &Path) -> S3 {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/tools/bin/s3s-fs");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; `make test` installs it", program.display())
            });
        let server = S3 { port, server };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the S3 server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// What a process needs in its environment to read here.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // gone already, then
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(crate) const SECRET: &str = "a-secret-that-nobody-says";
const KEY: &str = "reader";
