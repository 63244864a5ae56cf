//! The fetched and the streamed parts of a file, offered to the Parquet crate as if they were the file, and as if it had never
//! been encrypted.
//!
//! A read of other bytes is an error: only files that lie about their layout cause one, and a store that fails a stream.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::Error;
use crate::read::sealed::{Sealed, Stored};
use crate::read::stream::Stream;

/// Parts of a file by position: in memory, or streamed.
#[derive(Clone)]
pub(crate) struct SparseFile {
    parts: Arc<[(u64, Bytes)]>,
    stream: Option<Arc<Stream>>,
    pub(super) sealed: Option<Arc<Sealed>>,
    file_size_bytes: u64,
}

/// Reads on from a position until the fetched bytes end.
pub(crate) struct SparseRead {
    file: SparseFile,
    position: u64,
    rest: Bytes,
}

impl SparseFile {
    /// `requests` are ascending and disjoint; `buffers` are what they returned.
    pub(crate) fn new(requests: &[Range<u64>], buffers: Vec<Bytes>, file_size_bytes: u64) -> Self {
        let starts = requests.iter().map(|request| request.start);
        SparseFile {
            parts: starts.zip(buffers).collect(),
            stream: None,
            sealed: None,
            file_size_bytes,
        }
    }

    /// The file, with other parts of it streamed.
    pub(crate) fn with_stream(self, stream: Stream) -> Self {
        SparseFile {
            stream: Some(Arc::new(stream)),
            ..self
        }
    }

    /// The file, with encrypted parts of it opened as they are asked for.
    pub(crate) fn with_sealed(self, sealed: Option<Arc<Sealed>>) -> Self {
        SparseFile { sealed, ..self }
    }

    /// Why bytes did not come, if that happened: a decoder only sees that it lacks them.
    pub(crate) fn fault(&self, name: &str) -> Option<Error> {
        let altered = || {
            let sealed = self.sealed.as_ref()?;
            sealed.is_altered().then(|| Error::corrupt(name, ALTERED))
        };
        self.stream().and_then(Stream::fault).or_else(altered)
    }

    fn sealed(&self, position: u64) -> Option<&Sealed> {
        self.sealed
            .as_deref()
            .filter(|sealed| sealed.covers(position))
    }

    /// What is streamed, if anything.
    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.stream.as_deref()
    }

    /// Bytes in memory, those included that are streamed, at a time.
    pub(crate) fn held_bytes(&self) -> u64 {
        let parts = self.parts.iter().map(|(_, bytes)| bytes.len() as u64);
        parts.sum::<u64>() + self.stream().map_or(0, Stream::held_bytes)
    }

    /// Whether the byte at `position` is streamed, and so seen once.
    pub(crate) fn is_streamed(&self, position: u64) -> bool {
        self.stream().is_some_and(|stream| stream.covers(position))
    }

    /// At most `length` bytes from `start`, fewer where the fetched ones end.
    pub(crate) fn peek(&self, start: u64, length: usize) -> Bytes {
        if let Some(sealed) = self.sealed(start) {
            let mut header = sealed.header(self, start).unwrap_or_default().1;
            header.truncate(length);
            return header;
        }
        if self.is_streamed(start) {
            return self.streamed(start, length).unwrap_or_default();
        }
        let Ok((mut part, first)) = self.from(start) else {
            return Bytes::new();
        };
        if length <= first.len() {
            return first.slice(..length);
        }
        let mut whole = BytesMut::from(&first[..]);
        while whole.len() < length
            && let Some(more) = self.next(part)
        {
            whole.extend_from_slice(&more[..more.len().min(length - whole.len())]);
            part += 1;
        }
        whole.freeze()
    }

    fn streamed(&self, start: u64, length: usize) -> Option<Bytes> {
        self.stream()?.read(start, length as u64)
    }

    /// Some bytes from `start` on, one at least.
    fn some(&self, start: u64) -> Result<Bytes> {
        if let Some(sealed) = self.sealed(start) {
            let header = sealed.header(self, start).map(|(_, header)| header);
            let some = header.or_else(|| sealed.body(self, start));
            return some.ok_or_else(|| absent(start));
        }
        if self.is_streamed(start) {
            let some = self.stream().and_then(|stream| stream.some(start));
            return some.ok_or_else(|| absent(start));
        }
        Ok(self.from(start)?.1)
    }

    /// A page's body, or a page from its header on.
    fn opened(&self, sealed: &Sealed, start: u64, length: usize) -> Option<Bytes> {
        let Some((body, header)) = sealed.header(self, start) else {
            return sealed.body(self, start);
        };
        if length <= header.len() {
            return Some(header);
        }
        Some([header, sealed.body(self, body)?].concat().into())
    }

    /// Shares the fetched buffer; copies only what spans two of them.
    fn stored_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        if self.is_streamed(start) {
            let whole = self.streamed(start, length);
            let whole = whole.filter(|bytes| bytes.len() == length);
            return whole.ok_or_else(|| absent(start));
        }
        let (mut part, first) = self.from(start)?;
        if length <= first.len() {
            return Ok(first.slice(..length));
        }
        let mut whole = BytesMut::from(&first[..]);
        while whole.len() < length {
            let position = start + whole.len() as u64;
            let more = self.next(part).ok_or_else(|| absent(position))?;
            whole.extend_from_slice(&more[..more.len().min(length - whole.len())]);
            part += 1;
        }
        Ok(whole.freeze())
    }

    /// The part that holds `start`, and its bytes from there.
    fn from(&self, start: u64) -> Result<(usize, Bytes)> {
        let part = self.parts.partition_point(|(first, _)| *first <= start);
        let part = part.checked_sub(1).ok_or_else(|| absent(start))?;
        let (first, bytes) = &self.parts[part];
        let skip = (start - first) as usize;
        if skip >= bytes.len() {
            return Err(absent(start));
        }
        Ok((part, bytes.slice(skip..)))
    }

    /// The part that directly continues `part`.
    fn next(&self, part: usize) -> Option<&Bytes> {
        let (first, bytes) = &self.parts[part];
        let (next, more) = self.parts.get(part + 1)?;
        (first + bytes.len() as u64 == *next).then_some(more)
    }
}

