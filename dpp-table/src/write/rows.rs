//! Rows as they come → a table, partitioned if so wished.
//!
//! ```text
//! rows ─▶ slices ─▶ partitions ─▶ a file each (`open_files`) ─▶ shown
//! waits   one blocking thread
//! ```
//!
//! Rows keep their order within a partition: its files are numbered, and each is shown when it is whole.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use dpp_proto::v1::TableSource;
use futures::{Stream, StreamExt, TryStreamExt};
use parquet::arrow::ArrowSchemaConverter;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::encryption::lock::EncryptionPlan;
use crate::error::Error;
use crate::footer::blocking;
use crate::store::Store;
use crate::write::measure::{Choice, Measured, SAMPLED_ROWS, choose};
use crate::write::new_file::encode_error;
use crate::write::open_files::OpenFiles;
use crate::write::partition::Partitioning;
use crate::write::rewrite::Watch;
use crate::write::settings::WriteSettings;

/// How rows become a table.
#[derive(Clone, Debug)]
pub struct TableSettings {
    /// How files are written.
    pub write: WriteSettings,
    /// Stored bytes of a file, about: where a row group ends beyond them, the partition's next file begins.
    pub file_bytes: u64,
    /// Columns that become folders `column=value`, outermost first: texts, integers, booleans or dates. Files do not store
    /// them.
    pub partition_by: Vec<String>,
    /// How files are encrypted, if they are. Encrypted pages have tags instead of checksums.
    pub encryption: Option<Arc<EncryptionPlan>>,
    /// Whether encodings are chosen by measuring the first rows, or by type.
    pub measure: bool,
}

impl Default for TableSettings {
    fn default() -> Self {
        TableSettings {
            write: WriteSettings::default(),
            file_bytes: 1 << 30,
            partition_by: Vec::new(),
            encryption: None,
            measure: false,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// Rows in all.
    pub rows: u64,
    /// Files in all.
    pub files: u64,
    /// What was measured to choose encodings; empty unless asked for.
    pub measured: Measured,
}

/// Writes `rows` of this schema as a table at `destination`, an empty or missing folder, or a prefix of a bucket.
///
/// Memory stays within the settings' ceiling, not counting the batches that `rows` gives. Rows of many partitions that come
/// mixed make small row groups: sorted by partition, one file is open at a time. No rows make no file. `watch` hears of rows
/// that were encoded.
///
/// Fails when the destination holds anything, when a column can't be written or partition, when `rows` fails, and when
/// storage does. Files that were whole by then stay; no half one does.
pub async fn write_table(
    rows: impl Stream<Item = Result<RecordBatch, ArrowError>>,
    schema: SchemaRef,
    destination: &TableSource,
    settings: &TableSettings,
    watch: Arc<Watch>,
) -> Result<Written, Error> {
    settings.write.check()?;
    let partitioning = Partitioning::new(&schema, &settings.partition_by)?;
    check_columns(&partitioning.schema)?;
    let store = Store::open(destination)?;
    refuse_occupied(&store).await?;
    let url = store.url().to_owned();
    let (sender, receiver) = mpsc::channel(1);
    let writing = Writing {
        files: OpenFiles::new(store, settings, &partitioning.schema, Handle::current()),
        partitioning,
        settings: settings.clone(),
        sample: settings.measure.then(Vec::new),
        written: Written::default(),
        watch,
    };
    let written = blocking(&url, move || writing.run(receiver));
    // a thread that fails ends the rows, which is no error of its own
    let (sent, written) = futures::join!(send(rows, sender), written);
    sent.and(written)
}

/// What the writing thread is sent.
enum Part {
    Rows(RecordBatch),
    /// Without it nothing more is shown: whoever gives the rows has failed or is gone.
    End,
}

async fn send(
    rows: impl Stream<Item = Result<RecordBatch, ArrowError>>,
    sender: mpsc::Sender<Part>,
) -> Result<(), Error> {
    let mut rows = std::pin::pin!(rows);
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|source| Error::Given { source })?;
        if sender.send(Part::Rows(batch)).await.is_err() {
            return Ok(());
        }
    }
    // nobody listens only if writing failed, and that is reported
    let _ = sender.send(Part::End).await;
    Ok(())
}

/// The thread that splits, encodes and writes.
struct Writing {
    files: OpenFiles,
    partitioning: Partitioning,
    settings: TableSettings,
    /// The first rows, kept until they are enough to choose encodings by.
    sample: Option<Vec<RecordBatch>>,
    written: Written,
    watch: Arc<Watch>,
}

