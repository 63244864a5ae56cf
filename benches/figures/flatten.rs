//! Map layout against flattened, through a real S3 server: the same rows, the same features chosen at random, the same
//! tensors. Beside them pyarrow and numpy on the map table, in the same interleaved run.
//!
//! CPU is of the process that reads, the server's not counted. Row groups are of a warehouse's size: by default a flattened one
//! takes about 128 MB, as Parquet's Java writer and `dpp table rewrite` make them; the format's own documentation advises 512 MB
//! to 1 GB. `row_group_bytes` says how many.

use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use clap::Args;
use dpp_client::{BatchRows, Error, Loader, Place, Settings};
use dpp_ops::Plan;
use dpp_proto::{Fault, shuffle::mix, v1};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    gaps::{self, Gaps},
    machine::{Machine, cpu_time},
    rows::drain,
    s3::Server,
    tables::{self, local},
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of both tables
    #[arg(long, default_value_t = 24_576)]
    rows: u64,
    /// Rows of a row group
    #[arg(long, default_value_t = 12_288)]
    row_group_rows: u64,
    /// Dense features
    #[arg(long, default_value_t = 600)]
    dense: u64,
    /// Id lists
    #[arg(long, default_value_t = 300)]
    sparse: u64,
    /// Shares of the features that a plan reads, in percent
    #[arg(long, value_delimiter = ',', default_values_t = [10, 20, 37, 100])]
    shares: Vec<u64>,
    /// Interleaved rounds; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The S3 server, s3s-fs
    #[arg(long, default_value = "build/tools/bin/s3s-fs")]
    server: PathBuf,
    /// A Python with pyarrow and numpy [default: none, and no comparison with them]
    #[arg(long)]
    python: Option<PathBuf>,
    /// Chooses features and rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Line {
    figure: &'static str,
    rows: u64,
    /// Stored bytes of a flattened row group, mean.
    row_group_bytes: u64,
    shares: Vec<Share>,
    /// Fetching the middle share from the flattened table, decoding nothing.
    gaps: Gaps,
    machine: Machine,
}

/// What one share of the features costs.
#[derive(Serialize)]
struct Share {
    percent: u64,
    features: usize,
    /// Of the flattened table's bytes, those of the features.
    byte_share: f64,
    feature_bytes: u64,
    flat: Side,
    map: Side,
    pyarrow_map: Option<Side>,
    flat_over_map: f64,
    map_over_pyarrow: Option<f64>,
    read_over_feature_bytes: f64,
}

/// Medians over the rounds.
#[derive(Clone, Debug, Serialize)]
struct Side {
    rows_per_cpu_second: f64,
    read_bytes: u64,
    requests: u64,
    n_ids: u64,
    sum_dense: f64,
}

/// Measures every share and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let server = Server::start(&arguments.server, &folder.path().join("served"))
        .map_err(|error| failed(format!("{}: {error}", arguments.server.display())))?;
    for layout in ["flat", "map"] {
        let made = folder.path().join(layout);
        synth(&arguments, &made, layout)?;
        server.put(&made, layout).await.map_err(failed)?;
    }
    let flat = folder.path().join("flat");
    if arguments.python.is_none() {
        eprintln!("NOT MEASURED: pyarrow on the map table; give --python");
    }
    let mut shares = Vec::new();
    for percent in &arguments.shares {
        shares.push(share(&arguments, &server, &flat, *percent).await?);
    }
    let percent = arguments.shares[arguments.shares.len() / 2];
    let chosen = Chosen::new(&arguments, percent);
    let gaps = Gaps {
        s3: gaps::measure(
            &table(&server, "flat"),
            &chosen.features(),
            arguments.rounds,
        )
        .await?,
        local: gaps::measure(&local(&flat), &chosen.features(), arguments.rounds).await?,
    };
    let line = Line {
        figure: "flatten",
        rows: arguments.rows,
        row_group_bytes: stored_bytes(&flat, &chosen)?.1
            / arguments.rows.div_ceil(arguments.row_group_rows),
        shares,
        gaps,
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

async fn share(
    arguments: &Arguments,
    server: &Server,
    stored: &Path,
    percent: u64,
) -> Result<Share, Error> {
    let chosen = Chosen::new(arguments, percent);
    let (feature_bytes, all_bytes) = stored_bytes(stored, &chosen)?;
    let (mut flat, mut map, mut pyarrow) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        flat.push(ours(server, "flat", chosen.plan(column)?, arguments.rows).await?);
        map.push(ours(server, "map", chosen.plan(entry)?, arguments.rows).await?);
        if let Some(python) = &arguments.python {
            pyarrow.push(theirs(python, server, &chosen)?);
        }
    }
    let (flat, map) = (median(flat), median(map));
    let pyarrow_map = (!pyarrow.is_empty()).then(|| median(pyarrow));
    for other in std::iter::once(&map).chain(&pyarrow_map) {
        let same = other.n_ids == flat.n_ids && (other.sum_dense - flat.sum_dense).abs() < 0.5;
        if !same {
            return Err(failed(format!("other rows: {flat:?} and {other:?}")));
        }
    }
    Ok(Share {
        percent,
        features: chosen.dense.len() + chosen.sparse.len(),
        byte_share: feature_bytes as f64 / all_bytes as f64,
        feature_bytes,
        flat_over_map: flat.rows_per_cpu_second / map.rows_per_cpu_second,
        map_over_pyarrow: pyarrow_map
            .as_ref()
            .map(|side| map.rows_per_cpu_second / side.rows_per_cpu_second),
        read_over_feature_bytes: flat.read_bytes as f64 / feature_bytes as f64,
        flat,
        map,
        pyarrow_map,
    })
}

