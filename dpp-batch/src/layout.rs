//! What the batches of a plan hold: the names and widths of their tensors.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Names and widths of a batch's tensors, in the order in which buffers follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Columns of `dense`, f32 `[B, D]`.
    pub dense: Vec<String>,
    /// Columns of `labels`, f32 `[B, L]`.
    pub labels: Vec<String>,
    /// Keys of the jagged tensor, K of them.
    pub sparse: Vec<SparseKey>,
    /// Vectors and images, each `[B, …shape]`.
    pub vectors: Vec<VectorSpec>,
    /// Columns carried exactly.
    pub extras: Vec<ExtraSpec>,
}

/// One key of the jagged tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseKey {
    /// Name of the feature.
    pub name: String,
    /// Whether its ids carry scores.
    pub weighted: bool,
}

/// One vector or image output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorSpec {
    /// Name of the feature.
    pub name: String,
    /// Values per row.
    pub width: usize,
    /// Shape of a row, whose product is `width`: `[3, height, width]` for images; empty for plain vectors, `[width]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<usize>,
    /// What the values are.
    #[serde(default)]
    pub element: Element,
}

/// What a vector's values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// f32.
    #[default]
    F32,
    /// u8.
    U8,
}

impl Element {
    /// Bytes of a value.
    pub const fn bytes(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::U8 => 1,
        }
    }
}

impl VectorSpec {
    /// f32 `[B, width]`.
    pub fn plain(name: String, width: usize) -> VectorSpec {
        VectorSpec {
            name,
            width,
            shape: Vec::new(),
            element: Element::F32,
        }
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.width * self.element.bytes()
    }

    /// The whole tensor's shape: rows, then a row's.
    pub fn shape_of(&self, rows: usize) -> Vec<usize> {
        let row: &[usize] = match self.shape.is_empty() {
            true => &[self.width],
            false => &self.shape,
        };
        [&[rows], row].concat()
    }
}

/// One column that is carried exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraSpec {
    /// Name of the column.
    pub name: String,
    /// What a row holds.
    pub kind: ExtraKind,
}

/// What a row of an extra holds; any row may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraKind {
    /// i64.
    Int,
    /// f32.
    Dense,
    /// Any bytes.
    Bytes,
    /// UTF-8.
    Text,
}

impl ExtraKind {
    /// Bytes per row, or `None` where rows differ in length.
    pub fn fixed_width(self) -> Option<usize> {
        match self {
            ExtraKind::Int => Some(8),
            ExtraKind::Dense => Some(4),
            ExtraKind::Bytes | ExtraKind::Text => None,
        }
    }
}

impl Layout {
    /// The layout as JSON, as it travels once per job.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and widths are JSON")
    }

    /// Reads what [`Layout::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::Layout`] says where it is none.
    pub fn from_json(json: &[u8]) -> Result<Layout, Error> {
        serde_json::from_slice(json).map_err(|error| Error::Layout {
            what: error.to_string(),
        })
    }

    /// Whether batches carry weights: if any key does, all do (an unweighted key's are 1.0).
    pub fn is_weighted(&self) -> bool {
        self.sparse.iter().any(|key| key.weighted)
    }
}
