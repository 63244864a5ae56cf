//! What each idea of reading is worth on top of those before it, on one table behind a real S3 server.
//!
//! ```text
//! map layout ─▶ flattened ─▶ coalesced requests ─▶ order by usage ─▶ columns in memory ─▶ base batches joined ─▶ own decoding
//! ```
//!
//! The plan is one that the order was not learned from. CPU is this process's, one thread's and the client's of the store; the
//! server's is not counted. Every step makes the same batches, held against each other by fingerprint.

use std::path::{Path, PathBuf};

use clap::Args;
use dpp_client::Error;
use dpp_proto::v1::TableSource;
use dpp_table::{CoalesceSettings, TableOptions, order_by_usage};
use serde::Serialize;

use crate::{
    failed,
    flatmap::plan,
    machine::Machine,
    pipeline::{Pass, Pipeline, Way},
    s3::Server,
    tables, usage,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of the table
    #[arg(long, default_value_t = 16_384)]
    rows: u64,
    /// Dense features
    #[arg(long, default_value_t = 600)]
    dense: usize,
    /// Id lists
    #[arg(long, default_value_t = 300)]
    sparse: usize,
    /// Runs to learn the order from
    #[arg(long, default_value_t = 20)]
    plans: usize,
    /// Rows of the trainer's batches
    #[arg(long, default_value_t = 8192)]
    batch_rows: usize,
    /// Rows packed at a time, once batches are joined
    #[arg(long, default_value_t = 512)]
    base_rows: usize,
    /// Interleaved rounds; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Chooses rows and plans
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The S3 server, s3s-fs
    #[arg(long, default_value = "build/tools/bin/s3s-fs")]
    server: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    rows: u64,
    features: usize,
    features_read: usize,
    steps: Vec<Line>,
    /// The last step's rows per CPU-second over the first's.
    total: f64,
    machine: Machine,
}

#[derive(Serialize)]
struct Line {
    step: &'static str,
    rows_per_cpu_second: f64,
    /// Over the step before.
    gain: f64,
    read_bytes: u64,
    requests: u64,
}

/// One more idea than the step before.
struct Step {
    name: &'static str,
    table: &'static str,
    coalesced: bool,
    way: Way,
}

/// Runs the steps by turns and returns the figure.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let server = Server::start(&arguments.server, &folder.path().join("served"))
        .map_err(|error| failed(format!("{}: {error}", arguments.server.display())))?;
    let names = Names::new(&arguments);
    let all = arguments.dense + arguments.sparse;
    let plans = usage::plans(all, arguments.plans + 1, arguments.seed);
    let (measured, learned) = plans.split_last().expect("one more than is learned from");
    let learned: Vec<_> = learned.iter().map(|plan| (names.of(plan), 1.0)).collect();
    write_tables(
        &arguments,
        folder.path(),
        order_by_usage(&names.0, &learned),
    )
    .await?;
    for name in ["map", "flat", "by_usage"] {
        let made = folder.path().join(name);
        server.put(&made, name).await.map_err(failed)?;
    }
    let (sparse, dense): (Vec<_>, Vec<_>) = names
        .of(measured)
        .into_iter()
        .partition(|name| name.starts_with("sparse"));
    let plan = plan(&dense, &sparse);
    let steps = steps(&arguments);
    let mut pipelines = Vec::new();
    for step in &steps {
        let mut options = TableOptions::default();
        options.coalesce = (!step.coalesced).then_some(NOT_AT_ALL);
        let source = TableSource {
            url: format!("s3://bucket/{}", step.table),
            storage: server.options(),
            ..Default::default()
        };
        pipelines.push(Pipeline::open(&source, options, &plan).await?);
    }
    let mut passes: Vec<Vec<Pass>> = steps.iter().map(|_| Vec::new()).collect();
    for _ in 0..arguments.rounds {
        for ((step, pipeline), passes) in steps.iter().zip(&pipelines).zip(&mut passes) {
            passes.push(pipeline.pass(step.way).await?);
        }
    }
    let first = &passes[0][0].fingerprints;
    if passes
        .iter()
        .flatten()
        .any(|pass| pass.fingerprints != *first)
    {
        return Err(failed("a step makes other batches"));
    }
    let figure = Figure::new(&arguments, dense.len() + sparse.len(), &steps, passes);
    Ok(match arguments.json {
        true => serde_json::to_string(&figure).expect("numbers and names are JSON"),
        false => figure.table(),
    })
}

