//! A table → the same rows in files that are cheaper to read, one file for each.
//!
//! ```text
//! file ─pieces─▶ fetch ─▶ decode, lay out ──batches──▶ encode ─▶ hidden file ─▶ shown
//!                waits    a blocking thread   (≤ 1)    another blocking thread
//! ```
//!
//! Files are written side by side, each within its share of the memory. Whatever breaks, files are whole or not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use dpp_proto::v1::{SnapshotFile, TableSource};
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::encryption::lock::EncryptionPlan;
use crate::error::Error;
use crate::features::map_keys::{self, Extent, MapKeys};
use crate::files::Files;
use crate::footer::{Footer, blocking};
use crate::metrics;
use crate::read::fetch::{self, PieceRequest, ReadCounters};
use crate::read::pieces::{Piece, pieces};
use crate::snapshot::discover::discover;
use crate::store::{ITSELF, Store};
use crate::table::Table;
use crate::write::layout::Layout;
use crate::write::measure::{Choice, Measured, SAMPLED_ROWS, choose};
use crate::write::new_file::{NewFile, NewFiles, encode_error};
use crate::write::run::{Run, Wishes, before};
use crate::write::settings::{ColumnEncoding, WriteSettings};

/// How a table is rewritten.
#[derive(Clone, Debug)]
pub struct RewriteSettings {
    /// How files are written.
    pub write: WriteSettings,
    /// Whether columns that hold features by key become a column per feature.
    pub flatten: bool,
    /// Map columns that stay maps all the same: those that are one feature, of ids and scores.
    pub keep_maps: Vec<String>,
    /// Names of the columns that come first, in this order; the others follow as they are stored.
    pub order: Vec<String>,
    /// How files are encrypted, if they are. Encrypted pages have tags instead of checksums.
    pub encryption: Option<Arc<EncryptionPlan>>,
    /// Whether encodings are chosen by measuring a sample, or by type.
    pub measure: bool,
    /// Whether to go on with a run that broke off.
    pub resume: bool,
}

