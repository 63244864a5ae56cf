//! What a value is per row: the types of a plan.

use std::fmt;

use dpp_batch::Element;
use dpp_proto::v1;

use crate::{Error, pixels::Size};

/// What a feature, or a node of a plan, holds per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A nullable f32.
    Dense,
    /// A nullable i64.
    Int,
    /// A list of i64 ids, perhaps empty, never null.
    IdList,
    /// A list of i64 ids with an f32 score each, perhaps empty, never null.
    IdScoreList,
    /// `width` f32 values.
    Vector {
        /// Values per row, at least 1.
        width: u32,
    },
    /// Nullable bytes.
    Bytes,
    /// Nullable UTF-8.
    Text,
    /// Nullable image files, each of its own size once decoded. Only ops make them.
    Image,
    /// RGB images of one size, never null. Only ops make them.
    Pixels(Size),
}

impl Kind {
    /// The kinds that hold lists of ids.
    pub const LISTS: &'static [Kind] = &[Kind::IdList, Kind::IdScoreList];

    /// Pixels where their size does not matter.
    pub const ANY_PIXELS: Kind = Kind::Pixels(Size {
        height: 0,
        width: 0,
        element: Element::U8,
    });

    /// The kind a feature declares, `None` when it leaves it open.
    ///
    /// Fails for a number that is no kind, and for a vector without width.
    pub fn of(feature: &v1::Feature) -> Result<Option<Kind>, Error> {
        let malformed = |message: String| Error::Form {
            place: format!("feature `{}`", feature.name),
            message,
        };
        let kind = v1::Kind::try_from(feature.kind)
            .map_err(|_| malformed(format!("{} is no kind", feature.kind)))?;
        Ok(Some(match kind {
            v1::Kind::Unspecified => return Ok(None),
            v1::Kind::Dense => Kind::Dense,
            v1::Kind::Int => Kind::Int,
            v1::Kind::IdList => Kind::IdList,
            v1::Kind::IdScoreList => Kind::IdScoreList,
            v1::Kind::Vector if feature.width == 0 => {
                return Err(malformed("a vector needs a width of at least 1".into()));
            }
            v1::Kind::Vector => Kind::Vector {
                width: feature.width,
            },
            v1::Kind::Bytes => Kind::Bytes,
            v1::Kind::Text => Kind::Text,
        }))
    }

    /// The feature `name` of this kind; unspecified for kinds that only ops make.
    pub fn feature(self, name: &str) -> v1::Feature {
        let (kind, width) = match self {
            Kind::Dense => (v1::Kind::Dense, 0),
            Kind::Int => (v1::Kind::Int, 0),
            Kind::IdList => (v1::Kind::IdList, 0),
            Kind::IdScoreList => (v1::Kind::IdScoreList, 0),
            Kind::Vector { width } => (v1::Kind::Vector, width),
            Kind::Bytes => (v1::Kind::Bytes, 0),
            Kind::Text => (v1::Kind::Text, 0),
            Kind::Image | Kind::Pixels(_) => (v1::Kind::Unspecified, 0),
        };
        v1::Feature {
            name: name.to_owned(),
            kind: kind.into(),
            width,
        }
    }

    /// The kind's name in JSON and in messages: `dense`, `int`, `id_list`, `id_score_list`, `vector`, `bytes`, `text`,
    /// `image`, `pixels`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dense => "dense",
            Kind::Int => "int",
            Kind::IdList => "id_list",
            Kind::IdScoreList => "id_score_list",
            Kind::Vector { .. } => "vector",
            Kind::Bytes => "bytes",
            Kind::Text => "text",
            Kind::Image => "image",
            Kind::Pixels(_) => "pixels",
        }
    }

    /// Whether it is one of `kinds`; a vector's width and the size of pixels do not matter.
    pub fn is_one_of(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| kind.name() == self.name())
    }

    /// The kind of that name; `width` is only looked at for a vector. `None` for any other name.
    pub fn from_name(name: &str, width: u32) -> Option<Kind> {
        let kinds = [
            Kind::Dense,
            Kind::Int,
            Kind::IdList,
            Kind::IdScoreList,
            Kind::Vector { width },
            Kind::Bytes,
            Kind::Text,
        ];
        kinds.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
