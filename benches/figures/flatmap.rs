//! What it gains that decoded rows stay columns: the same rows to the same tensors, once as they are decoded, an array a
//! feature, and once by way of a map a row, which is built of the decoded columns and taken apart for the transforms.
//! Fetching from a local disk, decoding, transforming and packing are the same on both sides, and count.

use std::path::Path;

use clap::Args;
use dpp_client::Error;
use dpp_proto::v1;
use dpp_table::TableOptions;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    failed,
    machine::Machine,
    pipeline::{Pipeline, Way},
    rounds::median,
    tables,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of the table
    #[arg(long, default_value_t = 8192)]
    rows: u64,
    /// Dense features, all of them read
    #[arg(long, default_value_t = 120)]
    dense: u64,
    /// Id lists, all of them read
    #[arg(long, default_value_t = 60)]
    sparse: u64,
    /// Rows decoded and transformed at a time
    #[arg(long, default_value_t = 512)]
    batch_rows: usize,
    /// Interleaved rounds; medians are printed
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Chooses rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Line {
    figure: &'static str,
    rows: u64,
    dense: u64,
    sparse: u64,
    columns_rows_per_cpu_second: f64,
    maps_rows_per_cpu_second: f64,
    /// Rows per CPU-second more, in percent.
    gain_percent: f64,
    /// The lowest and the highest gain of two turns that followed each other.
    gains_percent: [f64; 2],
    machine: Machine,
}

/// Reads the table both ways by turns and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    synth(&arguments, folder.path())?;
    let source = v1::TableSource {
        url: folder.path().display().to_string(),
        ..Default::default()
    };
    let dense: Vec<String> = (0..arguments.dense).map(|it| format!("D{it}")).collect();
    let sparse: Vec<String> = (0..arguments.sparse).map(|it| format!("S{it}")).collect();
    let plan = plan(&dense, &sparse);
    let pipeline = Pipeline::open(&source, TableOptions::default(), &plan).await?;
    let (mut columns, mut maps, mut gains) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let way = |by_maps| Way {
            by_crate: false,
            by_maps,
            base_rows: arguments.batch_rows,
            batch_rows: arguments.batch_rows,
        };
        let (one, other) = (
            pipeline.pass(way(false)).await?,
            pipeline.pass(way(true)).await?,
        );
        if one.fingerprints != other.fingerprints {
            return Err(failed("other tensors by way of maps"));
        }
        let [one, other] = [one, other].map(|pass| pass.cpu.as_secs_f64());
        columns.push(one);
        maps.push(other);
        gains.push(100.0 * (other / one - 1.0));
    }
    gains.sort_by(f64::total_cmp);
    let rate = |times: Vec<f64>| arguments.rows as f64 / median(times);
    let (columns, maps) = (rate(columns), rate(maps));
    let line = Line {
        figure: "flatmap",
        rows: arguments.rows,
        dense: arguments.dense,
        sparse: arguments.sparse,
        columns_rows_per_cpu_second: columns,
        maps_rows_per_cpu_second: maps,
        gain_percent: 100.0 * (columns / maps - 1.0),
        gains_percent: [gains[0], gains[gains.len() - 1]],
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

/// Dense features filled and clamped, ids cut and hashed.
pub(crate) fn plan(dense: &[String], sparse: &[String]) -> Value {
    let mut nodes = Vec::new();
    let mut op = |node: Value| {
        nodes.push(node);
        nodes.len() - 1
    };
    let dense = dense.iter().map(|name| {
        let feature = op(json!({"feature": name}));
        let filled = op(json!({"op": "fill_null", "inputs": [feature], "value": 0}));
        let clamped = op(json!({"op": "clamp", "inputs": [filled], "min": -3, "max": 3}));
        json!({"name": name, "node": clamped})
    });
    let dense: Vec<Value> = dense.collect();
    let sparse = sparse.iter().map(|name| {
        let feature = op(json!({"feature": name}));
        let cut = op(json!({"op": "first_x", "inputs": [feature], "n": 20}));
        let hash = json!({"op": "sigrid_hash", "inputs": [cut], "salt": 0, "max_value": 1_000_003});
        json!({"name": name, "node": op(hash)})
    });
    let sparse: Vec<Value> = sparse.collect();
    json!({"nodes": nodes, "dense": dense, "sparse": sparse})
}

/// Writes the table by `dpp table synth`.
fn synth(arguments: &Arguments, folder: &Path) -> Result<(), Error> {
    let Arguments {
        rows,
        dense,
        sparse,
        seed,
        ..
    } = arguments;
    let options = format!(
        "--preset w2 --files 1 --rows {rows} --dense {dense} --sparse {sparse} --seed {seed}"
    );
    tables::synth(folder, &options)
}