impl Default for RewriteSettings {
    fn default() -> Self {
        RewriteSettings {
            write: WriteSettings::default(),
            flatten: true,
            keep_maps: Vec::new(),
            order: Vec::new(),
            encryption: None,
            measure: false,
            resume: false,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewritten {
    /// Rows of the table.
    pub rows: u64,
    /// Files of the table.
    pub files: u64,
    /// Files that an earlier run had written.
    pub resumed_files: u64,
    /// Stored bytes of the source.
    pub source_bytes: u64,
    /// Stored bytes of the new table.
    pub stored_bytes: u64,
    /// What was measured to choose encodings; empty unless asked for.
    pub measured: Measured,
}

/// Called with the rows of every batch that was encoded.
pub type Watch = dyn Fn(u64) + Send + Sync;

/// Rewrites all files of `source` that its filter keeps to `destination`, under the same relative paths.
///
/// Fails when the destination holds anything (unless it is to be resumed), and when the source changes. A run that failed or was dropped is gone on with by `resume`, whole files at a time.
pub async fn rewrite(
    source: &Table,
    destination: &TableSource,
    settings: &RewriteSettings,
    watch: Arc<Watch>,
) -> Result<Rewritten, Error> {
    settings.write.check()?;
    let description = source.describe().await?;
    let snapshot = description.snapshot;
    let store = Store::open(destination)?;
    let wishes = Wishes::new(snapshot.hash(), settings);
    let before = before(&store, &wishes, settings.resume).await?;
    let files_at_once = files_at_once(&settings.write, snapshot.files().len());
    let mut writing = Writing {
        files: &source.files,
        store: &store,
        settings,
        memory_bytes: settings.write.memory_of_one(files_at_once as u64),
        encodings: BTreeMap::new(),
        watch,
    };
    let mut run = match before.run {
        Some(run) => run,
        None => {
            let choice = writing.chosen(snapshot.files()).await?;
            let run = Run::new(wishes, choice.encodings, choice.measured);
            run.save(&store).await?;
            run
        }
    };
    writing.encodings = run.encodings.clone();
    let (done, open): (Vec<_>, Vec<_>) = snapshot.files().iter().partition(|file| {
        before
            .done
            .contains(&written_path(source.url(), &file.path))
    });
    for file in &done {
        (writing.watch)(file.row_group_rows.iter().sum());
    }
    let one = |file| writing.write_file(file);
    let mut written = stream::iter(open.into_iter().map(one)).buffer_unordered(files_at_once);
    while written.try_next().await?.is_some() {}
    drop(written);
    let stored_bytes = written_bytes(&store).await?;
    run.complete = true;
    run.save(&store).await?;
    Ok(Rewritten {
        rows: snapshot.num_rows(),
        files: snapshot.files().len() as u64,
        resumed_files: done.len() as u64,
        source_bytes: snapshot.files().iter().map(|file| file.size_bytes).sum(),
        stored_bytes,
        measured: run.measured,
    })
}

async fn written_bytes(store: &Store) -> Result<u64, Error> {
    let files = discover(store, None).await?;
    Ok(files.iter().map(|file| file.size_bytes).sum())
}

/// What writing any of the files needs.
struct Writing<'a> {
    files: &'a Arc<Files>,
    store: &'a Store,
    settings: &'a RewriteSettings,
    /// For one file.
    memory_bytes: u64,
    encodings: BTreeMap<String, ColumnEncoding>,
    watch: Arc<Watch>,
}

impl Writing<'_> {
    /// Encodings by measurement, from a few files spread over the table; nothing if that was not asked for.
    async fn chosen(&self, files: &[SnapshotFile]) -> Result<Choice, Error> {
        let mut choice = Choice::default();
        if !self.settings.measure {
            return Ok(choice);
        }
        for rows in self.samples(files).await? {
            let settings = self.settings.write.clone();
            let known = choice.encodings.clone();
            let name = self.files.store.url().to_owned();
            let found = blocking(self.files.store.url(), move || {
                choose(&rows, &settings, &known).map_err(|source| encode_error(name, source))
            });
            choice.add(found.await?);
        }
        Ok(choice)
    }

    /// Rows of files spread over the table, as many as are needed; those of the same columns together.
    async fn samples(&self, files: &[SnapshotFile]) -> Result<Vec<RecordBatch>, Error> {
        let mut samples: Vec<RecordBatch> = Vec::new();
        let step = files.len().div_ceil(SAMPLED_FILES).max(1);
        for file in files.iter().skip(step / 2).step_by(step) {
            let Some(rows) = self.sample(file).await? else {
                continue;
            };
            match samples
                .iter_mut()
                .find(|known| known.schema() == rows.schema())
            {
                Some(known) => {
                    *known = concat_batches(&rows.schema(), [&*known, &rows])
                        .map_err(|error| Error::corrupt(&file.path, error))?;
                }
                None => samples.push(rows),
            }
            let rows: usize = samples.iter().map(RecordBatch::num_rows).sum();
            let bytes: usize = samples.iter().map(RecordBatch::get_array_memory_size).sum();
            if rows >= SAMPLED_ROWS || bytes as u64 >= self.memory_bytes / 6 {
                break;
            }
        }
        Ok(samples)
    }

    /// The first rows of a file, laid out.
    async fn sample(&self, file: &SnapshotFile) -> Result<Option<RecordBatch>, Error> {
        let (footer, layout) = self.layout(file).await?;
        let name = self.files.store.name(&file.path);
        let pieces = self.pieces(&name, &footer, &layout)?;
        let Some(piece) = pieces.into_iter().next() else {
            return Ok(None);
        };
        let end = piece.rows.start + piece.batch_rows as u64;
        let rows = piece.rows.start..piece.rows.end.min(end);
        let fetched = self.fetch(file, &footer, &Piece { rows, ..piece }).await?;
        let named = name.clone();
        let first = blocking(&name, move || {
            let first = fetched.stored_batches()?.next().transpose()?;
            first.map(|batch| layout.apply(&named, &batch)).transpose()
        });
        first.await
    }

    fn new_files(&self) -> NewFiles<'_> {
        NewFiles {
            store: self.store,
            settings: &self.settings.write,
            encodings: &self.encodings,
            encryption: self.settings.encryption.as_deref(),
        }
    }

    async fn write_file(&self, file: &SnapshotFile) -> Result<(), Error> {
        let (footer, layout) = self.layout(file).await?;
        let name = self.files.store.name(&file.path);
        let pieces = self.pieces(&name, &footer, &layout)?;
        let path = written_path(self.files.store.url(), &file.path);
        let limits = self.settings.write.row_group(self.memory_bytes);
        let new_file = self
            .new_files()
            .begin(&path, &layout.schema, limits)
            .await?;
        let (sender, receiver) = mpsc::channel(1);
        let (name, watch) = (self.store.name(&path), Arc::clone(&self.watch));
        let encoded = blocking(&name, move || encode(new_file, receiver, &*watch));
        let decoded = self.decode(file, &footer, &layout, pieces, sender);
        // an encoder that fails ends the decoder, which is no error of its own
        let (decoded, encoded) = futures::join!(decoded, encoded);
        decoded.and(encoded)
    }

