//! What one pass over a table tells of it: moments and quantiles of dense outputs, vocabularies of sparse ones.
//!
//! ```text
//! batches, in order ─▶ Fit ─▶ Fitted ⇄ bytes, named by their SHA-256
//!                      dense and labels: Moments, Distribution      sparse: IdCounts
//! ```
//!
//! What is fitted are a plan's outputs, so that a vocabulary of hashed or cut ids is that of what a model is given. Rows are
//! added one after another: the same bits for any rows per batch and any number of workers. Pure, in bounded memory.

mod distribution;
mod fitted;
mod id_counts;
mod moments;

use std::sync::Arc;

use dpp_batch::{Batch, Layout};

use self::{distribution::Distribution, id_counts::IdCounts, moments::Moments};
use crate::{Error, Plan, parameters::Value, plan::Node};
pub use fitted::{Fitted, FittedColumn, Origin, Vocabulary, digest};
pub(crate) use id_counts::IdHash;

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
    layout: Arc<Layout>,
    settings: FitSettings,
    rows: u64,
    columns: Vec<Column>,
    ids: Vec<IdCounts>,
}

#[derive(Debug, Default)]
struct Column {
    moments: Moments,
    distribution: Distribution,
    missing: u64,
}

impl Fit {
    /// A pass over batches of this layout, whose plan packs NaN for null ([`Plan::with_missing`]).
    ///
    /// Fails when there is nothing to fit, and on settings that can't be meant.
    pub fn start(layout: Arc<Layout>, settings: FitSettings) -> Result<Fit, Error> {
        let columns = layout.dense.len() + layout.labels.len();
        if columns + layout.sparse.len() == 0 {
            return Err(Error::Fit {
                message: "the plan has no dense, sparse or label output to fit".into(),
            });
        }
        if settings.parts == 0 || settings.parts > MOST_PARTS {
            return Err(Error::Fit {
                message: format!("{} quantiles; ask for 1 to {MOST_PARTS}", settings.parts),
            });
        }
        Ok(Fit {
            settings,
            rows: 0,
            columns: std::iter::repeat_with(Column::default)
                .take(columns)
                .collect(),
            ids: layout.sparse.iter().map(|_| IdCounts::default()).collect(),
            layout,
        })
    }

    /// Adds the rows of the next batch. Fails when an output has more distinct ids than may be counted.
    pub fn add(&mut self, batch: &Batch) -> Result<(), Error> {
        self.rows += batch.rows as u64;
        let (dense, labels) = self.columns.split_at_mut(self.layout.dense.len());
        add_matrix(dense, &batch.dense);
        add_matrix(labels, &batch.labels);
        let mut values = batch.sparse.values.as_slice();
        let keys = batch.sparse.lengths.chunks(batch.rows.max(1) * 4);
        for ((counts, key), lengths) in self.ids.iter_mut().zip(&self.layout.sparse).zip(keys) {
            let (lengths, _) = lengths.as_chunks();
            let ids: usize = lengths
                .iter()
                .map(|it| i32::from_le_bytes(*it) as usize)
                .sum();
            let (own, rest) = values.split_at(ids * 8);
            values = rest;
            let (own, _) = own.as_chunks();
            counts.add(own.iter().map(|id| i64::from_le_bytes(*id)));
            if counts.distinct() > self.settings.most_counted {
                return Err(Error::Fit {
                    message: format!(
                        "sparse output `{}` has more than {} distinct ids; allow more, or hash or cut them in the plan",
                        key.name, self.settings.most_counted
                    ),
                });
            }
        }
        Ok(())
    }

    /// What was found; `origin` says in what.
    pub fn finish(self, origin: Origin) -> Fitted {
        let FitSettings {
            parts,
            min_count,
            most_ids,
            ..
        } = self.settings;
        let names = self.layout.dense.iter().chain(&self.layout.labels);
        let columns = names.zip(self.columns).map(|(name, column)| {
            let moments = column.moments;
            FittedColumn {
                name: name.clone(),
                values: moments.values(),
                missing: column.missing,
                mean: moments.mean(),
                std: moments.std(),
                quantiles: column.distribution.quantiles(parts),
            }
        });
        let vocabularies = self
            .layout
            .sparse
            .iter()
            .zip(self.ids)
            .map(|(key, counts)| {
                let (ids, counts) = counts.most_frequent(min_count, most_ids);
                Vocabulary::new(key.name.clone(), ids, counts)
            });
        Fitted {
            origin,
            rows: self.rows,
            columns: columns.collect(),
            vocabularies: vocabularies.collect(),
        }
    }
}

fn add_matrix(columns: &mut [Column], matrix: &[u8]) {
    if columns.is_empty() {
        return;
    }
    for row in matrix.chunks_exact(columns.len() * 4) {
        let (cells, _) = row.as_chunks();
        for (column, cell) in columns.iter_mut().zip(cells) {
            let value = f32::from_le_bytes(*cell);
            if value.is_finite() {
                column.moments.add(value);
                column.distribution.add(value);
            } else {
                column.missing += 1;
            }
        }
    }
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

const MOST_PARTS: u32 = 10_000;

#[cfg(test)]
mod tests;
