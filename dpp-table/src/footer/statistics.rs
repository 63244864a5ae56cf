//! What row groups say of some columns' values. The footer is read once more for it, with just those columns' statistics.
//!
//! Only plain integers and floats count: their stored order is that of the values delivered. Texts may be cut short, and
//! times change their unit.

use dpp_proto::v1::{Feature, Kind};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::statistics::Statistics;
use xxhash_rust::xxh3::xxh3_64;

use super::load::{TAIL_BYTES, footer_bytes, stored_footer, tail};
use super::{Footer, blocking, options};
use crate::error::Error;
use crate::files::Files;
use crate::read::fetch::{PieceRequest, ReadCounters, known_footer};
use crate::read::plan::row_group;

/// What a row group says of a column's values; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColumnBounds {
    /// Every value that is there lies between these, both included; NaN may lie anywhere.
    pub values: Option<StoredExtent>,
    /// Whether there is no null.
    pub has_no_nulls: bool,
}

/// The least and the largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StoredExtent {
    /// Of integers.
    Ints(i64, i64),
    /// Of floats and doubles.
    Reals(f64, f64),
}

/// The bounds of each requested feature in the row group that the request lies in. Nothing is known of a feature that the
/// file lacks, of encrypted files, and of a file that is another by now.
pub(crate) async fn bounds(
    files: &Files,
    request: &PieceRequest,
    io: &mut ReadCounters,
) -> Result<Vec<ColumnBounds>, Error> {
    let footer = known_footer(files, &request.file, io).await?;
    let features = &request.features;
    let leaves: Vec<Option<usize>> = features.iter().map(|it| leaf(&footer, it)).collect();
    if footer.seal.is_some() || leaves.iter().all(Option::is_none) {
        return Ok(vec![ColumnBounds::default(); leaves.len()]);
    }
    let path = &request.file.path;
    let name = files.store.name(path);
    let (group, _) = row_group(&name, &footer, &request.rows)?;
    let known = match footer.bounds.get(&leaves) {
        Some(known) => known,
        None => {
            let read = read(files, path, &footer, leaves.clone(), io).await?;
            footer.bounds.insert(leaves.clone(), read.into());
            match footer.bounds.get(&leaves) {
                Some(known) => known,
                None => return Ok(vec![ColumnBounds::default(); leaves.len()]),
            }
        }
    };
    let of_group = known.get(group).cloned();
    Ok(of_group.unwrap_or_else(|| vec![ColumnBounds::default(); leaves.len()]))
}

/// The leaf that holds a feature's values one by one, if bounds of it mean something.
fn leaf(footer: &Footer, feature: &Feature) -> Option<usize> {
    let leaf = *footer.leaves_of(&[footer.root(&feature.name)?]).first()?;
    let column = footer.parquet_schema().column(leaf);
    let is_plain = match column.logical_type_ref() {
        None => true,
        Some(LogicalType::Integer(integer)) => integer.is_signed,
        Some(_) => false,
    };
    let converted = matches!(
        column.converted_type(),
        ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64
    );
    let fits = match column.physical_type() {
        Type::INT32 | Type::INT64 => feature.kind() == Kind::Int,
        Type::FLOAT | Type::DOUBLE => feature.kind() == Kind::Dense,
        _ => false,
    };
    let is_root = column.path().parts().len() == 1 && column.max_rep_level() == 0;
    (is_plain && converted && fits && is_root).then_some(leaf)
}

/// For each row group the bounds of each leaf; none if the file is another by now, which whoever reads its rows is told.
async fn read(
    files: &Files,
    path: &str,
    footer: &Footer,
    leaves: Vec<Option<usize>>,
    io: &mut ReadCounters,
) -> Result<Vec<Vec<ColumnBounds>>, Error> {
    let store = &files.store;
    let name = store.name(path);
    let size = footer.file_size_bytes;
    let tail = tail(store, path, size, 0, Ok).await?;
    *io += ReadCounters::request(tail.bytes.len() as u64);
    let (length, _) = footer_bytes(&name, &tail)?;
    let stored = stored_footer(store, path, &tail, length, io).await?;
    if tail.file_size_bytes != size || xxh3_64(&stored) != footer.checksum {
        return Ok(Vec::new());
    }
    blocking(&name.clone(), move || {
        let wanted: Vec<usize> = leaves.iter().flatten().copied().collect();
        let policy = ParquetStatisticsPolicy::skip_except(&wanted);
        let options = options().with_column_stats_policy(policy);
        let metadata = &stored[..stored.len() - TAIL_BYTES];
        let metadata =
            ParquetMetaDataReader::decode_metadata_with_options(metadata, Some(&options))
                .map_err(|error| Error::corrupt(&name, error))?;
        Ok(of_groups(&metadata, &leaves))
    })
    .await
}

fn of_groups(metadata: &ParquetMetaData, leaves: &[Option<usize>]) -> Vec<Vec<ColumnBounds>> {
    let groups = metadata.row_groups().iter();
    let of_group = groups.map(|group| {
        let leaves = leaves.iter();
        let bounds = leaves.map(|leaf| leaf.map(|leaf| of_chunk(group.column(leaf))));
        bounds.map(Option::unwrap_or_default).collect()
    });
    of_group.collect()
}

fn of_chunk(chunk: &ColumnChunkMetaData) -> ColumnBounds {
    let Some(statistics) = chunk.statistics() else {
        return ColumnBounds::default();
    };
    let values = match statistics {
        // by an order that nobody wrote down
        old if old.is_min_max_deprecated() => None,
        Statistics::Int32(of) => ints(of.min_opt(), of.max_opt()),
        Statistics::Int64(of) => ints(of.min_opt(), of.max_opt()),
        Statistics::Float(of) => reals(of.min_opt(), of.max_opt()),
        Statistics::Double(of) => reals(of.min_opt(), of.max_opt()),
        _ => None,
    };
    ColumnBounds {
        values,
        has_no_nulls: statistics.null_count_opt() == Some(0),
    }
}

fn ints<T: Copy + Into<i64>>(least: Option<&T>, most: Option<&T>) -> Option<StoredExtent> {
    let (least, most) = ((*least?).into(), (*most?).into());
    (least <= most).then_some(StoredExtent::Ints(least, most))
}

/// A bound that is NaN, or that lies beyond the other, bounds nothing.
fn reals<T: Copy + Into<f64>>(least: Option<&T>, most: Option<&T>) -> Option<StoredExtent> {
    let (least, most) = ((*least?).into(), (*most?).into());
    (least <= most).then_some(StoredExtent::Reals(least, most))
}
