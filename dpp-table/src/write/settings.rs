//! How files are written.

use std::collections::BTreeMap;

use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::write::file::RowGroupLimits;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Zstandard, level 1: the smallest of these.
    #[default]
    Zstd,
    /// LZ4 raw: the fastest to read.
    Lz4,
    /// Snappy.
    Snappy,
    /// Not at all.
    None,
}

/// How the values of a leaf column are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnEncoding {
    /// As they are.
    Plain,
    /// Distinct values once, and which one each is; plain from where they become too many.
    Dictionary,
    /// Differences, in as few bits as they need: for integers.
    DeltaBinaryPacked,
    /// Lengths apart from the bytes: for texts.
    DeltaLengthByteArray,
    /// First bytes together, second bytes together …: for floats.
    ByteStreamSplit,
}

/// Settings of writing that do not depend on what is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteSettings {
    /// How pages are compressed.
    pub codec: Codec,
    /// Stored bytes of a row group, about; a row group ends earlier where memory does.
    pub row_group_bytes: u64,
    /// Bytes of memory that writing may take in all, buffers of reading included. A ceiling: at least
    /// [`WriteSettings::LEAST_MEMORY_BYTES`].
    pub memory_bytes: u64,
}

impl WriteSettings {
    /// Less than this leaves no room for a row group.
    pub const LEAST_MEMORY_BYTES: u64 = 128 << 20;

    /// What a process of ours takes that reads and writes nothing.
    pub(crate) const BASE_BYTES: u64 = 48 << 20;

    /// Fails when nothing can be written so.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |reason| Err(Error::Writing { reason });
        let least = Self::LEAST_MEMORY_BYTES;
        if self.memory_bytes < least {
            let bytes = self.memory_bytes;
            return refuse(format!("{bytes} bytes of memory are too few: give {least}"));
        }
        if self.row_group_bytes == 0 {
            return refuse("row groups of 0 bytes hold nothing".to_owned());
        }
        Ok(())
    }

    /// Memory of one of `files` that are written at a time. As much again is left to the allocator, which keeps a heap a
    /// thread and gives little of it back.
    pub(crate) fn memory_of_one(&self, files: u64) -> u64 {
        self.memory_bytes.saturating_sub(Self::BASE_BYTES) / 2 / files
    }

    /// Limits of a file that may take `memory_bytes`: half is for pages of the row group, the rest for reading, for what is
    /// being encoded and for the chunk on its way out.
    pub(crate) fn row_group(&self, memory_bytes: u64) -> RowGroupLimits {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        RowGroupLimits {
            stored_bytes: bytes(self.row_group_bytes),
            memory_bytes: bytes(memory_bytes / 3),
        }
    }

    /// Properties for files of this schema; leaves that `encodings` lacks are encoded by their type: ids as a dictionary or
    /// packed, floats plain. A key's encryption can be added to what is returned.
    pub(crate) fn properties(
        &self,
        schema: &SchemaDescriptor,
        encodings: &BTreeMap<String, ColumnEncoding>,
    ) -> WriterPropertiesBuilder {
        let mut properties = WriterProperties::builder()
            .set_compression(self.codec.into())
            .set_created_by(concat!("dpp version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_dictionary_enabled(false);
        for leaf in schema.columns() {
            let path = leaf.path().string();
            let encoding = encodings.get(&path).copied();
            properties = encode(properties, leaf, encoding.unwrap_or(usual(leaf)));
            if has_useful_statistics(leaf) {
                let (path, chunk) = (leaf.path().clone(), EnabledStatistics::Chunk);
                properties = properties.set_column_statistics_enabled(path, chunk);
            }
        }
        properties
    }
}

impl Default for WriteSettings {
    fn default() -> Self {
        WriteSettings {
            codec: Codec::default(),
            row_group_bytes: 128 << 20,
            memory_bytes: 1 << 30,
        }
    }
}

/// Sets a leaf's encoding. A dictionary that grows too long goes on as what suits the type.
pub(crate) fn encode(
    properties: WriterPropertiesBuilder,
    leaf: &ColumnDescriptor,
    encoding: ColumnEncoding,
) -> WriterPropertiesBuilder {
    let path = || leaf.path().clone();
    let dictionary = encoding == ColumnEncoding::Dictionary;
    let properties = properties.set_column_dictionary_enabled(path(), dictionary);
    match encoding {
        ColumnEncoding::Plain => properties.set_column_encoding(path(), Encoding::PLAIN),
        ColumnEncoding::DeltaBinaryPacked => {
            properties.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
        }
        ColumnEncoding::DeltaLengthByteArray => {
            properties.set_column_encoding(path(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        }
        ColumnEncoding::ByteStreamSplit => {
            properties.set_column_encoding(path(), Encoding::BYTE_STREAM_SPLIT)
        }
        ColumnEncoding::Dictionary => match leaf.physical_type() {
            Type::INT32 | Type::INT64 => {
                properties.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
            }
            Type::BOOLEAN => properties,
            _ => properties.set_column_encoding(path(), Encoding::PLAIN),
        },
    }
}

/// The encodings that a leaf's type allows, the usual one first.
pub(crate) fn candidates(leaf: &ColumnDescriptor) -> &'static [ColumnEncoding] {
    use ColumnEncoding::*;
    match leaf.physical_type() {
        Type::FLOAT | Type::DOUBLE => &[Plain, ByteStreamSplit, Dictionary],
        Type::INT32 | Type::INT64 => &[Dictionary, DeltaBinaryPacked, Plain],
        Type::BYTE_ARRAY => &[Dictionary, DeltaLengthByteArray, Plain],
        _ => &[Plain],
    }
}

fn usual(leaf: &ColumnDescriptor) -> ColumnEncoding {
    candidates(leaf)[0]
}

/// Row groups are skipped by the range of a number of every row, such as a time; nobody filters by lists or scores.
fn has_useful_statistics(leaf: &ColumnDescriptor) -> bool {
    let integer = matches!(leaf.physical_type(), Type::INT32 | Type::INT64);
    integer && leaf.max_rep_level() == 0
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Compression {
        match codec {
            Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1 exists")),
            Codec::Lz4 => Compression::LZ4_RAW,
            Codec::Snappy => Compression::SNAPPY,
            Codec::None => Compression::UNCOMPRESSED,
        }
    }
}

/// A page is the least that a piece reads.
const PAGE_ROWS: usize = 20_000;
const PAGE_BYTES: usize = 1 << 20;
