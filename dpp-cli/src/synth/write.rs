//! One file of a synthetic table, written under a hidden name and shown when it is whole.

use std::{
    fs::{self, File as Handle},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::array::RecordBatch;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    arguments::Codec,
    destination::{HIDDEN, failed},
    shape::{Shape, Values},
};
use crate::error::Error;

/// Writes batches to `path` as one Parquet file and returns its size in bytes.
///
/// `wrote` hears the number of rows after each batch and says whether to go on; if not, nothing is left and the size is 0.
pub(crate) fn write(
    path: &Path,
    schema: &arrow::datatypes::SchemaRef,
    properties: &WriterProperties,
    batches: impl Iterator<Item = RecordBatch>,
    wrote: impl Fn(u64) -> bool,
) -> Result<u64, Error> {
    let hidden = Hidden::beside(path)?;
    let broken = |source| Error::Parquet {
        path: path.to_owned(),
        source,
    };
    let handle = Handle::create(&hidden.path).map_err(failed(&hidden.path))?;
    let mut writer = ArrowWriter::try_new(handle, Arc::clone(schema), Some(properties.clone()))
        .map_err(broken)?;
    for batch in batches {
        writer.write(&batch).map_err(broken)?;
        if !wrote(batch.num_rows() as u64) {
            return Ok(0);
        }
    }
    let handle = writer.into_inner().map_err(broken)?;
    let size = handle.metadata().map_err(failed(path))?.len();
    hidden.show(path)?;
    Ok(size)
}

/// How files of this shape are written.
pub(crate) fn properties(
    shape: &Shape,
    maps: bool,
    codec: Codec,
    row_group_rows: usize,
) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_compression(match codec {
            Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1)?),
            Codec::Lz4 => Compression::LZ4_RAW,
            Codec::Snappy => Compression::SNAPPY,
            Codec::None => Compression::UNCOMPRESSED,
        })
        .set_max_row_group_row_count(Some(row_group_rows))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // of the two maps every leaf, as other writers do
        .set_dictionary_enabled(maps);
    let columns = shape.columns.iter().filter(|_| !maps);
    for column in columns.filter(|column| column.dictionary) {
        let leaf = |path: &[&str]| {
            let parts = [column.name.as_str()]
                .into_iter()
                .chain(path.iter().copied());
            ColumnPath::new(parts.map(str::to_owned).collect())
        };
        let path = match &column.values {
            Values::IdList { .. } => leaf(&["list", "element"]),
            Values::IdScoreList { .. } => leaf(&["list", "element", "id"]),
            _ => leaf(&[]),
        };
        builder = builder.set_column_dictionary_enabled(path, true);
    }
    Ok(builder.build())
}

/// A file under a hidden name, removed unless it is shown.
struct Hidden {
    path: PathBuf,
}

impl Hidden {
    fn beside(path: &Path) -> Result<Hidden, Error> {
        let name = path
            .file_name()
            .expect("files have names")
            .to_string_lossy();
        let directory = path.parent().expect("files lie in the table's directory");
        fs::create_dir_all(directory).map_err(failed(directory))?;
        Ok(Hidden {
            path: directory.join(format!("{HIDDEN}{name}")),
        })
    }

    fn show(self, path: &Path) -> Result<(), Error> {
        fs::rename(&self.path, path).map_err(failed(path))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // gone already when it was shown
        let _ = fs::remove_file(&self.path);
    }
}
