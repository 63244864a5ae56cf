//! One feature's values for the rows of a base batch, by kind, over Arrow's buffers.
//!
//! Columns come from a record batch through [`Column::from_arrow`], pass through ops, and end in packing.

use arrow::{
    array::{Array, Float32Array, Int64Array, LargeBinaryArray, LargeStringArray, cast::AsArray},
    datatypes::{Float32Type, Int64Type},
};

use crate::{
    Error, Kind,
    id_list::IdList,
    pixels::{Images, Pixels},
    vector::Vector,
};

/// Values of one kind, one per row. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Column {
    /// Nullable f32.
    Dense(Float32Array),
    /// Nullable i64.
    Int(Int64Array),
    /// Lists of ids, scored or not.
    IdList(IdList),
    /// Rows of f32 of one width.
    Vector(Vector),
    /// Nullable bytes.
    Bytes(LargeBinaryArray),
    /// Nullable UTF-8.
    Text(LargeStringArray),
    /// Image files to be decoded.
    Image(Images),
    /// Images of one size.
    Pixels(Pixels),
}

impl Column {
    /// Reads an Arrow array as `kind`. Sliced arrays and nulls of any sort are fine.
    ///
    /// Types: dense Float32 · int Int64 · id_list `List<Int64>` · id_score_list `List<Struct<id Int64, score Float32>>` ·
    /// vector `FixedSizeList<Float32, width>` · bytes LargeBinary · text LargeUtf8. Fails for any other type.
    pub fn from_arrow(kind: Kind, array: &dyn Array) -> Result<Column, Error> {
        let column = match kind {
            Kind::Dense => array
                .as_primitive_opt::<Float32Type>()
                .map(|array| Column::Dense(array.clone())),
            Kind::Int => array
                .as_primitive_opt::<Int64Type>()
                .map(|array| Column::Int(array.clone())),
            Kind::IdList => IdList::from_arrow(array, false).map(Column::IdList),
            Kind::IdScoreList => IdList::from_arrow(array, true).map(Column::IdList),
            Kind::Vector { width } => Vector::from_arrow(array, width).map(Column::Vector),
            Kind::Bytes => array
                .as_binary_opt::<i64>()
                .map(|array| Column::Bytes(array.clone())),
            Kind::Text => array
                .as_string_opt::<i64>()
                .map(|array| Column::Text(array.clone())),
            Kind::Image | Kind::Pixels(_) => None, // no array holds them, only ops make them
        };
        column.ok_or_else(|| Error::WrongType {
            wanted: kind.to_string(),
            found: array.data_type().to_string(),
        })
    }

    /// What the column holds.
    pub fn kind(&self) -> Kind {
        match self {
            Column::Dense(_) => Kind::Dense,
            Column::Int(_) => Kind::Int,
            Column::IdList(lists) if lists.scores().is_some() => Kind::IdScoreList,
            Column::IdList(_) => Kind::IdList,
            Column::Vector(vector) => Kind::Vector {
                width: u32::try_from(vector.width()).unwrap_or(u32::MAX),
            },
            Column::Bytes(_) => Kind::Bytes,
            Column::Text(_) => Kind::Text,
            Column::Image(_) => Kind::Image,
            Column::Pixels(pixels) => Kind::Pixels(pixels.size()),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Column::Dense(array) => array.len(),
            Column::Int(array) => array.len(),
            Column::IdList(lists) => lists.rows(),
            Column::Vector(vector) => vector.rows(),
            Column::Bytes(array) => array.len(),
            Column::Text(array) => array.len(),
            Column::Image(images) => images.files.len(),
            Column::Pixels(pixels) => pixels.rows(),
        }
    }

    /// The values, if dense; else an error that says what was found.
    pub fn dense(&self) -> Result<&Float32Array, Error> {
        match self {
            Column::Dense(array) => Ok(array),
            other => Err(other.is_not(Kind::Dense)),
        }
    }

    /// The values, if int; else an error that says what was found.
    pub fn int(&self) -> Result<&Int64Array, Error> {
        match self {
            Column::Int(array) => Ok(array),
            other => Err(other.is_not(Kind::Int)),
        }
    }

    /// The lists, scored or not; else an error that says what was found.
    pub fn id_list(&self) -> Result<&IdList, Error> {
        match self {
            Column::IdList(lists) => Ok(lists),
            other => Err(other.is_not(Kind::IdList)),
        }
    }

    /// The texts, if text; else an error that says what was found.
    pub fn text(&self) -> Result<&LargeStringArray, Error> {
        match self {
            Column::Text(array) => Ok(array),
            other => Err(other.is_not(Kind::Text)),
        }
    }

    /// The bytes, if bytes; else an error that says what was found.
    pub fn bytes(&self) -> Result<&LargeBinaryArray, Error> {
        match self {
            Column::Bytes(array) => Ok(array),
            other => Err(other.is_not(Kind::Bytes)),
        }
    }

    /// The image files, if image; else an error that says what was found.
    pub fn image(&self) -> Result<&Images, Error> {
        match self {
            Column::Image(images) => Ok(images),
            other => Err(other.is_not(Kind::Image)),
        }
    }

    /// The images, if pixels; else an error that says what was found.
    pub fn pixels(&self) -> Result<&Pixels, Error> {
        match self {
            Column::Pixels(pixels) => Ok(pixels),
            other => Err(other.is_not(Kind::ANY_PIXELS)),
        }
    }

    pub(crate) fn is_not(&self, wanted: Kind) -> Error {
        Error::WrongType {
            wanted: wanted.to_string(),
            found: self.kind().to_string(),
        }
    }
}
