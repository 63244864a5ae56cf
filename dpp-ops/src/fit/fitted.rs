//! What a pass found, and the artefact it is kept in.
//!
//! ```text
//! one line of JSON: format, version, origin, rows, columns, names and sizes of vocabularies
//! for each vocabulary: its ids, i64, then their counts, u64, little-endian
//! ```

use std::{collections::HashMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::IdHash;
use crate::Error;

/// Moments, quantiles and vocabularies of a plan's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// What it was found in.
    pub origin: Origin,
    /// Rows of the pass.
    pub rows: u64,
    /// Dense outputs, then labels, in the order of the layout.
    pub columns: Vec<FittedColumn>,
    /// Sparse outputs, in the order of the layout.
    pub vocabularies: Vec<Vocabulary>,
}

/// Names the data and the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Hash of the snapshot.
    pub snapshot: String,
    /// Hash of the plan.
    pub plan: String,
}

/// One dense output, or label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedColumn {
    /// The output's name.
    pub name: String,
    /// Finite values, which everything below is about.
    pub values: u64,
    /// Rows that were null, NaN or infinite.
    pub missing: u64,
    /// None of no values.
    pub mean: Option<f64>,
    /// That of the population; none of no values.
    pub std: Option<f64>,
    /// The least value, quantiles that cut all values into equal parts, and the greatest; empty of no values. Exact for up to
    /// 8,192 distinct values, else each the lower end of a bucket.
    pub quantiles: Vec<f32>,
}

/// Ids of one sparse output, the most frequent first.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    name: String,
    ids: Vec<i64>,
    counts: Vec<u64>,
    places: HashMap<i64, u32, IdHash>,
}

impl Vocabulary {
    pub(crate) fn new(name: String, ids: Vec<i64>, counts: Vec<u64>) -> Vocabulary {
        let places = ids.iter().copied().zip(1..).collect();
        Vocabulary {
            name,
            ids,
            counts,
            places,
        }
    }

    /// The output's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ids, the most frequent first.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// How often each came.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The id's place from 1; 0 for one that is not there.
    #[inline]
    pub(crate) fn place(&self, id: i64) -> i64 {
        self.places.get(&id).copied().unwrap_or(0).into()
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Vocabulary) -> bool {
        (&self.name, &self.ids, &self.counts) == (&other.name, &other.ids, &other.counts)
    }
}

impl Fitted {
    /// The artefact.
    pub fn to_bytes(&self) -> Vec<u8> {
        let vocabularies = self.vocabularies.iter();
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            origin: self.origin.clone(),
            rows: self.rows,
            columns: self.columns.clone(),
            vocabularies: vocabularies
                .map(|it| VocabularyHeader {
                    name: it.name.clone(),
                    ids: it.ids.len() as u64,
                })
                .collect(),
        };
        let mut bytes = serde_json::to_vec(&header).expect("names and finite numbers are JSON");
        bytes.push(b'\n');
        for vocabulary in &self.vocabularies {
            let ids = vocabulary.ids.iter().flat_map(|id| id.to_le_bytes());
            let counts = vocabulary.counts.iter().flat_map(|it| it.to_le_bytes());
            bytes.extend(ids.chain(counts));
        }
        bytes
    }

    /// Reads what [`to_bytes`](Fitted::to_bytes) gave. Fails on anything else, and where a vocabulary has an id twice.
    pub fn from_bytes(bytes: &[u8]) -> Result<Fitted, Error> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (header, mut rest) = bytes.split_at(end.ok_or_else(|| unreadable("it has no header"))?);
        let header: Header =
            serde_json::from_slice(header).map_err(|error| unreadable(&error.to_string()))?;
        if (header.format.as_str(), header.version) != (FORMAT, VERSION) {
            return Err(unreadable(&format!(
                "format {} {}, this build reads {FORMAT} {VERSION}",
                header.format, header.version
            )));
        }
        rest = &rest[1..];
        let mut vocabularies = Vec::new();
        for VocabularyHeader { name, ids: count } in header.vocabularies {
            let mut numbers = || {
                let bytes = usize::try_from(count).ok()?.checked_mul(8)?;
                let (numbers, after) = rest.split_at_checked(bytes)?;
                rest = after;
                Some(numbers.as_chunks().0)
            };
            let (Some(ids), Some(counts)) = (numbers(), numbers()) else {
                return Err(unreadable("it is cut short"));
            };
            let ids: Vec<i64> = ids.iter().map(|it| i64::from_le_bytes(*it)).collect();
            let counts = counts.iter().map(|it| u64::from_le_bytes(*it)).collect();
            let vocabulary = Vocabulary::new(name, ids, counts);
            if vocabulary.places.len() != vocabulary.ids.len() {
                return Err(unreadable("a vocabulary has an id twice, or too many"));
            }
            vocabularies.push(vocabulary);
        }
        if !rest.is_empty() {
            return Err(unreadable("bytes follow its end"));
        }
        Ok(Fitted {
            origin: header.origin,
            rows: header.rows,
            columns: header.columns,
            vocabularies,
        })
    }

    /// As [`from_bytes`](Fitted::from_bytes), if the bytes have the digest that a plan names.
    pub fn of_digest(bytes: &[u8], wanted: &str) -> Result<Fitted, Error> {
        let found = digest(bytes);
        if !found.eq_ignore_ascii_case(wanted) {
            return Err(unreadable(&format!(
                "its digest is {found}, the plan names {wanted}: it was fitted anew, or is damaged"
            )));
        }
        Fitted::from_bytes(bytes)
    }

    /// The vocabulary of a sparse output.
    pub fn vocabulary(&self, name: &str) -> Option<&Vocabulary> {
        self.vocabularies.iter().find(|it| it.name == name)
    }
}

/// SHA-256 in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string can't fail");
    }
    text
}

fn unreadable(message: &str) -> Error {
    Error::Fit {
        message: format!("the fitted artefact can't be used: {message}"),
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    origin: Origin,
    rows: u64,
    columns: Vec<FittedColumn>,
    vocabularies: Vec<VocabularyHeader>,
}

#[derive(Serialize, Deserialize)]
struct VocabularyHeader {
    name: String,
    ids: u64,
}

const FORMAT: &str = "dpp.fit";
const VERSION: u32 = 1;
