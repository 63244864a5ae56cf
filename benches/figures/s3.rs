//! A real S3 server over a folder, on loopback, for the time of a figure.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dpp_proto::v1::StorageOption;
use object_store::{ObjectStoreExt as _, aws::AmazonS3Builder, path::Path as Key};

/// The server. Buckets are folders of its folder.
pub(crate) struct Server {
    port: u16,
    process: Child,
}

impl Server {
    /// Starts `program` (s3s-fs) over an empty bucket and waits until it answers.
    pub(crate) fn start(program: &Path, folder: &Path) -> io::Result<Server> {
        fs::create_dir_all(folder.join(BUCKET))?;
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

    /// Puts the files of a folder into the bucket, as `table/…`, and returns the table's URL.
    ///
    /// Through the server, because s3s-fs keeps the entity tags of files that it wrote itself. Of others it makes the tag anew
    /// for every request, from the whole file: reading a range then takes as long as reading everything.
    pub(crate) async fn put(&self, folder: &Path, table: &str) -> io::Result<String> {
        let bucket = AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_skip_signature(true)
            .with_bucket_name(BUCKET)
            .build()?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let key = Key::from(format!("{table}/{name}"));
            bucket.put(&key, fs::read(&path)?.into()).await?;
        }
        Ok(format!("s3://{BUCKET}/{table}"))
    }

    /// Storage options that reach it.
    pub(crate) fn options(&self) -> Vec<StorageOption> {
        options(&self.endpoint())
    }

    /// Storage options that reach it through a proxy.
    pub(crate) fn options_by_way_of(&self, proxy: SocketAddr) -> Vec<StorageOption> {
        options(&format!("http://{proxy}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // gone already, then
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn options(endpoint: &str) -> Vec<StorageOption> {
    let options = [
        ("allow_http", "true"),
        ("endpoint", endpoint),
        ("region", "us-east-1"),
        ("skip_signature", "true"),
    ];
    let option = |(key, value): (&str, &str)| StorageOption {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    options.map(option).into()
}

const BUCKET: &str = "bucket";
const START: Duration = Duration::from_secs(20);
