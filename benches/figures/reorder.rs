//! What an order of features by usage saves at storage, against the order in which they are stored.
//!
//! A wide table is written twice by our own rewriter, in stored order and in the order that the first half of the runs
//! teaches; the other half's plans are then read from both, through a store that is as slow as asked. Each side
//! coalesces at the gap that minimises its own service time, found by the store's model over a grid of gaps.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use clap::Args;
use dpp_client::Error;
use dpp_proto::{Fault, fault::message_with_causes, v1};
use dpp_table::{
    CoalesceSettings, PieceRequest, Table, TableOptions, WriteSettings, coalesce, order_by_usage,
};
use parquet::{
    arrow::ArrowWriter,
    file::reader::{FileReader as _, SerializedFileReader},
};
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use serde::Serialize;

use crate::{
    machine::Machine,
    s3::Server,
    slow_store::{Served, SlowStore, Slowness},
    tables,
    usage::{self, Plan},
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Columns of the table; a third of them are id lists
    #[arg(long, value_name = "N", default_value_t = 2000)]
    features: usize,
    /// Rows of the table: by default one row group, as large as the rewriter makes them
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows: usize,
    /// Runs to learn the order from, and as many others to measure
    #[arg(long, value_name = "N", default_value_t = 20)]
    plans: usize,
    /// Seed of table and plans
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    slowness: Slowness,
    /// The S3 server
    #[arg(long, value_name = "PROGRAM", default_value = "build/tools/bin/s3s-fs")]
    s3: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// What both sides cost.
#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    features: usize,
    rows: usize,
    plans_measured: usize,
    seed: u64,
    slowness: Slowness,
    /// Share of the table's bytes that a plan wants, mean.
    wanted_share: f64,
    stored: Side,
    by_usage: Side,
    bytes_ratio: f64,
    service_time_ratio: f64,
    busy_time_ratio: f64,
    machine: Machine,
}

/// One order of features.
#[derive(Serialize)]
struct Side {
    max_gap_bytes: u64,
    wanted_bytes: u64,
    /// Bytes read for each byte wanted.
    over_read: f64,
    model_seconds: f64,
    served: Served,
}

/// Writes both tables, reads the plans, and returns the figure.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let made = folder.path().join("made");
    let names: Vec<String> = (0..arguments.features)
        .map(|i| format!("f_{i:05}"))
        .collect();
    let plans = usage::plans(arguments.features, 2 * arguments.plans, arguments.seed);
    let (learn, measured) = plans.split_at(arguments.plans);
    write_source(&made.join("source"), &names, &arguments).map_err(failed)?;
    let learn: Vec<_> = learn
        .iter()
        .map(|plan| (named(plan, &names), 1.0))
        .collect();
    let order = order_by_usage(&names, &learn);
    for (to, order) in [("stored", Vec::new()), ("by_usage", order)] {
        let row_group = WriteSettings::default().row_group_bytes;
        tables::flattened(&made.join("source"), &made.join(to), order, row_group).await?;
    }
    let server = Server::start(&arguments.s3, &folder.path().join("served")).map_err(failed)?;
    for name in ["stored", "by_usage"] {
        server.put(&made.join(name), name).await.map_err(failed)?;
    }
    let upstream = server.endpoint().trim_start_matches("http://").to_owned();
    let store = SlowStore::start(upstream, arguments.slowness)
        .await
        .map_err(failed)?;
    let side = async |name: &str| {
        let file = made.join(name).join("part-0.parquet");
        let mut side =
            Side::modelled(&file, &names, measured, arguments.slowness).map_err(failed)?;
        side.served = read(name, &server, &store, &names, measured, side.max_gap_bytes).await?;
        side.over_read = side.served.bytes as f64 / side.wanted_bytes as f64;
        Ok::<_, Error>(side)
    };
    let (stored, by_usage) = (side("stored").await?, side("by_usage").await?);
    let whole = fs::metadata(made.join("stored/part-0.parquet"))
        .map_err(failed)?
        .len();
    let figure = Figure {
        figure: "reorder",
        features: arguments.features,
        rows: arguments.rows,
        plans_measured: measured.len(),
        seed: arguments.seed,
        slowness: arguments.slowness,
        wanted_share: stored.wanted_bytes as f64 / measured.len() as f64 / whole as f64,
        bytes_ratio: by_usage.served.bytes as f64 / stored.served.bytes as f64,
        service_time_ratio: by_usage.served.service_seconds / stored.served.service_seconds,
        busy_time_ratio: by_usage.served.busy_seconds / stored.served.busy_seconds,
        stored,
        by_usage,
        machine: Machine::here(),
    };
    Ok(match arguments.json {
        true => serde_json::to_string(&figure).expect("numbers and names are JSON"),
        false => figure.table(),
    })
}

