//! Ops that make one list of several features.

pub mod cartesian;
pub mod categorical_ngram;
pub mod cross;
pub mod difference;
pub mod id_list_transform;
pub mod intersect;
pub mod union;

mod common;

use crate::{Column, Error, id_list::IdList, op::columns, registry::Entry};

pub(crate) const OPS: &[Entry] = &[
    cartesian::ENTRY,
    categorical_ngram::ENTRY,
    cross::ENTRY,
    difference::ENTRY,
    id_list_transform::ENTRY,
    intersect::ENTRY,
    union::ENTRY,
];

/// The two lists that an op works on, of as many rows.
fn two_lists<'a>(op: &str, inputs: &[&'a Column]) -> Result<[&'a IdList; 2], Error> {
    let [a, b] = columns(op, inputs)?;
    Ok([a.id_list()?, b.id_list()?])
}
