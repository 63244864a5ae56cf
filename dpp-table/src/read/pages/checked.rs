//! A file whose streamed pages are checked when the Parquet crate asks for their headers: of a piece that is held, that is
//! done before it reads any.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::read::pages::header::Header;
use crate::read::pages::{MAX_PAGE_BYTES, checked};
use crate::read::sparse::{SparseFile, SparseRead};

/// What the Parquet crate reads.
pub(crate) struct CheckedPages {
    file: SparseFile,
    /// Where pages begin whose headers were checked: the crate may ask for those as it asks for headers.
    bodies: Mutex<HashSet<u64>>,
}

impl CheckedPages {
    pub(crate) fn new(file: SparseFile) -> CheckedPages {
        CheckedPages {
            file,
            bodies: Mutex::default(),
        }
    }

    /// Whether a page begins here, not counting its header.
    fn is_body(&self, position: u64) -> bool {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.contains(&position)
    }

    fn check(&self, header: &Header, position: u64) -> Result<()> {
        checked(&self.file, header, position, MAX_PAGE_BYTES)
            .map_err(|fault| ParquetError::External(Box::new(fault)))?;
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.insert(position + header.bytes);
        Ok(())
    }
}

impl Length for CheckedPages {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for CheckedPages {
    type T = SparseRead;

    fn get_read(&self, start: u64) -> Result<SparseRead> {
        if !self.file.is_streamed(start) || self.is_body(start) {
            return self.file.get_read(start);
        }
        let header = Header::at(&self.file, start);
        // before the page itself is looked at, as its header may be gone then
        let read = self.file.get_read(start)?;
        if let Some(header) = header {
            self.check(&header, start)?;
        }
        Ok(read)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.file.get_bytes(start, length)
    }
}
