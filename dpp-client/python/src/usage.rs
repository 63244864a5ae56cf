//! What a run reads, logged for `dpp table rewrite --order-by usage`.

use std::collections::BTreeSet;

use dpp_client::source::Description;
use dpp_ops::condition::RowFilter;
use dpp_ops::{Plan, plan::Node};
use dpp_proto::v1;
use dpp_table::Usage;
use pyo3::prelude::*;

use crate::errors::raise;
use crate::runtime;

/// Writes the log of a run below `folder`, in place of its last one.
pub(crate) fn log(
    py: Python<'_>,
    run: String,
    table: &v1::TableSource,
    described: &Description,
    read_bytes: u64,
    folder: String,
) -> PyResult<()> {
    let usage = Usage {
        run,
        table: table.url.clone(),
        features: features(described)?,
        read_bytes,
    };
    let place = v1::TableSource {
        url: folder,
        storage: table.storage.clone(),
        ..v1::TableSource::default()
    };
    runtime::wait(py, || usage.log(&place))?.map_err(|error| raise(&error))
}

/// Names of the features that the job reads, sorted: its plan's and its row filter's.
fn features(described: &Description) -> PyResult<Vec<String>> {
    let plan = Plan::from_proto(described.plan.clone()).map_err(|error| raise(&error))?;
    let of_plan = plan.nodes().iter().filter_map(|node| match node {
        Node::Feature { name, .. } => Some(name.clone()),
        _ => None,
    });
    let mut names: BTreeSet<String> = of_plan.collect();
    if let Some(condition) = plan.row_filter() {
        let filter = RowFilter::compile(condition, &described.schema.features);
        let filter = filter.map_err(|error| raise(&error))?;
        names.extend(filter.features().iter().map(|feature| feature.name.clone()));
    }
    Ok(names.into_iter().collect())
}
