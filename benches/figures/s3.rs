//! A real S3 server over a folder, on loopback, for the time of a figure.

use std::{
    io,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dpp_proto::v1::StorageOption;

/// The server. Buckets are folders of its folder.
pub(crate) struct Server {
    port: u16,
    process: Child,
}

impl Server {
    /// Starts `program` (s3s-fs) and waits until it answers.
    pub(crate) fn start(program: &Path, folder: &Path) -> io::Result<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server { port, process };
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("the S3 server does not answer"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Storage options that reach it.
    pub(crate) fn options(&self) -> Vec<StorageOption> {
        let endpoint = self.endpoint();
        let options = [
            ("allow_http", "true"),
            ("endpoint", &endpoint),
            ("region", "us-east-1"),
            ("skip_signature", "true"),
        ];
        let option = |(key, value): (&str, &str)| StorageOption {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        options.map(option).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // gone already, then
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const START: Duration = Duration::from_secs(20);