impl Length for SparseFile {
    fn len(&self) -> u64 {
        self.file_size_bytes
    }
}

impl ChunkReader for SparseFile {
    type T = SparseRead;

    fn get_read(&self, start: u64) -> Result<SparseRead> {
        let rest = match self.sealed(start) {
            // opened when it is read, as whoever asks may look no further
            Some(_) => Bytes::new(),
            None => self.some(start)?,
        };
        Ok(SparseRead {
            file: self.clone(),
            position: start + rest.len() as u64,
            rest,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let Some(sealed) = self.sealed(start).filter(|_| length > 0) else {
            return self.stored_bytes(start, length);
        };
        let mut opened = self
            .opened(sealed, start, length)
            .filter(|opened| length <= opened.len());
        if let Some(opened) = &mut opened {
            opened.truncate(length);
        }
        opened.ok_or_else(|| absent(start))
    }
}

impl Stored for SparseFile {
    fn stored(&self, start: u64, length: usize) -> Option<Bytes> {
        self.stored_bytes(start, length).ok()
    }
}

impl Read for SparseRead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty()
            && let Ok(more) = self.file.some(self.position)
        {
            self.position += more.len() as u64;
            self.rest = more;
        }
        let count = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

const ALTERED: &str =
    "an encrypted page does not fit its tag: it was altered, or belongs to another place or file";

fn absent(position: u64) -> ParquetError {
    ParquetError::EOF(format!(
        "a page at byte {position} lies outside its column chunk"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> SparseFile {
        let requests = [2..5, 5..8, 10..12];
        let buffers = vec![
            Bytes::from_static(b"cde"),
            Bytes::from_static(b"fgh"),
            Bytes::from_static(b"kl"),
        ];
        SparseFile::new(&requests, buffers, 20)
    }

    #[test]
    fn bytes_within_and_across_parts() {
        assert_eq!(file().get_bytes(3, 2).unwrap(), "de");
        assert_eq!(file().get_bytes(3, 4).unwrap(), "defg");
        assert_eq!(file().get_bytes(10, 2).unwrap(), "kl");
        assert_eq!(file().get_bytes(15, 0).unwrap(), "");
    }

    #[test]
    fn absent_bytes_are_an_error() {
        for (start, length) in [(0, 1), (7, 2), (8, 1), (11, 2), (19, 1)] {
            assert!(file().get_bytes(start, length).is_err(), "{start} {length}");
        }
    }

    #[test]
    fn reading_on_ends_with_the_fetched_bytes() {
        let mut text = String::new();
        file()
            .get_read(4)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "efgh");
        assert!(file().get_read(9).is_err());
    }
}