/// Features by their number among those of their kind.
struct Chosen {
    dense: Vec<u64>,
    sparse: Vec<u64>,
}

impl Chosen {
    fn new(arguments: &Arguments, percent: u64) -> Chosen {
        let some = |salt: u64, of: u64| {
            let mut all: Vec<u64> = (0..of).collect();
            all.sort_by_key(|feature| mix(&[arguments.seed, salt, percent, *feature]));
            all.truncate((of * percent / 100) as usize);
            all.sort_unstable();
            all
        };
        Chosen {
            dense: some(1, arguments.dense),
            sparse: some(2, arguments.sparse),
        }
    }

    /// As the flattened table has them.
    fn features(&self) -> Arc<[v1::Feature]> {
        let feature = |name: String, kind: v1::Kind| v1::Feature {
            name,
            kind: kind.into(),
            width: 0,
        };
        let dense = self.dense.iter();
        let dense = dense.map(|number| feature(column(Sort::Dense, *number), v1::Kind::Dense));
        let sparse = self.sparse.iter();
        let sparse = sparse.map(|number| feature(column(Sort::Sparse, *number), v1::Kind::IdList));
        dense.chain(sparse).collect()
    }

    /// Dense features with 0 for null, lists as they are; `name` says what the table calls a feature.
    fn plan(&self, name: impl Fn(Sort, u64) -> String) -> Result<v1::Plan, Error> {
        let sorts = [(Sort::Dense, &self.dense), (Sort::Sparse, &self.sparse)];
        let named = |(sort, numbers): (Sort, &Vec<u64>)| {
            let names = numbers.iter().map(|number| name(sort, *number));
            names.collect::<Vec<_>>()
        };
        let [dense, sparse] = sorts.map(named);
        let nodes = dense
            .iter()
            .chain(&sparse)
            .map(|name| json!({"feature": name}));
        let outputs = |names: &[String], first: usize| {
            let output = |(node, name): (usize, &String)| json!({"name": name, "node": node});
            (first..).zip(names).map(output).collect::<Vec<_>>()
        };
        let plan = json!({
            "semantics_version": dpp_proto::SEMANTICS_VERSION,
            "nodes": nodes.collect::<Vec<_>>(),
            "dense": outputs(&dense, 0),
            "sparse": outputs(&sparse, dense.len()),
            "missing": 0.0,
        });
        let plan = Plan::from_json(&plan.to_string()).map_err(|error| failed(&error))?;
        Ok(plan.to_proto())
    }
}

#[derive(Clone, Copy)]
enum Sort {
    Dense,
    Sparse,
}

fn column(sort: Sort, number: u64) -> String {
    match sort {
        Sort::Dense => format!("D{number}"),
        Sort::Sparse => format!("S{number}"),
    }
}

