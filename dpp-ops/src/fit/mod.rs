//! What one pass over a table tells of it: moments and quantiles of dense outputs, vocabularies of sparse ones.
//!
//! ```text
//! rows ─▶ Part, where the rows are: on-box threads, workers ─▶ Fit, in one place ─▶ Fitted ⇄ bytes, named by their SHA-256
//!         dense and labels: Moments, Distribution     sparse: IdCounts
//! ```
//!
//! What is fitted are a plan's outputs, so that a vocabulary of hashed or cut ids is that of what a model is given. A plan made
//! [for fitting](crate::Plan::for_fitting) gives parts in place of rows. Sums of parts are exact, whatever their order: the same
//! bits for any cut of the rows and any number of threads and workers.
//!
//! Memory is bounded. A part is sent off once it is [`PART_BYTES`] large. What they are added to holds 8 KiB of sums and at most
//! 8,192 buckets of 16 bytes a column, whatever it has of values, and 40 bytes for each distinct id of a sparse output, of which
//! more than [`most_counted`](FitSettings::most_counted) are an error that names the output: counts that are not exact would
//! make another vocabulary of the same rows.

mod bytes;
mod distribution;
mod fitted;
mod id_counts;
mod moments;
mod natural;
mod part;

use dpp_batch::{Batch, ExtraData};

use crate::{Error, Plan, parameters::Value, plan::Node};
pub use fitted::{Fitted, FittedColumn, Origin, Vocabulary, digest};
pub(crate) use id_counts::IdHash;
pub use part::Part;

/// What is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitSettings {
    /// Quantiles cut the values into so many parts: i/parts for i from 0 to parts. 1 to 10,000.
    pub parts: u32,
    /// Ids that came fewer times are left out of vocabularies.
    pub min_count: u64,
    /// Most ids of a vocabulary, the most frequent ones; `None`: all that came often enough.
    pub most_ids: Option<usize>,
    /// Distinct ids of an output that are counted at a time: the bound on memory, about 40 bytes each. More are an error.
    pub most_counted: usize,
}

impl Default for FitSettings {
    fn default() -> FitSettings {
        FitSettings {
            parts: 100,
            min_count: 1,
            most_ids: None,
            most_counted: 50_000_000,
        }
    }
}

/// A pass under way.
#[derive(Debug)]
pub struct Fit {
    settings: FitSettings,
    sum: Option<Part>,
}

impl Fit {
    /// A pass over the rows of a plan made [for fitting](Plan::for_fitting). Fails on settings that can't be meant.
    pub fn start(settings: FitSettings) -> Result<Fit, Error> {
        if settings.parts == 0 || settings.parts > MOST_PARTS {
            return Err(Error::Fit {
                message: format!("{} quantiles; ask for 1 to {MOST_PARTS}", settings.parts),
            });
        }
        Ok(Fit {
            settings,
            sum: None,
        })
    }

    /// Adds the parts of the next batch. Returns of how many rows they are.
    ///
    /// Fails when an output has more distinct ids than may be counted, and on a batch of anything else.
    pub fn add(&mut self, batch: &Batch) -> Result<u64, Error> {
        let before = self.rows();
        for part in parts(batch)? {
            let sum = Part::merge(self.sum.take(), part)?;
            self.check_counted(&sum)?;
            self.sum = Some(sum);
        }
        Ok(self.rows() - before)
    }

    /// What was found; `origin` says in what. Nothing where no row was read.
    pub fn finish(self, origin: Origin) -> Fitted {
        let FitSettings {
            parts,
            min_count,
            most_ids,
            ..
        } = self.settings;
        let rows = self.rows();
        let Some(Part {
            outputs,
            columns,
            ids,
            ..
        }) = self.sum
        else {
            return Fitted {
                origin,
                rows,
                columns: Vec::new(),
                vocabularies: Vec::new(),
            };
        };
        let columns = outputs.columns.into_iter().zip(columns);
        let columns = columns.map(|(name, column)| FittedColumn {
            name,
            values: column.moments.values(),
            missing: column.missing,
            mean: column.moments.mean(),
            std: column.moments.std(),
            quantiles: column.distribution.quantiles(parts),
        });
        let vocabularies = outputs.sparse.into_iter().zip(ids).map(|(name, counts)| {
            let (ids, counts) = counts.most_frequent(min_count, most_ids);
            Vocabulary::new(name, ids, counts)
        });
        Fitted {
            origin,
            rows,
            columns: columns.collect(),
            vocabularies: vocabularies.collect(),
        }
    }

    fn rows(&self) -> u64 {
        self.sum.as_ref().map_or(0, |sum| sum.rows)
    }

    fn check_counted(&self, sum: &Part) -> Result<(), Error> {
        let most = self.settings.most_counted;
        let mut counted = sum.ids.iter().zip(&sum.outputs.sparse);
        match counted.find(|(counts, _)| counts.distinct() > most) {
            None => Ok(()),
            Some((_, name)) => Err(Error::Fit {
                message: format!(
                    "sparse output `{name}` has more than {most} distinct ids; allow more, or hash or cut them in the plan"
                ),
            }),
        }
    }
}

/// The parts that a batch carries.
fn parts(batch: &Batch) -> Result<Vec<&[u8]>, Error> {
    let (true, Some(ExtraData::Variable { lengths, bytes })) = (
        batch.layout == *Part::layout(),
        batch.extras.first().map(|extra| &extra.data),
    ) else {
        return Err(Error::Fit {
            message: "rows came where parts were asked for: the workers are older than this, or the plan was not made for fitting"
                .into(),
        });
    };
    let (lengths, _) = lengths.as_slice().as_chunks();
    let mut rest = bytes.as_slice();
    let parts = lengths.iter().map(|length| {
        let (part, after) = rest.split_at(i32::from_le_bytes(*length) as usize);
        rest = after;
        part
    });
    Ok(parts.collect())
}

/// An artefact that a plan refers to: `look_up` names it by URL and digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Where it lies.
    pub url: String,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub digest: String,
}

/// The artefacts that `plan` refers to, each once.
pub fn references(plan: &Plan) -> Vec<Reference> {
    let mut found: Vec<Reference> = plan.nodes().iter().filter_map(reference).collect();
    found.sort();
    found.dedup();
    found
}

fn reference(node: &Node) -> Option<Reference> {
    let Node::Op { parameters, .. } = node else {
        return None;
    };
    match (parameters.get("artefact"), parameters.get("digest")) {
        (Some(Value::Text(url)), Some(Value::Text(digest))) => Some(Reference {
            url: url.clone(),
            digest: digest.clone(),
        }),
        _ => None,
    }
}

/// Parts are sent off when they are so large, or larger by what a base batch adds.
pub const PART_BYTES: usize = 4 << 20;

const MOST_PARTS: u32 = 10_000;

#[cfg(test)]
mod tests;
