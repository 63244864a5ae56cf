//! The door: a table is opened once, described once, and read piece by piece.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dpp_proto::v1::{self, Predicate, TableSource};

use crate::encryption::keys::KeyCache;
use crate::error::Error;
use crate::features::feature_map::FeatureNames;
use crate::files::Files;
use crate::footer::cache::FooterCache;
use crate::footer::statistics::{self, ColumnBounds};
use crate::metrics;
use crate::options::TableOptions;
use crate::read::fetch::{self, FetchedPiece, PieceRequest, ReadCounters};
use crate::read::size::PieceSize;
use crate::snapshot::Snapshot;
use crate::snapshot::discover::prune;
use crate::snapshot::place::SnapshotReference;
use crate::snapshot::take::{Opened, take};
use crate::store::Store;

/// A directory of Parquet files, or one file. Cheap to clone; clones share the footer cache.
#[derive(Clone)]
pub struct Table {
    pub(crate) files: Arc<Files>,
    filter: Option<Predicate>,
    snapshot: Option<Arc<SnapshotReference>>,
}

/// What a table holds.
#[derive(Clone, Debug)]
pub struct Description {
    /// The files that the filter keeps.
    pub snapshot: Snapshot,
    /// The union of their features, and the partition columns.
    pub schema: v1::Schema,
}

impl Table {
    /// Parses URL, options and filter; asks storage nothing. Fails on what can't be a table, never on what is not there.
    pub fn open(source: &TableSource) -> Result<Table, Error> {
        Table::open_with(source, TableOptions::default())
    }

    /// Like [`Table::open`], with keys.
    pub fn open_with(source: &TableSource, options: TableOptions) -> Result<Table, Error> {
        let files = Files {
            store: Arc::new(Store::open(source)?.sharing(source, options.cache)),
            footers: FooterCache::new(FOOTER_CACHE_BYTES),
            names: FeatureNames::new(&source.feature_names)?,
            keys: options
                .keys
                .map(|provider| KeyCache::new(provider, options.key_lifetime)),
            coalesce: options.coalesce,
            footer_bytes: AtomicU64::new(0),
        };
        let snapshot = match source.snapshot.is_empty() {
            true => None,
            false => Some(SnapshotReference::parse(&source.snapshot, &source.storage)?),
        };
        Ok(Table {
            files: Arc::new(files),
            filter: source.filter.clone(),
            snapshot: snapshot.map(Arc::new),
        })
    }

    /// The table's URL as messages show it.
    pub fn url(&self) -> &str {
        self.files.store.url()
    }

    /// Every place that is read or written for this table, by its one name: `/path` without links, or `s3://bucket/path`. The
    /// table's own, and that of its snapshot.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        let snapshot = self
            .snapshot
            .iter()
            .map(|reference| reference.place.name.as_str());
        [self.files.store.place_name()].into_iter().chain(snapshot)
    }

    /// What the table holds: as its snapshot says if it was opened with one, and then no footer is read. Else the files
    /// are listed, partitions pruned, and the footers of the rest are read, and from some of them the keys of feature maps.
    /// Fails when the table is missing or has no rows, when a file is not Parquet, and when files disagree on a
    /// feature's kind.
    pub async fn describe(&self) -> Result<Description, Error> {
        match &self.snapshot {
            Some(reference) => self.description(self.referred(reference).await?),
            None => self.extend(None, &|_, _| ()).await,
        }
    }

    /// Lists the files and opens those that `base` does not know; the same as describing it anew, in less time. `opened`
    /// hears how many files were opened, of how many.
    pub async fn extend(
        &self,
        base: Option<&Snapshot>,
        opened: Opened<'_>,
    ) -> Result<Description, Error> {
        self.description(take(&self.files, self.filter.as_ref(), base, opened).await?)
    }

    /// The snapshot that was given, or that is agreed on at the URL that was given: the first to come writes it.
    async fn referred(&self, reference: &SnapshotReference) -> Result<Snapshot, Error> {
        let place = &reference.place;
        match (place.load(reference.hash.as_deref()).await, &reference.hash) {
            (Err(Error::NoSnapshot { .. }), None) => {}
            (loaded, _) => return loaded,
        }
        let taken = take(&self.files, self.filter.as_ref(), None, &|_, _| ()).await?;
        match place.create(&taken).await {
            Ok(()) => Ok(taken),
            Err(Error::SnapshotTaken { .. }) => place.load(None).await,
            Err(error) => Err(error),
        }
    }

    /// What the filter keeps of a snapshot.
    fn description(&self, snapshot: Snapshot) -> Result<Description, Error> {
        let files = snapshot.files().to_vec();
        let (files, partition_columns) = prune(
            &self.files.store,
            files,
            |file| &file.path,
            self.filter.as_ref(),
        )?;
        let snapshot = snapshot.keeping(files);
        if snapshot.num_rows() == 0 {
            return Err(Error::Empty {
                url: self.url().to_owned(),
                reason: format!("its {} files hold no rows", snapshot.files().len()),
            });
        }
        Ok(Description {
            schema: snapshot.survey().columns.finish(partition_columns),
            snapshot,
        })
    }

    /// What a piece would hold in memory, and what asking cost: only a footer that is not known yet is fetched for it.
    /// Fails as [`Table::fetch`] does.
    pub async fn size(&self, request: &PieceRequest) -> Result<(PieceSize, ReadCounters), Error> {
        fetch::sized(&self.files, request).await
    }

    /// What the row group of a piece says of its features' values, in their order, and what asking cost: a file's footer is
    /// fetched for it once. Fails when the file is gone, or not Parquet.
    pub async fn bounds(
        &self,
        request: &PieceRequest,
    ) -> Result<(Vec<ColumnBounds>, ReadCounters), Error> {
        let mut io = ReadCounters::default();
        let bounds = statistics::bounds(&self.files, request, &mut io).await;
        metrics::record(io);
        Ok((bounds?, io))
    }

    /// Fetches the stored bytes of a piece: waits for storage only. Fails when the file is gone or is not the
    /// snapshot's any more, and when the request does not fit the file.
    pub async fn fetch(&self, request: PieceRequest) -> Result<FetchedPiece, Error> {
        fetch::fetch(&self.files, request).await
    }
}

/// Shows the URL only: options may be secret.
impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Table")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

/// Footers of wide tables are large (10,000 columns × 16 row groups: 82 MB in memory), ordinary ones a few kilobytes.
const FOOTER_CACHE_BYTES: usize = 256 << 20;
