//! A file that comes to be in a store: invisible until it is whole, gone if it never is.
//!
//! On this machine it is written under a hidden name and renamed. In an object store it is a multipart upload, which
//! completes or leaves nothing to be seen. Writing blocks: it belongs on a thread that may wait.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{
    MultipartUpload, ObjectStoreExt, PutPayload, PutResult, UploadPart, WriteMultipart,
};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::store::Store;
use crate::store::url::Place;

/// Where the bytes of a new file go. Dropped before [`finish`](Output::finish), it leaves nothing that readers see.
pub(crate) enum Output {
    Local(Hidden),
    Remote(Upload),
}

/// A local file under a hidden name, removed unless it is shown.
pub(crate) struct Hidden {
    file: BufWriter<File>,
    hidden: Option<PathBuf>,
    shown: PathBuf,
}

/// A multipart upload.
pub(crate) struct Upload {
    parts: Option<WriteMultipart>,
    runtime: Handle,
}

impl Store {
    /// Begins a new file, or the next version of one.
    pub(crate) async fn create(&self, relative: &str) -> Result<Output, Error> {
        let location = self.location(relative)?;
        if self.place == Place::Local {
            let path = std::path::Path::new("/").join(location.as_ref());
            return Output::local(path).map_err(|source| self.unwritable(relative, source));
        }
        let upload = self.objects.put_multipart(&location).await;
        let upload = upload.map_err(|error| Error::storage(&self.name(relative), error))?;
        Ok(Output::Remote(Upload::new(upload, Handle::current())))
    }

    /// Writes a small file as a whole.
    pub(crate) async fn put(&self, relative: &str, content: Bytes) -> Result<(), Error> {
        if self.place == Place::Remote {
            let location = self.location(relative)?;
            let stored = self.objects.put(&location, content.into()).await;
            return stored
                .map(|_| ())
                .map_err(|error| Error::storage(&self.name(relative), error));
        }
        let mut output = self.create(relative).await?;
        let written = output.write_all(&content).and_then(|()| output.finish());
        written.map_err(|source| self.unwritable(relative, source))
    }

    /// Reads a small file; `None` if there is none.
    pub(crate) async fn get(&self, relative: &str) -> Result<Option<Bytes>, Error> {
        let location = self.location(relative)?;
        let read = async { self.objects.get(&location).await?.bytes().await };
        match read.await {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::storage(&self.name(relative), error)),
        }
    }

    pub(crate) fn unwritable(&self, relative: &str, source: io::Error) -> Error {
        Error::Unwritable {
            path: self.name(relative),
            source,
        }
    }
}

impl Output {
    /// Begins a local file. Its folder is made.
    fn local(shown: PathBuf) -> io::Result<Output> {
        let name = shown.file_name().unwrap_or_default().to_string_lossy();
        let hidden = shown.with_file_name(format!("{HIDDEN}{name}"));
        if let Some(folder) = shown.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Output::Local(Hidden {
            file: BufWriter::with_capacity(BUFFER_BYTES, File::create(&hidden)?),
            hidden: Some(hidden),
            shown,
        }))
    }

    /// Most bytes that a file holds back in memory after `written` bytes.
    pub(crate) fn held_bytes(place: Place, written: u64) -> u64 {
        match place {
            Place::Local => BUFFER_BYTES as u64,
            Place::Remote => written.min(((PARTS_IN_FLIGHT + 1) * PART_BYTES) as u64),
        }
    }

    /// Makes the file visible, as a whole.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Output::Local(mut local) => {
                local.file.flush()?;
                local.file.get_ref().sync_all()?;
                let hidden = local.hidden.take().expect("a file is finished once");
                fs::rename(hidden, &local.shown)
            }
            Output::Remote(mut upload) => {
                let parts = upload.parts.take().expect("an upload is finished once");
                let finished = upload.runtime.block_on(parts.finish());
                finished.map(|_| ()).map_err(io::Error::other)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Local(local) => local.file.write(bytes),
            Output::Remote(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Local(local) => local.file.flush(),
            Output::Remote(_) => Ok(()),
        }
    }
}

impl Upload {
    fn new(upload: Box<dyn MultipartUpload>, runtime: Handle) -> Upload {
        let upload = Box::new(EndsQuietly(upload));
        Upload {
            parts: Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES)),
            runtime,
        }
    }

    /// Buffers a part, and waits while others are under way.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let parts = self
            .parts
            .as_mut()
            .expect("nothing is written once finished");
        let _tasks_go_there = self.runtime.enter();
        self.runtime
            .block_on(parts.wait_for_capacity(PARTS_IN_FLIGHT))
            .map_err(io::Error::other)?;
        let bytes = &bytes[..bytes.len().min(PART_BYTES)];
        parts.write(bytes);
        Ok(bytes.len())
    }
}

/// An upload that, when it can't be aborted, leaves the word to the error that led there.
#[derive(Debug)]
struct EndsQuietly(Box<dyn MultipartUpload>);

#[async_trait]
impl MultipartUpload for EndsQuietly {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.0.put_part(part)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.0.complete().await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        if let Err(error) = self.0.abort().await {
            // unseen by readers, and gone by the bucket's rules
            tracing::warn!(%error, "parts of a file that was not finished may still be stored");
        }
        Ok(())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(hidden) = self.hidden.take() {
            // the error that led here is the one to report
            let _ = fs::remove_file(hidden);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            self.runtime.spawn(parts.abort());
        }
    }
}

/// Begins the name of a file that is still being written; readers of tables skip such names.
pub(crate) const HIDDEN: &str = ".writing-";
const BUFFER_BYTES: usize = 1 << 20;
/// Of an upload's parts, each [`PART_BYTES`] long.
const PARTS_IN_FLIGHT: usize = 2;
/// Of which an object has at most 10,000.
const PART_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::runtime::Runtime;

    use super::*;

    /// An upload that fails at everything.
    #[derive(Debug)]
    struct Broken;

    fn fails<T>(why: &'static str) -> object_store::Result<T> {
        Err(object_store::Error::Generic {
            store: "test",
            source: why.into(),
        })
    }

    #[async_trait]
    impl MultipartUpload for Broken {
        fn put_part(&mut self, part: PutPayload) -> UploadPart {
            let told = match part.content_length() {
                3 => fails("the part is too small"),
                _ => Ok(()),
            };
            std::future::ready(told).boxed()
        }

        async fn complete(&mut self) -> object_store::Result<PutResult> {
            fails("the bucket is full")
        }

        async fn abort(&mut self) -> object_store::Result<()> {
            fails("there is no such upload")
        }
    }

    #[test]
    fn what_broke_an_upload_is_said_though_it_cant_be_aborted() {
        let runtime = Runtime::new().unwrap();
        for (content, cause) in [("abc", "too small"), ("abcd", "is full")] {
            let upload = Upload::new(Box::new(Broken), runtime.handle().clone());
            let mut output = Output::Remote(upload);
            output.write_all(content.as_bytes()).unwrap();
            let said = output.finish().unwrap_err().to_string();
            assert!(said.contains(cause), "{said}");
        }
    }
}
