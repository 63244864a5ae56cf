//! A listing and the footers of its files → a snapshot. Files that an earlier snapshot knows are not opened again.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use dpp_proto::v1::{Predicate, SnapshotFile};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::Error;
use crate::features::feature_map::entry_name;
use crate::features::map_keys::{self, Extent, MapKeys};
use crate::features::projection::entry_kind;
use crate::features::schema::SchemaUnion;
use crate::files::Files;
use crate::footer::{self, Footer};
use crate::metrics;
use crate::snapshot::Snapshot;
use crate::snapshot::discover::{ListedFile, discover};
use crate::snapshot::survey::Survey;

/// Hears how many files were opened, of how many.
pub type Opened<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

/// Lists the table and opens the files that `base` does not know, or knows as others.
///
/// Where files of `base` are gone, features that only they had stay described, unless one has come back as another kind.
pub(crate) async fn take(
    files: &Files,
    filter: Option<&Predicate>,
    base: Option<&Snapshot>,
    opened: Opened<'_>,
) -> Result<Snapshot, Error> {
    let listing = discover(&files.store, filter).await?;
    match extend(
        files,
        &listing,
        base.unwrap_or(&Snapshot::new(vec![])),
        opened,
    )
    .await
    {
        // perhaps with a file that is gone: only reading them all can tell
        Err(Error::Conflict { .. }) if base.is_some() => {
            extend(files, &listing, &Snapshot::new(vec![]), opened).await
        }
        taken => taken,
    }
}

async fn extend(
    files: &Files,
    listing: &[ListedFile],
    base: &Snapshot,
    opened: Opened<'_>,
) -> Result<Snapshot, Error> {
    let mut columns = base.survey().columns.clone();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for listed in listing {
        match base.file_as(listed) {
            Some(file) => known.push(file.clone()),
            None => unknown.push(listed),
        }
    }
    let sampled_every = unknown.len().div_ceil(MAX_SAMPLED_FILES).max(1);
    // futures are made as they are taken up: a hundred thousand of them at once would be hundreds of megabytes
    let mut loading = stream::iter(0..unknown.len())
        .map(|index| load(files, unknown[index], index % sampled_every == 0).boxed())
        .buffered(FOOTERS_IN_FLIGHT);
    for (index, listed) in unknown.iter().enumerate() {
        if let Some(loaded) = loading.try_next().await? {
            add_features(files, &mut columns, &listed.path, &loaded)?;
            known.push(loaded.footer.snapshot_file(&listed.path));
            opened(index + 1, unknown.len());
        }
    }
    let written = listing.iter();
    let modified_ms = written.map(|listed| (listed.path.clone(), listed.modified_ms));
    let survey = Survey {
        columns,
        modified_ms: modified_ms.collect(),
    };
    Ok(Snapshot::with_survey(known, survey))
}

impl Snapshot {
    /// The known file that a listed one still is, as far as a listing can tell.
    fn file_as(&self, listed: &ListedFile) -> Option<&SnapshotFile> {
        let path = |file: &SnapshotFile| file.path.as_str().cmp(&listed.path);
        let known = &self.files()[self.files().binary_search_by(path).ok()?];
        let same = known.size_bytes == listed.size_bytes && self.survey().knows(listed);
        same.then_some(known)
    }
}

/// What describing a file takes.
struct Loaded {
    footer: Arc<Footer>,
    arrow: SchemaRef,
    keys: Arc<MapKeys>,
}

/// Reads a file's footer, and the keys of its maps if it is one of the sample.
async fn load(files: &Files, listed: &ListedFile, sampled: bool) -> Result<Loaded, Error> {
    let footer = match files.footers.get(&listed.path) {
        Some(known) if known.is_of(listed) => known,
        _ => {
            let (footer, io) = footer::load::load(files, &listed.path, listed.size_bytes).await?;
            metrics::record(io);
            footer
        }
    };
    let arrow = footer.arrow(&files.store.name(&listed.path))?;
    let arrow = Arc::clone(arrow.schema());
    let keys = match sampled {
        true => map_keys(files, &listed.path, &footer, &arrow).await?,
        false => Arc::default(),
    };
    Ok(Loaded {
        footer,
        arrow,
        keys,
    })
}

/// Sampled once per version of a file.
async fn map_keys(
    files: &Files,
    path: &str,
    footer: &Arc<Footer>,
    arrow: &Schema,
) -> Result<Arc<MapKeys>, Error> {
    let sample = async || {
        let (keys, io) = map_keys::read(files, path, footer, arrow, Extent::Sample).await?;
        metrics::record(io);
        Ok(Arc::new(keys))
    };
    footer.map_keys.get_or_try_init(sample).await.cloned()
}

fn add_features(
    files: &Files,
    schema: &mut SchemaUnion,
    path: &str,
    loaded: &Loaded,
) -> Result<(), Error> {
    let names = &files.names;
    let name = files.store.name(path);
    let Loaded {
        footer,
        arrow,
        keys,
    } = loaded;
    schema.add(&name, arrow)?;
    let sampled = keys
        .iter()
        .flat_map(|(column, keys)| keys.iter().map(|key| entry_name(column, key)));
    let named = names.entries().map(str::to_owned);
    for entry in sampled.chain(named) {
        if let Some((kind, width)) = entry_kind(footer, arrow, &entry) {
            schema.add_feature(&name, &names.shown(entry), kind, width)?;
        }
    }
    Ok(())
}

/// Enough to hide an object store's latency behind decoding.
const FOOTERS_IN_FLIGHT: usize = 32;
/// Files whose maps are looked into for keys, spread over the table.
const MAX_SAMPLED_FILES: usize = 64;
