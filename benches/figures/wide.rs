//! What it costs to open a file of very many columns when a plan reads fifty of them: beside a bare decode of the same
//! footer by the Parquet crate, statistics skipped. CPU seconds, local files, in one interleaved run.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
use clap::Args;
use dpp_client::Error;
use dpp_proto::{Fault, Faulty as _, shuffle::mix, v1};
use dpp_table::{
    KeyError, KeyProvider, PieceRequest, SecretKey, Snapshot, Table, TableOptions, WantedKey,
};
use parquet::{
    arrow::ArrowWriter,
    encryption::encrypt::FileEncryptionProperties,
    file::{
        metadata::{ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy},
        properties::{WriterProperties, WriterPropertiesBuilder},
    },
};
use serde::Serialize;

use crate::{
    machine::{Machine, cpu_time},
    rounds::median,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Columns of the files, one measurement each
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000, 20_000])]
    columns: Vec<usize>,
    /// Columns that are read
    #[arg(long, default_value_t = 50)]
    read: usize,
    /// Rows of a file
    #[arg(long, default_value_t = 1000)]
    rows: usize,
    /// Interleaved rounds; medians are printed
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

#[derive(Serialize)]
struct Line {
    figure: &'static str,
    read_columns: usize,
    widths: Vec<Width>,
    machine: Machine,
}

/// Medians in milliseconds of CPU.
#[derive(Serialize)]
struct Width {
    columns: usize,
    footer_bytes: u64,
    bare_decode_ms: f64,
    /// Until the byte ranges of a read are known, with nothing cached.
    first_open_ms: f64,
    /// The same file again.
    second_open_ms: f64,
    /// Another file of the same columns.
    other_open_ms: f64,
    /// Reading the columns' rows, once open.
    read_ms: f64,
    first_over_bare: f64,
    second_over_bare: f64,
    other_over_bare: f64,
    /// With a key for every column: keys that were asked for, the footer's not counted.
    keys_asked: usize,
    keyed_first_open_ms: f64,
}

/// Measures every width and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let mut widths = Vec::new();
    for columns in &arguments.columns {
        widths.push(width(&arguments, *columns).await?);
    }
    let line = Line {
        figure: "wide",
        read_columns: arguments.read,
        widths,
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

async fn width(arguments: &Arguments, columns: usize) -> Result<Width, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let (plain, keyed) = (folder.path().join("plain"), folder.path().join("keyed"));
    for file in ["a.parquet", "b.parquet"] {
        write(&plain.join(file), columns, arguments.rows, false)?;
        write(&keyed.join(file), columns, arguments.rows, true)?;
    }
    let stored = std::fs::read(plain.join("a.parquet")).map_err(failed)?;
    let footer = footer_of(&stored);
    let features = chosen(columns, arguments.read);
    let (snapshot, keyed_snapshot) = (described(&plain).await?, described(&keyed).await?);
    let mut times: [Vec<f64>; 6] = Default::default();
    let mut keys_asked = 0;
    for _ in 0..arguments.rounds {
        let table = open(&plain).0?;
        let bare = timed(async || bare_decode(footer)).await?;
        let first = timed(async || plan(&table, &snapshot, 0, &features).await).await?;
        let second = timed(async || plan(&table, &snapshot, 0, &features).await).await?;
        let other = timed(async || plan(&table, &snapshot, 1, &features).await).await?;
        let read = timed(async || read(&table, &snapshot, &features).await).await?;
        let (table, asked) = open(&keyed);
        let table = table?;
        let keyed = timed(async || plan(&table, &keyed_snapshot, 0, &features).await).await?;
        keys_asked = asked.load(Ordering::Relaxed);
        for (times, took) in times
            .iter_mut()
            .zip([bare, first, second, other, read, keyed])
        {
            times.push(took);
        }
    }
    let [bare, first, second, other, read, keyed] = times.map(median);
    Ok(Width {
        columns,
        footer_bytes: footer.len() as u64,
        bare_decode_ms: bare,
        first_open_ms: first,
        second_open_ms: second,
        other_open_ms: other,
        read_ms: read,
        first_over_bare: first / bare,
        second_over_bare: second / bare,
        other_over_bare: other / bare,
        keys_asked,
        keyed_first_open_ms: keyed,
    })
}

/// CPU milliseconds of this process.
async fn timed(work: impl AsyncFnOnce() -> Result<(), Error>) -> Result<f64, Error> {
    let begun = cpu_time();
    work().await?;
    Ok((cpu_time() - begun).as_secs_f64() * 1e3)
}

fn bare_decode(footer: &[u8]) -> Result<(), Error> {
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let decoded = ParquetMetaDataReader::decode_metadata_with_options(footer, Some(&options));
    decoded.map(drop).map_err(failed)
}