fn steps(arguments: &Arguments) -> Vec<Step> {
    let first = Step {
        name: "map layout",
        table: "map",
        coalesced: false,
        way: Way {
            by_crate: true,
            by_maps: true,
            base_rows: arguments.batch_rows,
            batch_rows: arguments.batch_rows,
        },
    };
    let mut steps = vec![first];
    let mut add = |name, change: fn(&mut Step, &Arguments)| {
        let last = &steps[steps.len() - 1];
        let mut step = Step { name, ..*last };
        change(&mut step, arguments);
        steps.push(step);
    };
    add("flattened", |step, _| step.table = "flat");
    add("coalesced", |step, _| step.coalesced = true);
    add("order by usage", |step, _| step.table = "by_usage");
    add("columns in memory", |step, _| step.way.by_maps = false);
    add("base batches joined", |step, arguments| {
        step.way.base_rows = arguments.base_rows;
    });
    add("own decoding", |step, _| step.way.by_crate = false);
    steps
}

/// Features as both layouts name them, in the order in which they are stored.
struct Names(Vec<String>);

impl Names {
    fn new(arguments: &Arguments) -> Names {
        let dense = (0..arguments.dense).map(|number| format!("dense[{number}]"));
        let sparse = (0..arguments.sparse).map(|number| format!("sparse[{number}]"));
        Names(dense.chain(sparse).collect())
    }

    fn of(&self, plan: &usage::Plan) -> Vec<String> {
        let names = plan.iter().map(|feature| self.0[*feature].clone());
        names.collect()
    }
}

/// The map table, and it flattened in both orders.
async fn write_tables(
    arguments: &Arguments,
    folder: &Path,
    by_usage: Vec<String>,
) -> Result<(), Error> {
    let map = folder.join("map");
    let Arguments {
        rows,
        dense,
        sparse,
        seed,
        ..
    } = arguments;
    let options = format!(
        "--preset w2 --files 1 --rows {rows} --dense {dense} --sparse {sparse} --layout map --row-group-rows {rows} --seed {seed}"
    );
    tables::synth(&map, &options)?;
    for (name, order) in [("flat", Vec::new()), ("by_usage", by_usage)] {
        tables::flattened(&map, &folder.join(name), order, ALL_ROWS).await?;
    }
    Ok(())
}

impl Figure {
    fn new(
        arguments: &Arguments,
        features_read: usize,
        steps: &[Step],
        passes: Vec<Vec<Pass>>,
    ) -> Figure {
        let mut lines: Vec<Line> = Vec::new();
        for (step, mut passes) in steps.iter().zip(passes) {
            passes.sort_by_key(|pass| pass.cpu);
            let median = passes.swap_remove(passes.len() / 2);
            let rate = arguments.rows as f64 / median.cpu.as_secs_f64();
            lines.push(Line {
                step: step.name,
                rows_per_cpu_second: rate,
                gain: lines
                    .last()
                    .map_or(1.0, |last| rate / last.rows_per_cpu_second),
                read_bytes: median.io.read_bytes,
                requests: median.io.requests,
            });
        }
        Figure {
            figure: "ledger",
            rows: arguments.rows,
            features: arguments.dense + arguments.sparse,
            features_read,
            total: lines.iter().map(|line| line.gain).product(),
            steps: lines,
            machine: Machine::here(),
        }
    }

    fn table(&self) -> String {
        let head = format!(
            "{} rows, {} of {} features\n{:<20} {:>16} {:>7} {:>10} {:>9}\n",
            self.rows,
            self.features_read,
            self.features,
            "",
            "rows/CPU-s",
            "gain",
            "MB read",
            "requests"
        );
        let lines = self.steps.iter().map(|line| {
            format!(
                "{:<20} {:>16.0} {:>6.2}x {:>10.1} {:>9}\n",
                line.step,
                line.rows_per_cpu_second,
                line.gain,
                line.read_bytes as f64 / 1e6,
                line.requests
            )
        });
        let lines: String = lines.collect();
        format!("{head}{lines}in all {:.2}x", self.total)
    }
}

/// Bytes of a row group that ends with its file, as the map table's does: batches end where row groups do.
const ALL_ROWS: u64 = u64::MAX;

/// A request for every column chunk.
const NOT_AT_ALL: CoalesceSettings = CoalesceSettings {
    max_gap_bytes: 0,
    ..CoalesceSettings::OBJECT_STORE
};
