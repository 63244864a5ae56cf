//! Which features come first: as a file lists them, or those together that runs read together.

use std::{fs, path::Path};

use dpp_table::{Table, Usage, order_by_usage};

use crate::{error::Error, source::StorageArguments};

/// Names in the order asked for; none if none was.
pub(super) async fn order(
    order_by: Option<&Path>,
    usage: Option<&str>,
    storage: &StorageArguments,
    table: &Table,
) -> Result<Vec<String>, Error> {
    match (order_by, usage) {
        (None, _) => Ok(Vec::new()),
        (Some(by), Some(usage)) if by == Path::new("usage") => {
            let logs = Usage::read(&storage.source(usage)).await?;
            let plans: Vec<_> = logs.into_iter().map(|log| (log.features, 1.0)).collect();
            let features = table.describe().await?.schema.features.into_iter();
            let stored: Vec<_> = features.map(|feature| feature.name).collect();
            Ok(order_by_usage(&stored, &plans))
        }
        (Some(path), _) => listed(path),
    }
}

fn listed(path: &Path) -> Result<Vec<String>, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}
