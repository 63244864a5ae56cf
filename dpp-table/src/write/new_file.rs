//! A new file of a table: its keys are made and its place in the store is taken by who may wait, its bytes are encoded and
//! written by a thread that may block.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::encryption::lock::{EncryptionPlan, key_material_name};
use crate::error::Error;
use crate::store::Store;
use crate::store::output::Output;
use crate::write::file::{FileWriter, RowGroupLimits};
use crate::write::settings::{ColumnEncoding, WriteSettings};

/// What all new files of a table share.
#[derive(Clone, Copy)]
pub(crate) struct NewFiles<'a> {
    pub(crate) store: &'a Store,
    pub(crate) settings: &'a WriteSettings,
    /// By the leaf's path; leaves that are not here are encoded by their type.
    pub(crate) encodings: &'a BTreeMap<String, ColumnEncoding>,
    pub(crate) encryption: Option<&'a EncryptionPlan>,
}

/// A file that is about to be written.
pub(crate) struct NewFile {
    name: String,
    output: Output,
    schema: SchemaRef,
    properties: WriterProperties,
    limits: RowGroupLimits,
}

/// A file that is being written. Dropped before it is finished, it leaves nothing that readers see.
pub(crate) struct OpenFile {
    name: String,
    file: FileWriter<Output>,
}

impl NewFiles<'_> {
    /// Begins the file at `path`. Its key material is put beside it first, if that is where it goes.
    pub(crate) async fn begin(
        self,
        path: &str,
        schema: &SchemaRef,
        limits: RowGroupLimits,
    ) -> Result<NewFile, Error> {
        Ok(NewFile {
            name: self.store.name(path),
            properties: self.properties(path, schema).await?,
            output: self.store.create(path).await?,
            schema: Arc::clone(schema),
            limits,
        })
    }

    async fn properties(self, path: &str, schema: &SchemaRef) -> Result<WriterProperties, Error> {
        let name = self.store.name(path);
        let schema = ArrowSchemaConverter::new().convert(schema);
        let schema = schema.map_err(|source| encode_error(name.clone(), source))?;
        let properties = self.settings.properties(&schema, self.encodings);
        let Some(plan) = self.encryption else {
            return Ok(properties.build());
        };
        let encryption = plan.for_file(&name, &schema).await?;
        if let Some(material) = encryption.key_material {
            let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
            let beside = format!("{folder}/{}", key_material_name(file));
            let beside = beside.trim_start_matches('/');
            self.store.put(beside, material).await?;
        }
        let encrypted = encryption.properties;
        Ok(properties
            .with_file_encryption_properties(encrypted)
            .build())
    }
}

impl NewFile {
    /// Writes its first bytes. From here on everything blocks.
    pub(crate) fn open(self) -> Result<OpenFile, Error> {
        let file = FileWriter::new(self.output, self.schema, self.properties, self.limits);
        match file {
            Ok(file) => Ok(OpenFile {
                name: self.name,
                file,
            }),
            Err(source) => Err(encode_error(self.name, source)),
        }
    }
}

impl OpenFile {
    /// Adds rows of the file's schema, few enough for a row group to be overfull by them.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let written = self.file.write(rows);
        written.map_err(|source| encode_error(self.name.clone(), source))
    }

    /// Ends the row group that is being filled, if there is one.
    pub(crate) fn end_row_group(&mut self) -> Result<(), Error> {
        let ended = self.file.end_row_group();
        ended.map_err(|source| encode_error(self.name.clone(), source))
    }

    /// Bytes in memory of the row group that is being filled.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.file.memory_bytes()
    }

    /// Bytes of the row groups that have ended.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.file.written_bytes()
    }

    /// Writes what is left and shows the file, as a whole.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let name = self.name;
        let output = self.file.finish();
        let output = output.map_err(|source| encode_error(name.clone(), source))?;
        let shown = output.finish();
        shown.map_err(|source| Error::Unwritable { path: name, source })
    }
}

/// A file that can't be written: by the system's or storage's fault, or the format's.
pub(crate) fn encode_error(path: String, source: ParquetError) -> Error {
    match source {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => Error::Unwritable {
                path,
                source: *source,
            },
            Err(inner) => Error::Encode {
                path,
                source: ParquetError::External(inner),
            },
        },
        source => Error::Encode { path, source },
    }
}