fn entry(sort: Sort, number: u64) -> String {
    match sort {
        Sort::Dense => format!("dense[{number}]"),
        Sort::Sparse => format!("sparse[{number}]"),
    }
}

fn table(server: &Server, layout: &str) -> v1::TableSource {
    v1::TableSource {
        url: format!("s3://bucket/{layout}"),
        storage: server.options(),
        ..Default::default()
    }
}

/// One epoch of our loader, after it was opened.
async fn ours(server: &Server, layout: &str, plan: v1::Plan, rows: u64) -> Result<Side, Error> {
    let table = table(server, layout);
    let settings = Settings {
        batch: BatchRows::PerRank(BATCH_ROWS),
        ..Settings::default()
    };
    let place = Place::OnBox {
        threads: Some(1),
        keys: None,
    };
    let mut loader = Loader::open(place, table, plan, settings).await?;
    let cpu = cpu_time();
    let sums = drain(&mut loader, 1).await?;
    let cpu_seconds = (cpu_time() - cpu).as_secs_f64();
    let stats = loader.stats();
    Ok(Side {
        rows_per_cpu_second: rows as f64 / cpu_seconds,
        read_bytes: stats.read_bytes,
        requests: stats.requests,
        n_ids: sums.n_ids,
        sum_dense: sums.sum_dense,
    })
}

/// The same in Python, a process a round; it measures itself after its imports.
fn theirs(python: &Path, server: &Server, chosen: &Chosen) -> Result<Side, Error> {
    let wish = json!({
        "endpoint": server.endpoint(),
        "table": "bucket/map",
        "batch_rows": BATCH_ROWS,
        "dense": chosen.dense,
        "sparse": chosen.sparse,
    });
    let output = Command::new(python)
        .args(["benches/peers/read_map.py", &wish.to_string()])
        .output()
        .map_err(|error| failed(format!("{}: {error}", python.display())))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let answer: Value = serde_json::from_str(&told).map_err(|error| {
        failed(format!(
            "{error}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    })?;
    let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    Ok(Side {
        rows_per_cpu_second: number("rows") / number("cpu_seconds"),
        read_bytes: 0,
        requests: 0,
        n_ids: number("n_ids") as u64,
        sum_dense: number("sum_dense"),
    })
}

fn median(mut sides: Vec<Side>) -> Side {
    sides.sort_by(|a, b| a.rows_per_cpu_second.total_cmp(&b.rows_per_cpu_second));
    sides.swap_remove(sides.len() / 2)
}

/// Writes a table by `dpp table synth`.
fn synth(arguments: &Arguments, destination: &Path, layout: &str) -> Result<(), Error> {
    let (rows, dense, sparse) = (arguments.rows, arguments.dense, arguments.sparse);
    let options = format!(
        "--preset w2 --files 2 --rows {rows} --dense {dense} --sparse {sparse} --layout {layout} --row-group-rows {} --seed {}",
        arguments.row_group_rows, arguments.seed
    );
    tables::synth(destination, &options)
}

/// Stored bytes of the chosen features, and of all of them.
fn stored_bytes(table: &Path, chosen: &Chosen) -> Result<(u64, u64), Error> {
    let dense = chosen
        .dense
        .iter()
        .map(|number| column(Sort::Dense, *number));
    let sparse = chosen
        .sparse
        .iter()
        .map(|number| column(Sort::Sparse, *number));
    let wanted: HashSet<String> = dense.chain(sparse).collect();
    let (mut own, mut all) = (0, 0);
    for entry in std::fs::read_dir(table).map_err(|error| failed(&error))? {
        let file = entry.and_then(|entry| File::open(entry.path()));
        let reader = SerializedFileReader::new(file.map_err(|error| failed(&error))?);
        let reader = reader.map_err(|error| failed(&error))?;
        let groups = reader.metadata().row_groups().iter();
        for chunk in groups.flat_map(|group| group.columns()) {
            let bytes = chunk.compressed_size().unsigned_abs();
            all += bytes;
            if wanted.contains(&chunk.column_path().parts()[0]) {
                own += bytes;
            }
        }
    }
    Ok((own, all))
}

fn failed(error: impl ToString) -> Error {
    Error::Source {
        fault: Fault::Internal,
        message: error.to_string(),
    }
}

const BATCH_ROWS: u64 = 1024;
