//! Which keys a file's feature maps hold: read from a bounded sample, so a rare key may go unseen, or from all of it.
//!
//! The sample is the first megabyte of the key column in up to eight row groups, spread over the file: keys are small
//! and dictionary-encoded, so that is some million entries, and mostly the dictionary alone tells. Encrypted maps: see `sealed_map_keys`.
//! A key that was not seen can be read all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type as PhysicalType;
use parquet::column::page::PageReader;
use parquet::column::reader::{get_column_reader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use crate::error::Error;
use crate::features::feature_map::{MapKey, shape_of};
use crate::features::{key_dictionary, sealed_map_keys};
use crate::files::Files;
use crate::footer::Footer;
use crate::read::decode::guarded;
use crate::read::fetch::ReadCounters;
use crate::read::pages;
use crate::read::plan::chunk_range;
use crate::read::sparse::SparseFile;

/// Keys by map column. A column with more than [`MAX_KEYS`] keys has none here: it maps ids to scores.
pub(crate) type MapKeys = BTreeMap<String, BTreeSet<MapKey>>;

/// How much of a file is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Sample,
    /// Every key of every row, unless the map is encrypted: of that a sample.
    Whole,
}

/// Reads the keys of a file with the schema `arrow`.
pub(crate) async fn read(
    files: &Files,
    path: &str,
    footer: &Arc<Footer>,
    arrow: &Schema,
    extent: Extent,
) -> Result<(MapKeys, ReadCounters), Error> {
    let store = &files.store;
    let name = store.name(path);
    let mut io = ReadCounters::default();
    let mut keys = MapKeys::new();
    let rows = footer.row_group_rows();
    let groups = match extent {
        Extent::Sample => sampled_groups(rows),
        Extent::Whole => (0..rows.len()).filter(|group| rows[*group] > 0).collect(),
    };
    for field in arrow.fields() {
        let Some((root, leaf)) = key_leaf(footer, field) else {
            continue;
        };
        if footer.is_encrypted(leaf) {
            let found = sealed_map_keys::sample(files, path, footer, root, &mut io).await?;
            keys.extend(found.map(|found| (field.name().clone(), found)));
            continue;
        }
        let schema = footer.narrow(&name, &[root], false)?;
        let of_group = |group: &usize| footer.narrow_group(&name, &schema, *group);
        let columns = groups.iter().map(of_group).collect::<Result<Vec<_>, _>>()?;
        // of one root its keys come first
        let chunk = |column: &ArrowReaderMetadata| {
            chunk_range(&name, footer, column.metadata().row_group(0).column(0))
        };
        let mut ranges = columns.iter().map(chunk).collect::<Result<Vec<_>, _>>()?;
        if extent == Extent::Sample {
            for range in &mut ranges {
                range.end = range.end.min(range.start + SAMPLE_BYTES);
            }
        }
        let mut found = Some(BTreeSet::new());
        for (column, range) in columns.iter().zip(ranges) {
            let wanted = std::slice::from_ref(&range);
            let stored = store
                .read(path, footer.etag.as_deref(), wanted)
                .await?
                .remove(0);
            io += stored.cost();
            let parts = std::slice::from_ref(&range);
            let file = SparseFile::new(parts, vec![stored.bytes], footer.file_size_bytes);
            if pages::check(&file, range.clone(), MAX_PAGE_BYTES).is_err() {
                continue;
            }
            let lists_all = extent == Extent::Sample && key_dictionary::is_complete(&file, range);
            let add = |found| decode(column.metadata(), file, lists_all, found);
            found = match found {
                Some(found) => guarded(&name, || add(found))?,
                None => None,
            };
        }
        if let Some(found) = found {
            keys.insert(field.name().clone(), found);
        }
    }
    Ok((keys, io))
}

/// The root of a map of features, and the leaf that holds its keys.
fn key_leaf(footer: &Footer, field: &Field) -> Option<(usize, usize)> {
    shape_of(field.data_type())?;
    let root = footer.root(field.name())?;
    Some((root, footer.first_leaf(root)?))
}

/// Row groups with rows, thinned evenly to at most [`MAX_GROUPS`].
fn sampled_groups(rows: &[u64]) -> Vec<usize> {
    let groups: Vec<usize> = (0..rows.len()).filter(|group| rows[*group] > 0).collect();
    let step = groups.len().div_ceil(MAX_GROUPS).max(1);
    groups.into_iter().step_by(step).collect()
}

/// Adds the distinct keys in the fetched part of a chunk to those found; `None` if they are too many. `lists_all`: its
/// dictionary has them.
fn decode(
    column: &ParquetMetaData,
    file: SparseFile,
    lists_all: bool,
    mut found: BTreeSet<MapKey>,
) -> Option<BTreeSet<MapKey>> {
    let descriptor = column.file_metadata().schema_descr().column(0);
    let group = column.row_group(0);
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    let reader = SerializedPageReader::new(Arc::new(file), group.column(0), rows, None);
    let Ok(mut pages) = reader.map(Box::new) else {
        return Some(found);
    };
    if lists_all {
        found.extend(
            key_dictionary::keys(descriptor.physical_type(), &mut *pages).unwrap_or_default(),
        );
        return (found.len() <= MAX_KEYS).then_some(found);
    }
    match descriptor.physical_type() {
        PhysicalType::INT32 => distinct::<Int32Type>(descriptor, pages, found, |key| {
            Some(MapKey::Integer(i64::from(*key)))
        }),
        PhysicalType::INT64 => {
            distinct::<Int64Type>(descriptor, pages, found, |key| Some(MapKey::Integer(*key)))
        }
        PhysicalType::BYTE_ARRAY => distinct::<ByteArrayType>(descriptor, pages, found, text_key),
        _ => Some(found),
    }
}

fn text_key(key: &ByteArray) -> Option<MapKey> {
    let text = std::str::from_utf8(key.data()).ok()?;
    Some(MapKey::Text(text.to_owned()))
}

/// Reads on until the pages, or the fetched part of them, end.
fn distinct<T: DataType>(
    descriptor: ColumnDescPtr,
    pages: Box<dyn PageReader>,
    mut found: BTreeSet<MapKey>,
    key: impl Fn(&T::T) -> Option<MapKey>,
) -> Option<BTreeSet<MapKey>> {
    let reader = get_column_reader(Arc::clone(&descriptor), pages);
    let mut reader = get_typed_column_reader::<T>(reader);
    let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        definition.clear();
        repetition.clear();
        values.clear();
        let read: Result<_, ParquetError> = reader.read_records(
            RECORDS_AT_A_TIME,
            Some(&mut definition),
            Some(&mut repetition),
            &mut values,
        );
        found.extend(values.iter().filter_map(&key));
        if found.len() > MAX_KEYS {
            return None;
        }
        // an error is the end of the sample, or damage that reading the rows will name
        match read {
            Ok((records, ..)) if records > 0 => {}
            _ => return Some(found),
        }
    }
}

/// Fetched per map column and file.
const SAMPLE_BYTES: u64 = 1 << 20;
/// Features that one map column may hold. More keys than that are ids.
const MAX_KEYS: usize = 20_000;
/// Row groups looked into per file.
const MAX_GROUPS: usize = 8;
/// A page of keys is not larger, when decompressed; one that is goes unsampled.
const MAX_PAGE_BYTES: u64 = 64 << 20;
const RECORDS_AT_A_TIME: usize = 1024;