/// Everything that comes before the first column chunk is asked for.
async fn plan(
    table: &Table,
    snapshot: &Snapshot,
    file: usize,
    features: &Arc<[v1::Feature]>,
) -> Result<(), Error> {
    let request = request(snapshot, file, features, 0);
    table.fetch(request).await.map(drop).map_err(of_table)
}

async fn read(
    table: &Table,
    snapshot: &Snapshot,
    features: &Arc<[v1::Feature]>,
) -> Result<(), Error> {
    let rows = snapshot.files()[0].row_group_rows[0];
    let piece = table.fetch(request(snapshot, 0, features, rows)).await;
    let batches = piece.and_then(|piece| piece.decode()).map_err(of_table)?;
    for batch in batches {
        batch.map_err(of_table)?;
    }
    Ok(())
}

fn request(
    snapshot: &Snapshot,
    file: usize,
    features: &Arc<[v1::Feature]>,
    rows: u64,
) -> PieceRequest {
    PieceRequest {
        file: snapshot.files()[file].clone(),
        rows: 0..rows,
        selection: Vec::new(),
        features: Arc::clone(features),
        batch_rows: 1024,
        most_held_bytes: u64::MAX,
    }
}

/// Features anywhere in the file, as plans choose them.
fn chosen(columns: usize, count: usize) -> Arc<[v1::Feature]> {
    let mut all: Vec<usize> = (0..columns).collect();
    all.sort_by_key(|column| mix(&[7, *column as u64]));
    all.truncate(count);
    let feature = |column: &usize| v1::Feature {
        name: name(*column),
        kind: kind(*column).into(),
        width: 0,
    };
    all.iter().map(feature).collect()
}

fn name(column: usize) -> String {
    format!("feature_{column}")
}

fn kind(column: usize) -> v1::Kind {
    match column % 2 {
        0 => v1::Kind::Dense,
        _ => v1::Kind::Int,
    }
}

fn write(path: &Path, columns: usize, rows: usize, keyed: bool) -> Result<(), Error> {
    let column = |column: usize| -> ArrayRef {
        let values = (0..rows).map(|row| mix(&[column as u64, row as u64]) % 1000);
        match kind(column) {
            v1::Kind::Dense => Arc::new(Float32Array::from_iter_values(values.map(|v| v as f32))),
            _ => Arc::new(Int64Array::from_iter_values(values.map(u64::cast_signed))),
        }
    };
    let named = (0..columns).map(|index| (name(index), column(index), true));
    let batch = RecordBatch::try_from_iter_with_nullable(named).map_err(failed)?;
    let properties = match keyed {
        true => with_keys(WriterProperties::builder(), columns)?,
        false => WriterProperties::builder(),
    };
    std::fs::create_dir_all(path.parent().expect("files lie in a folder")).map_err(failed)?;
    let file = File::create(path).map_err(failed)?;
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.close().map(drop).map_err(failed)
}

fn with_keys(
    properties: WriterPropertiesBuilder,
    columns: usize,
) -> Result<WriterPropertiesBuilder, Error> {
    let mut keys = FileEncryptionProperties::builder(KEY.to_vec())
        .with_footer_key_metadata(b"footer".to_vec());
    for column in 0..columns {
        let name = name(column);
        keys = keys.with_column_key_and_metadata(&name, KEY.to_vec(), name.clone().into());
    }
    Ok(properties.with_file_encryption_properties(keys.build().map_err(failed)?))
}

/// Gives every key and counts those of columns.
#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl KeyProvider for Counting {
    async fn unwrap_key(&self, master_key_id: &str, _: &str) -> Result<SecretKey, KeyError> {
        Err(KeyError::Missing {
            key: master_key_id.to_owned(),
        })
    }

    async fn find_key(&self, wanted: WantedKey<'_>) -> Result<SecretKey, KeyError> {
        if wanted.column.is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        SecretKey::new(KEY)
    }
}

/// A table with nothing cached, and the count of keys it asks for.
fn open(folder: &Path) -> (Result<Table, Error>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut options = TableOptions::default();
    options.keys = Some(Arc::new(Counting(Arc::clone(&asked))));
    let source = v1::TableSource {
        url: folder.display().to_string(),
        ..Default::default()
    };
    (Table::open_with(&source, options).map_err(of_table), asked)
}

async fn described(folder: &Path) -> Result<Snapshot, Error> {
    let description = open(folder).0?.describe().await.map_err(of_table)?;
    Ok(description.snapshot)
}

/// The stored metadata, without its length and the magic.
fn footer_of(file: &[u8]) -> &[u8] {
    let (rest, end) = file.split_at(file.len() - 8);
    let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    &rest[rest.len() - length..]
}

fn of_table(error: dpp_table::Error) -> Error {
    Error::Source {
        fault: error.fault(),
        message: dpp_proto::fault::message_with_causes(&error),
    }
}

fn failed(error: impl ToString) -> Error {
    Error::Source {
        fault: Fault::Internal,
        message: error.to_string(),
    }
}

const KEY: &[u8] = b"0123456789012345";
