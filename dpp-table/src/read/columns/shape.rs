//! Which columns are decoded here: numbers and lists of numbers in encodings and codecs that are known here, not encrypted.

use std::ops::Range;

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Encoding, Repetition, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::schema::types::ColumnDescriptor;

use crate::error::Error;
use crate::read::columns::values;
use crate::read::columns::{Definition, corrupt};
use crate::read::fetch::FetchedPiece;
use crate::read::pages::PageFault;
use crate::read::pages::header::{
    BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY,
};
use crate::read::pages::unpack::Codec;
use crate::read::pages::walk::{DictionaryPage, Levels, Listed, PageWalk};
use crate::read::plan::ReadPlan;
use crate::read::value_map::ValueMap;

/// A column that is decoded here, and how.
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) stored: StoredAs,
    /// `None`: one number a row.
    pub(crate) list: Option<Definition>,
    pub(crate) pages: PageWalk,
    pub(crate) dictionary: DictionaryPage,
    /// Values of the whole chunk, nulls too.
    pub(crate) values: u64,
    /// What values pass through as they are decoded.
    pub(crate) map: Option<ValueMap>,
    /// Where its chunk lies.
    pub(crate) chunk: Range<u64>,
    /// Of its root column, among those of the piece's metadata.
    pub(crate) root: usize,
}

/// Physical types that numbers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredAs {
    Float,
    Double,
    Int32,
    Int64,
}

/// The columns of a piece that are decoded here. An encrypted page is the crate's to open.
pub(crate) fn shapes(piece: &FetchedPiece) -> Result<Vec<Shape>, Error> {
    if piece.plan.encrypted || piece.plan.rows == 0 {
        return Ok(Vec::new());
    }
    let group = piece.plan.arrow.metadata().row_group(piece.plan.row_group);
    let leaves = (0..group.num_columns()).filter(|leaf| piece.plan.projection.leaf_included(*leaf));
    let shape = |leaf| {
        let path = group.column(leaf).column_path();
        shape(piece, group, leaf).map_err(|fault| corrupt(&piece.name, &path.string(), &fault))
    };
    leaves.filter_map(|leaf| shape(leaf).transpose()).collect()
}

fn shape(
    piece: &FetchedPiece,
    group: &RowGroupMetaData,
    leaf: usize,
) -> Result<Option<Shape>, PageFault> {
    let schema = group.schema_descr();
    let (descriptor, root) = (schema.column(leaf), schema.get_column_root(leaf));
    let index = schema.get_column_root_idx(leaf);
    let column = group.column(leaf);
    let Some((stored, list, codec)) = known(&piece.plan, leaf) else {
        return Ok(None);
    };
    let (start, length) = column.byte_range();
    let chunk = start..start + length;
    let levels = Levels {
        repetition: descriptor.max_rep_level() > 0,
        definition: descriptor.max_def_level() > 0,
    };
    let listed = listed(&piece.plan, group, leaf);
    let bytes = piece.bytes.clone();
    let (mut pages, dictionary) = PageWalk::new(bytes, codec, chunk.clone(), listed, levels)?;
    if pages.is_of_old()? {
        return Ok(None);
    }
    Ok(Some(Shape {
        name: root.name().to_owned(),
        stored,
        list,
        pages,
        dictionary,
        values: column.num_values().unsigned_abs(),
        map: None,
        chunk,
        root: index,
    }))
}

/// Whether a column is one of numbers, or lists of them, that is decoded here, but for pages of the format's first years.
pub(crate) fn is_known(plan: &ReadPlan, leaf: usize) -> bool {
    known(plan, leaf).is_some()
}

fn known(plan: &ReadPlan, leaf: usize) -> Option<(StoredAs, Option<Definition>, Codec)> {
    let group = plan.arrow.metadata().row_group(plan.row_group);
    let schema = group.schema_descr();
    let root = schema.get_column_root(leaf);
    let is_nullable = root.get_basic_info().repetition() == Repetition::OPTIONAL;
    let field = field(plan, schema.get_column_root_idx(leaf), root.name())?;
    let (stored, list) = form(field.data_type(), &schema.column(leaf), is_nullable)?;
    Some((stored, list, codec(group.column(leaf), stored)?))
}

/// How the crate would read a root column.
fn field<'a>(plan: &'a ReadPlan, root: usize, name: &str) -> Option<&'a Field> {
    let fields = plan.arrow.schema().fields();
    match fields.get(root) {
        Some(field) if field.name() == name => Some(field),
        _ => fields.find(name).map(|(_, field)| &**field),
    }
}

/// Where the column's pages are, if only some were fetched.
fn listed(plan: &ReadPlan, group: &RowGroupMetaData, leaf: usize) -> Option<Listed> {
    if !plan.by_page {
        return None;
    }
    let index = plan.arrow.metadata().page_index()?;
    let pages = index.page_locations(plan.row_group, leaf)?;
    Some(Listed {
        pages: pages.clone(),
        group_rows: group.num_rows().unsigned_abs(),
        within_rows: plan.within_rows,
    })
}

/// How a column of this Arrow type is stored, if it is one of those decoded here.
fn form(
    read: &DataType,
    leaf: &ColumnDescriptor,
    is_nullable: bool,
) -> Option<(StoredAs, Option<Definition>)> {
    let (item, is_list) = match read {
        DataType::List(item) => (item.data_type(), true),
        _ => (read, false),
    };
    let stored = match (item, leaf.physical_type()) {
        (DataType::Float32, Physical::FLOAT) if !is_list => StoredAs::Float,
        (DataType::Float64, Physical::DOUBLE) if !is_list => StoredAs::Double,
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Physical::INT32) => StoredAs::Int32,
        (DataType::Int64, Physical::INT64) => StoredAs::Int64,
        _ => return None,
    };
    let (repeated, defined) = (leaf.max_rep_level(), leaf.max_def_level());
    if !is_list {
        return (repeated == 0 && defined <= 1 && leaf.path().parts().len() == 1)
            .then_some((stored, None));
    }
    let list = Definition {
        list: u8::from(is_nullable),
        id: u8::try_from(defined).ok()?,
    };
    // from a list that is there to an id that is there: an entry, and the id itself if it may be null
    let between = list.id.checked_sub(list.list)?;
    (repeated == 1 && (1..=2).contains(&between)).then_some((stored, Some(list)))
}

fn codec(column: &ColumnChunkMetaData, stored: StoredAs) -> Option<Codec> {
    let is_integer = matches!(stored, StoredAs::Int32 | StoredAs::Int64);
    let mut encodings = column.encodings();
    let known = encodings.all(|encoding| match encoding {
        // of levels
        Encoding::RLE => true,
        #[expect(deprecated, reason = "old files have it")]
        Encoding::BIT_PACKED => true,
        other => number(other).is_some_and(|encoding| values::is_known(encoding, is_integer)),
    });
    match known {
        true => Codec::of(column.compression()),
        false => None,
    }
}

/// As parquet.thrift has it; `None` for encodings that no number has.
fn number(encoding: Encoding) -> Option<i32> {
    Some(match encoding {
        Encoding::PLAIN => PLAIN,
        Encoding::PLAIN_DICTIONARY => PLAIN_DICTIONARY,
        Encoding::RLE_DICTIONARY => RLE_DICTIONARY,
        Encoding::DELTA_BINARY_PACKED => DELTA_BINARY_PACKED,
        Encoding::BYTE_STREAM_SPLIT => BYTE_STREAM_SPLIT,
        _ => return None,
    })
}
