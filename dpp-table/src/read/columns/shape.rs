//! Which columns are decoded here: numbers and lists of numbers, also as values of maps with integer keys, in encodings and
//! codecs that are known here.

use std::ops::Range;

use arrow::datatypes::{DataType, Field};
use parquet::basic::{Encoding, Repetition, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::schema::types::{ColumnDescriptor, Type};

use crate::error::Error;
use crate::features::projection::Place;
use crate::read::columns::maps::Meaning;
use crate::read::columns::values;
use crate::read::columns::{Definition, corrupt};
use crate::read::fetch::FetchedPiece;
use crate::read::map_split::Slots;
use crate::read::pages::PageFault;
use crate::read::pages::header::{
    BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY,
};
use crate::read::pages::unpack::Codec;
use crate::read::pages::walk::{DictionaryPage, Levels, Listed, PageWalk};
use crate::read::plan::ReadPlan;
use crate::read::sources::sources;
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
    /// Of a map, whose values the rest is about.
    pub(crate) keys: Option<Keys>,
}

/// The keys of a map, and what is wanted of it.
pub(crate) struct Keys {
    pub(crate) stored: StoredAs,
    pub(crate) pages: PageWalk,
    pub(crate) dictionary: DictionaryPage,
    pub(crate) chunk: Range<u64>,
    /// Whether values are lists.
    pub(crate) to_lists: bool,
    pub(crate) meaning: Meaning,
    pub(crate) slots: Slots,
}

/// Physical types that numbers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredAs {
    Float,
    Double,
    Int32,
    Int64,
}

/// The columns of a piece that are decoded here.
pub(crate) fn shapes(piece: &FetchedPiece) -> Result<Vec<Shape>, Error> {
    if piece.plan.rows == 0 {
        return Ok(Vec::new());
    }
    let group = piece.plan.arrow.metadata().row_group(piece.plan.row_group);
    let leaves = (0..group.num_columns()).filter(|leaf| piece.plan.projection.leaf_included(*leaf));
    let shape = |leaf| {
        let path = group.column(leaf).column_path();
        let shape = match shape(piece, group, leaf) {
            Ok(None) => map(piece, group, leaf),
            known => known,
        };
        shape.map_err(|fault| corrupt(&piece.name, &path.string(), &fault))
    };
    leaves.filter_map(|leaf| shape(leaf).transpose()).collect()
}

fn shape(
    piece: &FetchedPiece,
    group: &RowGroupMetaData,
    leaf: usize,
) -> Result<Option<Shape>, PageFault> {
    let schema = group.schema_descr();
    let Some((stored, list, codec)) = known(&piece.plan, leaf) else {
        return Ok(None);
    };
    let Some((pages, dictionary, chunk)) = open(piece, group, leaf, codec)? else {
        return Ok(None);
    };
    Ok(Some(Shape {
        name: schema.get_column_root(leaf).name().to_owned(),
        stored,
        list,
        pages,
        dictionary,
        values: group.column(leaf).num_values().unsigned_abs(),
        map: None,
        chunk,
        root: schema.get_column_root_idx(leaf),
        keys: None,
    }))
}

/// The map that `leaf` is the keys of, unless it is wanted as a feature itself.
fn map(
    piece: &FetchedPiece,
    group: &RowGroupMetaData,
    leaf: usize,
) -> Result<Option<Shape>, PageFault> {
    let schema = group.schema_descr();
    let (root, index) = (
        schema.get_column_root(leaf),
        schema.get_column_root_idx(leaf),
    );
    let is_first = leaf == 0 || schema.get_column_root_idx(leaf - 1) != index;
    let field = field(&piece.plan, index, root.name());
    let is_whole = is_first && piece.plan.projection.leaf_included(leaf + 1);
    let (Some(field), true) = (field, is_whole) else {
        return Ok(None);
    };
    let Some(form) = map_form(field.data_type(), root, group, leaf) else {
        return Ok(None);
    };
    let name = root.name();
    let places = &piece.plan.places;
    let is_whole =
        |place: &Option<Place>| matches!(place, Some(Place::Column(column)) if column == name);
    let wanted = sources(std::iter::once(name), places).maps.pop();
    let Some(wanted) = wanted.filter(|_| !places.iter().any(is_whole)) else {
        return Ok(None);
    };
    let Some((pages, dictionary, chunk)) = open(piece, group, leaf, form.codecs.0)? else {
        return Ok(None);
    };
    let keys = Keys {
        stored: form.key,
        pages,
        dictionary,
        chunk,
        to_lists: form.to_lists,
        meaning: form.meaning,
        slots: wanted.slots,
    };
    let Some((pages, dictionary, chunk)) = open(piece, group, leaf + 1, form.codecs.1)? else {
        return Ok(None);
    };
    Ok(Some(Shape {
        name: name.to_owned(),
        stored: form.value,
        list: None,
        pages,
        dictionary,
        values: group.column(leaf + 1).num_values().unsigned_abs(),
        map: None,
        chunk,
        root: index,
        keys: Some(keys),
    }))
}