impl Writing {
    fn run(mut self, mut parts: mpsc::Receiver<Part>) -> Result<Written, Error> {
        while let Some(part) = parts.blocking_recv() {
            let Part::Rows(rows) = part else {
                self.choose()?;
                self.written.files = self.files.finish()?;
                return Ok(self.written);
            };
            let step = batch_rows(&rows, &self.settings.write);
            for first in (0..rows.num_rows()).step_by(step) {
                self.add(rows.slice(first, step.min(rows.num_rows() - first)))?;
            }
        }
        Ok(self.written)
    }

    /// Takes few rows: keeps them as part of the sample, or writes them.
    fn add(&mut self, rows: RecordBatch) -> Result<(), Error> {
        let Some(sample) = &mut self.sample else {
            return self.write(&rows);
        };
        sample.push(rows);
        let rows: usize = sample.iter().map(RecordBatch::num_rows).sum();
        let bytes: u64 = sample.iter().map(slice_bytes).sum();
        let limit = self.settings.write.memory_of_one(1) / 6;
        match rows >= SAMPLED_ROWS || bytes >= limit {
            true => self.choose(),
            false => Ok(()),
        }
    }

    /// Chooses encodings by the sample, if there is one, and writes its rows.
    fn choose(&mut self) -> Result<(), Error> {
        let Some(sample) = self.sample.take() else {
            return Ok(());
        };
        let given = |source| Error::Given { source };
        if let Some(first) = sample.first() {
            let all = concat_batches(&first.schema(), &sample).map_err(given)?;
            let stored = self.partitioning.stored(&all).map_err(given)?;
            let choice = choose(&stored, &self.settings.write, &Choice::default().encodings);
            let choice =
                choice.map_err(|source| encode_error(self.files.url().to_owned(), source))?;
            self.files.encode_as(choice.encodings);
            self.written.measured = choice.measured;
        }
        sample.iter().try_for_each(|rows| self.write(rows))
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let parts = self.partitioning.split(rows);
        for (partition, rows) in parts.map_err(|source| Error::Given { source })? {
            self.files.write(&partition, &rows)?;
        }
        self.written.rows += rows.num_rows() as u64;
        (self.watch)(rows.num_rows() as u64);
        Ok(())
    }
}

/// Rows to encode at a time: what a row group may be overfull by.
fn batch_rows(rows: &RecordBatch, settings: &WriteSettings) -> usize {
    let row_bytes = slice_bytes(rows) / rows.num_rows().max(1) as u64 + 1;
    let fitting = settings.memory_of_one(1) / 24 / row_bytes;
    usize::try_from(fitting)
        .unwrap_or(MAX_BATCH_ROWS)
        .clamp(1, MAX_BATCH_ROWS)
}

/// Bytes of a batch's own rows: it may be a slice of a larger one.
fn slice_bytes(rows: &RecordBatch) -> u64 {
    let bytes = |column: &Arc<dyn Array>| {
        let data = column.to_data();
        data.get_slice_memory_size()
            .unwrap_or_else(|_| data.get_array_memory_size()) as u64
    };
    rows.columns().iter().map(bytes).sum()
}

/// Fails on a column that has no Parquet form, and on two of one name.
fn check_columns(schema: &Schema) -> Result<(), Error> {
    let mut names = std::collections::HashSet::new();
    for field in schema.fields() {
        let name = field.name();
        let refuse = |reason| Err(Error::Writing { reason });
        if !names.insert(name) {
            return refuse(format!("two columns are called {name:?}"));
        }
        let alone = Schema::new(vec![Arc::clone(field)]);
        if let Err(error) = ArrowSchemaConverter::new().convert(&alone) {
            let kind = field.data_type();
            return refuse(format!("column {name:?} is {kind}: {error}"));
        }
    }
    Ok(())
}

async fn refuse_occupied(store: &Store) -> Result<(), Error> {
    match store.list().try_next().await {
        // a folder that is not there yet is as good as an empty one
        Ok(None) | Err(Error::NoTable { .. } | Error::FileGone { .. }) => Ok(()),
        Ok(Some((found, _))) => Err(Error::Occupied {
            url: store.url().to_owned(),
            found,
            hint: "",
        }),
        Err(error) => Err(error),
    }
}

/// More gain nothing.
const MAX_BATCH_ROWS: usize = 4096;