/// Two thirds dense, one third id lists; values that do not compress away, sizes log-normal.
fn write_source(
    folder: &Path,
    names: &[String],
    arguments: &Arguments,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(arguments.seed ^ 0x5EED);
    let column = |index: usize| -> ArrayRef {
        let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        if !index.is_multiple_of(3) {
            let coverage = (0.55 + 0.25 * normal).clamp(0.05, 1.0);
            let value = |_| random.random_bool(coverage).then(|| random.random::<f32>());
            return Arc::new(Float32Array::from_iter((0..arguments.rows).map(value)));
        }
        let mean_length = 2.0 * (0.8 * normal).exp();
        let length = |_| (random.random::<f64>() * 2.0 * mean_length).round() as usize;
        let offsets = OffsetBuffer::<i32>::from_lengths((0..arguments.rows).map(length));
        let values = offsets.last();
        let ids = (0..values).map(|_| random.random_range(0..1_000_000_i64));
        let field = Arc::new(Field::new_list_field(DataType::Int64, true));
        Arc::new(ListArray::new(
            field,
            offsets,
            Arc::new(Int64Array::from_iter_values(ids)),
            None,
        ))
    };
    let columns: Vec<ArrayRef> = (0..names.len()).map(column).collect();
    let named = names
        .iter()
        .zip(columns)
        .map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(named)?;
    fs::create_dir_all(folder)?;
    let sink = fs::File::create(folder.join("part-0.parquet"))?;
    let mut writer = ArrowWriter::try_new(sink, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

impl Side {
    /// The gap of least modelled service time over all plans, a power of two bytes.
    fn modelled(
        file: &Path,
        names: &[String],
        plans: &[Plan],
        slowness: Slowness,
    ) -> Result<Side, Box<dyn std::error::Error>> {
        let reader = SerializedFileReader::new(fs::File::open(file)?)?;
        let group = reader.metadata().row_group(0);
        let mut ranges = vec![0..0; names.len()];
        for chunk in group.columns() {
            let name = &chunk.column_path().parts()[0];
            let (start, length) = chunk.byte_range();
            let feature = names
                .binary_search(name)
                .map_err(|_| "a column of no feature")?;
            ranges[feature] = start..start + length;
        }
        let wanted = |plan: &Plan| {
            plan.iter()
                .map(|feature| ranges[*feature].clone())
                .collect()
        };
        let mut plans: Vec<Vec<_>> = plans.iter().map(wanted).collect();
        plans
            .iter_mut()
            .for_each(|plan| plan.sort_by_key(|range| range.start));
        let wanted_bytes = plans
            .iter()
            .flatten()
            .map(|range| range.end - range.start)
            .sum();
        let gaps = std::iter::once(0).chain((12..=24).map(|power| 1 << power));
        let seconds = |max_gap_bytes: u64| -> f64 {
            let requests = plans
                .iter()
                .flat_map(|plan| coalesce(plan, settings(max_gap_bytes)));
            requests
                .map(|request| slowness.seconds(1, request.end - request.start))
                .sum()
        };
        let modelled = gaps.map(|gap| (gap, seconds(gap)));
        let best = modelled.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let (max_gap_bytes, model_seconds) = best.ok_or("no gaps")?;
        Ok(Side {
            max_gap_bytes,
            wanted_bytes,
            over_read: 0.0,
            model_seconds,
            served: Served::default(),
        })
    }
}

/// Reads every plan's features through the slow store; the footer is known before.
async fn read(
    name: &str,
    server: &Server,
    store: &SlowStore,
    names: &[String],
    plans: &[Plan],
    max_gap_bytes: u64,
) -> Result<Served, Error> {
    let source = v1::TableSource {
        url: format!("s3://bucket/{name}"),
        storage: server.options_by_way_of(store.address()),
        ..v1::TableSource::default()
    };
    let mut options = TableOptions::default();
    options.coalesce = Some(settings(max_gap_bytes));
    let table = Table::open_with(&source, options).map_err(failed)?;
    let description = table.describe().await.map_err(failed)?;
    let file = &description.snapshot.files()[0];
    let before = store.served();
    for plan in plans {
        let wanted = named(plan, names);
        let features = description.schema.features.iter();
        let features = features.filter(|feature| wanted.binary_search(&feature.name).is_ok());
        let request = PieceRequest {
            file: file.clone(),
            rows: 0..file.row_group_rows[0],
            selection: Vec::new(),
            features: features.cloned().collect(),
            batch_rows: 1024,
            most_held_bytes: u64::MAX,
        };
        table.fetch(request).await.map_err(failed)?;
    }
    Ok(store.served() - before)
}

impl Figure {
    fn table(&self) -> String {
        let row = |name: &str, side: &Side| {
            format!(
                "{name:<14} {:>10} {:>9} {:>10.1} {:>9.2}x {:>12.2} {:>9.2}\n",
                side.max_gap_bytes,
                side.served.requests,
                side.served.bytes as f64 / 1e6,
                side.over_read,
                side.served.service_seconds,
                side.served.busy_seconds,
            )
        };
        format!(
            "{} plans over {} features, {:.1} % of the bytes each; {} ms a request, {} MB/s\n\
             {:<14} {:>10} {:>9} {:>10} {:>10} {:>12} {:>9}\n{}{}\
             by usage / stored: {:.3} of the bytes, {:.3} of the service time ({:.3} by the clock)",
            self.plans_measured,
            self.features,
            100.0 * self.wanted_share,
            self.slowness.request_ms,
            self.slowness.bandwidth_mb,
            "order",
            "gap bytes",
            "requests",
            "MB read",
            "over-read",
            "service s",
            "by clock",
            row("stored", &self.stored),
            row("by usage", &self.by_usage),
            self.bytes_ratio,
            self.service_time_ratio,
            self.busy_time_ratio,
        )
    }
}

fn settings(max_gap_bytes: u64) -> CoalesceSettings {
    CoalesceSettings {
        max_gap_bytes,
        ..CoalesceSettings::OBJECT_STORE
    }
}

/// Names of a plan, sorted.
fn named(plan: &Plan, names: &[String]) -> Vec<String> {
    plan.iter().map(|feature| names[*feature].clone()).collect()
}

fn failed(error: impl Into<Box<dyn std::error::Error>>) -> Error {
    Error::Source {
        fault: Fault::Internal,
        message: message_with_causes(&*error.into()),
    }
}