/// How a map is stored that is decoded here.
struct MapForm {
    key: StoredAs,
    value: StoredAs,
    to_lists: bool,
    meaning: Meaning,
    /// Of keys and of values.
    codecs: (Codec, Codec),
}

fn map_form(
    read: &DataType,
    root: &Type,
    group: &RowGroupMetaData,
    leaf: usize,
) -> Option<MapForm> {
    let DataType::Map(entries, _) = read else {
        return None;
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return None;
    };
    let [key, value] = &fields[..] else {
        return None;
    };
    let schema = group.schema_descr();
    let (keys, values) = (schema.column(leaf), schema.column(leaf + 1));
    let (item, to_lists) = match value.data_type() {
        DataType::List(item) => (item.data_type(), true),
        other => (other, false),
    };
    let (key, value) = (
        number_of(key.data_type(), &keys)?,
        number_of(item, &values)?,
    );
    let is_integer = |stored| matches!(stored, StoredAs::Int32 | StoredAs::Int64);
    let is_nullable = |of: &Type| of.get_basic_info().repetition() == Repetition::OPTIONAL;
    let [entry] = root.get_fields() else {
        return None;
    };
    let [_, valued] = entry.get_fields() else {
        return None;
    };
    let entry_level = u8::from(is_nullable(root)) + 1;
    let meaning = Meaning {
        entry: entry_level,
        valid: entry_level + u8::from(is_nullable(valued)),
        value: u8::try_from(values.max_def_level()).ok()?,
    };
    // from a value that is there to a number that is there: nothing, or a list's entry, and the id itself if it may be null
    let between = meaning.value.checked_sub(meaning.valid)?;
    let fits = match to_lists {
        true => is_integer(value) && (1..=2).contains(&between),
        false => between == 0,
    };
    let levels = [
        keys.max_rep_level(),
        keys.max_def_level(),
        values.max_rep_level(),
    ];
    let expected = [1, i16::from(meaning.entry), 1 + i16::from(to_lists)];
    (fits && is_integer(key) && levels == expected).then_some(())?;
    Some(MapForm {
        key,
        value,
        to_lists,
        meaning,
        codecs: (
            codec(group.column(leaf), key)?,
            codec(group.column(leaf + 1), value)?,
        ),
    })
}

/// A leaf's pages, its dictionary, and where its chunk lies; `None` for levels as they were in the format's first years.
fn open(
    piece: &FetchedPiece,
    group: &RowGroupMetaData,
    leaf: usize,
    codec: Codec,
) -> Result<Option<(PageWalk, DictionaryPage, Range<u64>)>, PageFault> {
    let descriptor = group.schema_descr().column(leaf);
    let (start, length) = group.column(leaf).byte_range();
    let chunk = start..start + length;
    let levels = Levels {
        repetition: descriptor.max_rep_level() > 0,
        definition: descriptor.max_def_level() > 0,
    };
    let listed = listed(&piece.plan, group, leaf);
    let bytes = piece.bytes.clone();
    let (mut pages, dictionary) = PageWalk::new(bytes, codec, chunk.clone(), listed, levels)?;
    Ok((!pages.is_of_old()?).then_some((pages, dictionary, chunk)))
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
    let stored = number_of(item, leaf)?;
    let is_integer = matches!(stored, StoredAs::Int32 | StoredAs::Int64);
    (is_integer || !is_list).then_some(())?;
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

fn number_of(read: &DataType, leaf: &ColumnDescriptor) -> Option<StoredAs> {
    Some(match (read, leaf.physical_type()) {
        (DataType::Float32, Physical::FLOAT) => StoredAs::Float,
        (DataType::Float64, Physical::DOUBLE) => StoredAs::Double,
        (DataType::Int8 | DataType::Int16 | DataType::Int32, Physical::INT32) => StoredAs::Int32,
        (DataType::Int64, Physical::INT64) => StoredAs::Int64,
        _ => return None,
    })
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
