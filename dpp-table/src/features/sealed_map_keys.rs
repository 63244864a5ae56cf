//! Which keys an encrypted feature map holds: its first rows are read as any rows are, values included.
//!
//! Without the key to decrypt it a map shows no features, and that is no error: other columns may be readable.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};

use crate::encryption::keys::KeyError;
use crate::encryption::unlock;
use crate::error::Error;
use crate::features::feature_map::MapKey;
use crate::features::projection::Projection;
use crate::files::Files;
use crate::footer::Footer;
use crate::read::convert::exact_cast;
use crate::read::fetch::{self, PieceRequest, ReadCounters};
use crate::read::plan::plan;

/// Adds up the distinct keys in a map's first rows; `None` when it can't be decrypted or is too large to look into.
pub(crate) async fn sample(
    files: &Files,
    path: &str,
    footer: &Arc<Footer>,
    root: usize,
    io: &mut ReadCounters,
) -> Result<Option<BTreeSet<MapKey>>, Error> {
    let name = files.store.name(path);
    let leaves = footer.leaves_of(&[root]);
    let footer = match unlock::open_columns(files, path, Arc::clone(footer), &leaves).await {
        Ok(footer) => footer,
        Err(Error::Encrypted { .. }) => return Ok(None),
        Err(Error::Key { source, .. }) if is_no_right(&source) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(request) = first_rows(&footer, path) else {
        return Ok(None);
    };
    let projection = Projection {
        places: Vec::new(),
        schema: footer.narrow(&name, &[root], true)?,
    };
    let plan = plan(&name, &footer, projection, &request)?;
    if plan.wanted_bytes() > MAX_BYTES {
        return Ok(None);
    }
    let piece = fetch::fetch_planned(files, &footer, request, plan, io).await?;
    let mut keys = BTreeSet::new();
    for batch in piece.stored_rows()? {
        add_keys(&batch, &mut keys).map_err(|error| Error::corrupt(&name, error))?;
    }
    Ok(Some(keys))
}

fn is_no_right(error: &KeyError) -> bool {
    matches!(error, KeyError::Missing { .. } | KeyError::Denied { .. })
}

fn first_rows(footer: &Footer, path: &str) -> Option<PieceRequest> {
    let rows = footer.row_group_rows().iter().find(|rows| **rows > 0);
    let rows = *rows?;
    Some(PieceRequest {
        file: footer.snapshot_file(path),
        rows: 0..rows,
        selection: std::iter::once(0..rows.min(MAX_ROWS)).collect(),
        features: Arc::new([]),
        batch_rows: 1024,
        most_held_bytes: u64::MAX,
    })
}

fn add_keys(
    batch: &RecordBatch,
    found: &mut BTreeSet<MapKey>,
) -> Result<(), arrow::error::ArrowError> {
    let Some(map) = batch
        .columns()
        .first()
        .and_then(|column| column.as_map_opt())
    else {
        return Ok(());
    };
    if map.keys().data_type().is_integer() {
        let keys = exact_cast(map.keys(), &DataType::Int64)?;
        let keys = keys.as_primitive::<Int64Type>().iter().flatten();
        found.extend(keys.map(MapKey::Integer));
    } else {
        let keys = exact_cast(map.keys(), &DataType::Utf8View)?;
        let keys = keys.as_string_view().iter().flatten();
        found.extend(keys.map(|key| MapKey::Text(key.to_owned())));
    }
    Ok(())
}

const MAX_ROWS: u64 = 8192;
/// A row group's map is fetched whole: its encrypted pages can't be told apart before decryption.
const MAX_BYTES: u64 = 64 << 20;
