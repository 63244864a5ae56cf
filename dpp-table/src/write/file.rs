//! One Parquet file, written batch by batch: row groups are cut by bytes, pages carry checksums, nothing is visible until the
//! file is whole. Computes and writes to its `sink`; waits nowhere else.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::write::checksum::{Shelf, Shelves};

/// When a row group ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowGroupLimits {
    /// Stored bytes, about.
    pub(crate) stored_bytes: usize,
    /// Bytes in memory: what stored ones are not yet.
    pub(crate) memory_bytes: usize,
}

/// A file that is being written.
pub(crate) struct FileWriter<W: Write + Send> {
    schema: SchemaRef,
    file: SerializedFileWriter<W>,
    columns: ArrowRowGroupWriterFactory,
    shelves: Arc<Shelves>,
    group: Option<RowGroup>,
    groups: usize,
    limits: RowGroupLimits,
    /// Encrypted pages carry a tag of their own, and their headers can't be changed.
    checksums: bool,
}

/// A row group that is being filled.
struct RowGroup {
    writers: Vec<ArrowColumnWriter>,
    shelves: Vec<Shelf>,
}

impl<W: Write + Send> FileWriter<W> {
    /// Begins a file of this schema. Fails when a type has no Parquet form.
    pub(crate) fn new(
        sink: W,
        schema: SchemaRef,
        mut properties: WriterProperties,
        limits: RowGroupLimits,
    ) -> Result<FileWriter<W>> {
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let stored = ArrowSchemaConverter::new().convert(&schema)?;
        let checksums = properties.file_encryption_properties().is_none();
        let file = SerializedFileWriter::new(sink, stored.root_schema_ptr(), Arc::new(properties))?;
        let shelves = Arc::new(Shelves::default());
        let mut columns = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        if checksums {
            columns = columns.with_page_store_factory(Arc::clone(&shelves) as _);
        }
        Ok(FileWriter {
            schema,
            file,
            columns,
            shelves,
            group: None,
            groups: 0,
            limits,
            checksums,
        })
    }

    /// Adds rows. The batch has this file's schema, and is small: a row group is overfull by at most one.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let group = match &mut self.group {
            Some(group) => group,
            None => {
                let writers = self.columns.create_column_writers(self.groups)?;
                let shelves = self.shelves.take();
                self.group.insert(RowGroup { writers, shelves })
            }
        };
        let mut writers = group.writers.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                let writer = writers.next().expect("a leaf column has a writer");
                writer.write(&leaf)?;
            }
        }
        let (stored, memory) = group.sizes();
        if stored >= self.limits.stored_bytes || memory >= self.limits.memory_bytes {
            self.end_row_group()?;
        }
        Ok(())
    }

    /// Bytes in memory of the row group that is being filled.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.group.as_ref().map_or(0, |group| group.sizes().1)
    }

    /// Bytes of the row groups that have ended.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// Writes what is left and the footer, and gives the sink back.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.end_row_group()?;
        self.file.into_inner()
    }

    /// Writes the row group that is being filled, if there is one.
    pub(crate) fn end_row_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        self.groups += 1;
        let mut stored = self.file.next_row_group()?;
        if !self.checksums {
            for writer in group.writers {
                writer.close()?.append_to_row_group(&mut stored)?;
            }
            return stored.close().map(|_| ());
        }
        for (writer, shelf) in group.writers.into_iter().zip(group.shelves) {
            let closed = writer.close()?.close().clone();
            let (bytes, closed) = shelf.checksummed(closed)?;
            stored.append_column(&bytes, closed)?;
        }
        stored.close().map(|_| ())
    }
}

impl RowGroup {
    /// Stored bytes so far, estimated, and bytes in memory.
    fn sizes(&self) -> (usize, usize) {
        let stored = ArrowColumnWriter::get_estimated_total_bytes;
        let memory = ArrowColumnWriter::memory_size;
        let sum = |bytes: fn(&ArrowColumnWriter) -> usize| self.writers.iter().map(bytes).sum();
        (sum(stored), sum(memory))
    }
}
