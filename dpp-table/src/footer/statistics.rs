//! What row groups say of some columns' values: of the stored footer, just those columns' statistics are decoded for it.
//!
//! Only plain integers and floats count: their stored order is that of the values delivered. Texts may be cut short, and
//! times change their unit.

use std::collections::BTreeSet;

use dpp_proto::v1::{Feature, Kind};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetStatisticsPolicy, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use crate::error::Error;
use crate::files::Files;
use crate::footer::cut::Part;
use crate::footer::narrow::decode;
use crate::footer::outline::Outline;
use crate::footer::{Footer, options};
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
/// file lacks, and of files with encrypted columns.
pub(crate) async fn bounds(
    files: &Files,
    request: &PieceRequest,
    io: &mut ReadCounters,
) -> Result<Vec<ColumnBounds>, Error> {
    let footer = known_footer(files, &request.file, io).await?;
    let unknown = || vec![ColumnBounds::default(); request.features.len()];
    let Some(outline) = footer.outline().filter(|_| footer.seal.is_none()) else {
        return Ok(unknown());
    };
    let name = files.store.name(&request.file.path);
    let (group, _) = row_group(&name, &footer, &request.rows)?;
    let root = |feature: &Feature| (footer.root(&feature.name), feature.kind);
    let key = request.features.iter().map(root).collect();
    let make = || of_groups(&name, &footer, outline, &request.features);
    let groups = footer.bounds.get_or_try(key, make)?;
    Ok(groups.get(group).cloned().unwrap_or_else(unknown))
}

/// For each row group the bounds of each feature.
pub(super) type GroupBounds = Vec<Vec<ColumnBounds>>;

fn of_groups(
    name: &str,
    footer: &Footer,
    outline: &Outline,
    features: &[Feature],
) -> Result<GroupBounds, Error> {
    let places = features.iter().map(|feature| footer.root(&feature.name));
    let places: Vec<Option<usize>> = places.collect();
    let roots: BTreeSet<usize> = places.iter().flatten().copied().collect();
    let roots: Vec<usize> = roots.into_iter().collect();
    let options = options().with_column_stats_policy(ParquetStatisticsPolicy::KeepAll);
    let part = Part {
        roots: &roots,
        leaves: &footer.leaves_of(&roots),
        row_groups: 0..footer.row_group_rows().len(),
        with_key_values: false,
    };
    let cut = decode(name, outline, &part, None, &options)?;
    let schema = cut.file_metadata().schema_descr();
    let leaf = |(feature, root): (&Feature, &Option<usize>)| {
        let place = roots.binary_search(root.as_ref()?).ok()?;
        let mut leaves = 0..schema.num_columns();
        let leaf = leaves.find(|leaf| schema.get_column_root_idx(*leaf) == place)?;
        means_something(&schema.column(leaf), feature).then_some(leaf)
    };
    let leaves: Vec<Option<usize>> = features.iter().zip(&places).map(leaf).collect();
    let of_group = |group: &RowGroupMetaData| {
        let bounds = |leaf: &Option<usize>| leaf.map(|leaf| of_chunk(group.column(leaf)));
        let bounds = leaves.iter().map(bounds);
        bounds.map(Option::unwrap_or_default).collect()
    };
    Ok(cut.row_groups().iter().map(of_group).collect())
}

/// Whether a leaf holds a feature's values one by one, and bounds of it are bounds of them.
fn means_something(column: &ColumnDescriptor, feature: &Feature) -> bool {
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
    is_plain && converted && fits && is_root
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