    /// Sends all rows as they will be written, then the end.
    async fn decode(
        &self,
        file: &SnapshotFile,
        footer: &Arc<Footer>,
        layout: &Arc<Layout>,
        pieces: Vec<Piece>,
        sender: mpsc::Sender<Part>,
    ) -> Result<(), Error> {
        let name = self.files.store.name(&file.path);
        for piece in pieces {
            let fetched = self.fetch(file, footer, &piece).await?;
            let (layout, sender, named) = (Arc::clone(layout), sender.clone(), name.clone());
            let decoding = blocking(&name, move || {
                for batch in fetched.stored_batches()? {
                    let rows = layout.apply(&named, &batch?)?;
                    if sender.blocking_send(Part::Rows(rows)).is_err() {
                        return Ok(false);
                    }
                }
                Ok(true)
            });
            if !decoding.await? {
                return Ok(());
            }
        }
        // nobody listens only if encoding failed, and that is reported
        let _ = sender.send(Part::End).await;
        Ok(())
    }

    async fn layout(&self, file: &SnapshotFile) -> Result<(Arc<Footer>, Arc<Layout>), Error> {
        let files = self.files;
        let mut io = ReadCounters::default();
        let footer = fetch::known_footer(files, file, &mut io).await?;
        let name = files.store.name(&file.path);
        let stored = footer.arrow(&name)?;
        let mut keys = MapKeys::new();
        if self.settings.flatten {
            let (arrow, extent) = (stored.schema(), Extent::Whole);
            let (found, cost) = map_keys::read(files, &file.path, &footer, arrow, extent).await?;
            io += cost;
            keys = found;
            keys.retain(|column, _| !self.settings.keep_maps.contains(column));
        }
        metrics::record(io);
        let order = &self.settings.order;
        let layout = Layout::new(&name, stored.schema(), &keys, &files.names, order)?;
        Ok((footer, Arc::new(layout)))
    }

    fn pieces(&self, name: &str, footer: &Footer, layout: &Layout) -> Result<Vec<Piece>, Error> {
        let entry_bytes = layout.entries() as u64 * ENTRY_BYTES;
        pieces(name, footer, self.memory_bytes, entry_bytes)
    }

    async fn fetch(
        &self,
        file: &SnapshotFile,
        footer: &Arc<Footer>,
        piece: &Piece,
    ) -> Result<fetch::FetchedPiece, Error> {
        let request = PieceRequest {
            file: file.clone(),
            rows: piece.group.clone(),
            selection: vec![piece.rows.clone()],
            features: Arc::new([]),
            batch_rows: piece.batch_rows,
            most_held_bytes: piece.most_held_bytes,
        };
        fetch::fetch_stored(self.files, footer, request).await
    }
}

/// What an encoder is sent.
enum Part {
    Rows(RecordBatch),
    /// Without it the file is not finished: whoever decodes has failed or is gone.
    End,
}

/// Writes what is sent. A file whose end is not sent is not shown.
fn encode(file: NewFile, mut parts: mpsc::Receiver<Part>, watch: &Watch) -> Result<(), Error> {
    let mut file = file.open()?;
    while let Some(part) = parts.blocking_recv() {
        let Part::Rows(rows) = part else {
            return file.finish();
        };
        file.write(&rows)?;
        watch(rows.num_rows() as u64);
    }
    Ok(())
}

/// Where a file goes: a table that is one file goes into the destination under its own name.
fn written_path(source: &str, path: &str) -> String {
    match path {
        ITSELF => source
            .rsplit('/')
            .next()
            .unwrap_or("part-00000.parquet")
            .to_owned(),
        path => path.to_owned(),
    }
}

/// As many as there are cores, if each then has the memory it needs.
fn files_at_once(settings: &WriteSettings, files: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let least = WriteSettings {
        memory_bytes: WriteSettings::LEAST_MEMORY_BYTES,
        ..settings.clone()
    };
    let room = settings.memory_of_one(1) / least.memory_of_one(1);
    cores
        .min(usize::try_from(room).unwrap_or(usize::MAX))
        .min(files)
        .max(1)
}

/// Looked into to choose encodings.
const SAMPLED_FILES: usize = 16;
/// A flattened feature's validity, offset or value in one row.
const ENTRY_BYTES: u64 = 9;
