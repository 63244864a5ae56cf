//! The optimiser on and off: rows per CPU-second of transform and pack.
//!
//! A wide ranking plan on a file of one row group: dense features filled, clamped and put on a logarithmic scale or in standard
//! deviations, ids cut and hashed, and features made of features: bins, and what two lists share. The plan as written runs on
//! what is decoded. Optimised, it does a part of its work where values are decoded, on dictionaries; so each side is counted as
//! decoding, transforming and packing together, less decoding alone. The three take turns, fetching is not counted, and both
//! programs' batches are the same bytes.

use std::{fs::File, hint::black_box, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field},
};
use clap::{Args, ValueEnum};
use dpp_batch::Batch;
use dpp_client::Error;
use dpp_ops::{Kind, Plan, Program, in_place::MapEach, program};
use dpp_proto::{Fault, shuffle::mix, v1};
use dpp_table::{FetchedPiece, PieceRequest, Table, ValueMap};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    failed,
    machine::{Machine, cpu_time},
    rounds::median,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Dense features
    #[arg(long, default_value_t = 120)]
    dense: usize,
    /// Features of ids: 0 to 40 a row
    #[arg(long, default_value_t = 60)]
    sparse: usize,
    /// Features made of features, half of them bins, half intersections
    #[arg(long, default_value_t = 10)]
    generated: usize,
    /// Whether plans cut lists to 20 ids before they hash them, or after
    #[arg(long, value_enum, default_value_t = Cut::First)]
    cut: Cut,
    /// Different ids of a feature, the lower ones more often
    #[arg(long, default_value_t = 50_000)]
    ids: u64,
    /// Rows of a batch
    #[arg(long, default_value_t = 800)]
    rows: usize,
    /// Batches of the file
    #[arg(long, default_value_t = 16)]
    batches: usize,
    /// Turns of each program; medians are printed
    #[arg(long, default_value_t = 15)]
    turns: usize,
}

/// When lists are cut.
#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Cut {
    First,
    Last,
}

#[derive(Serialize)]
struct Line {
    figure: &'static str,
    dense: usize,
    sparse: usize,
    generated: usize,
    cut: Cut,
    ids: u64,
    /// Features whose values were mapped as they were decoded.
    mapped: usize,
    /// Of transform and pack.
    rows_per_cpu_second: f64,
    rows_per_cpu_second_as_written: f64,
    ratio: f64,
    /// The lowest and the highest ratio of turns that followed each other.
    ratios: [f64; 2],
    /// With decoding.
    rows_per_cpu_second_with_decoding: f64,
    rows_per_cpu_second_with_decoding_as_written: f64,
    machine: Machine,
}

/// Runs both programs by turns and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let [on, off] = programs(&arguments).map_err(invalid)?;
    let folder = tempfile::tempdir().map_err(failed)?;
    write(&folder.path().join("part-0.parquet"), &on, &arguments)?;
    let stored = Stored::open(folder.path(), &on, &arguments).await?;
    let maps = value_maps(&on);
    let (first, mapped) = batches(stored.piece().await?, &on, &maps)?;
    let (second, _) = batches(stored.piece().await?, &off, &[])?;
    assert_eq!(first, second, "the optimiser changes no bit");
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..arguments.turns {
        for (side, times) in [None, Some((&on, &maps[..])), Some((&off, &[][..]))]
            .into_iter()
            .zip(&mut times)
        {
            times.push(turn(stored.piece().await?, side)?);
        }
    }
    let mut ratios: Vec<f64> = (0..arguments.turns)
        .map(|turn| (times[2][turn] - times[0][turn]) / (times[1][turn] - times[0][turn]))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let rows = (arguments.rows * arguments.batches) as f64;
    let [decoding, on, off] = times.map(median);
    let line = Line {
        figure: "plan",
        dense: arguments.dense,
        sparse: arguments.sparse,
        generated: arguments.generated,
        cut: arguments.cut,
        ids: arguments.ids,
        mapped,
        rows_per_cpu_second: rows / (on - decoding),
        rows_per_cpu_second_as_written: rows / (off - decoding),
        ratio: (off - decoding) / (on - decoding),
        ratios: [ratios[0], ratios[ratios.len() - 1]],
        rows_per_cpu_second_with_decoding: rows / on,
        rows_per_cpu_second_with_decoding_as_written: rows / off,
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

/// CPU seconds that a piece takes: decoded, and run through a program if there is one.
fn turn(piece: FetchedPiece, side: Option<(&Program, &[Option<ValueMap>])>) -> Result<f64, Error> {
    let start = cpu_time();
    match side {
        Some((program, maps)) => {
            each(piece, program, maps, |batch| {
                black_box(batch);
            })?;
        }
        None => {
            for rows in piece.decode().map_err(invalid)? {
                black_box(rows.map_err(invalid)?);
            }
        }
    }
    Ok((cpu_time() - start).as_secs_f64())
}

/// What tells a piece's batches from others, and how many features were mapped as they were decoded.
fn batches(
    piece: FetchedPiece,
    program: &Program,
    maps: &[Option<ValueMap>],
) -> Result<(Vec<u64>, usize), Error> {
    let mut fingerprints = Vec::new();
    let mapped = each(piece, program, maps, |batch| {
        fingerprints.push(batch.fingerprint())
    })?;
    Ok((fingerprints, mapped))
}

fn each(
    piece: FetchedPiece,
    program: &Program,
    maps: &[Option<ValueMap>],
    mut show: impl FnMut(Batch),
) -> Result<usize, Error> {
    let mut decoded = piece.decode_mapped(maps).map_err(invalid)?;
    let is_mapped = decoded.is_mapped().to_vec();
    while let Some(rows) = decoded.next().transpose().map_err(invalid)? {
        let row_ids = vec![0; rows.num_rows()];
        show(
            program
                .run_mapped(&rows, &row_ids, 0, &is_mapped)
                .map_err(invalid)?,
        );
    }
    Ok(is_mapped.iter().filter(|it| **it).count())
}

/// The program's maps, as those take them who decode.
fn value_maps(program: &Program) -> Vec<Option<ValueMap>> {
    let maps = program.value_maps().into_iter();
    let map = |map| match map {
        program::ValueMap::Dense(maps) => {
            ValueMap::Dense(Arc::new(move |values| maps.map_each(values)))
        }
        program::ValueMap::Ids(maps) => {
            ValueMap::Ids(Arc::new(move |values| maps.map_each(values)))
        }
    };
    maps.map(|it| it.map(map)).collect()
}

/// The file, and what is asked of it.
struct Stored {
    table: Table,
    request: PieceRequest,
}

impl Stored {
    async fn open(
        folder: &Path,
        program: &Program,
        arguments: &Arguments,
    ) -> Result<Stored, Error> {
        let source = v1::TableSource {
            url: folder.display().to_string(),
            ..v1::TableSource::default()
        };
        let table = Table::open(&source).map_err(invalid)?;
        let described = table.describe().await.map_err(invalid)?;
        let file = described.snapshot.files()[0].clone();
        let request = PieceRequest {
            rows: 0..file.row_group_rows[0],
            file,
            selection: Vec::new(),
            features: program.features().clone(),
            batch_rows: arguments.rows,
            most_held_bytes: u64::MAX,
        };
        Ok(Stored { table, request })
    }

    async fn piece(&self) -> Result<FetchedPiece, Error> {
        let piece = self.table.fetch(self.request.clone()).await;
        piece.map_err(invalid)
    }
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::Source {
        fault: Fault::Invalid,
        message: error.to_string(),
    }
}

/// The plan optimised, and as it is written, for a table of such features.
fn programs(arguments: &Arguments) -> Result<[Program; 2], dpp_ops::Error> {
    let features = (0..arguments.dense).map(|it| Kind::Dense.feature(&format!("I{it}")));
    let lists = (0..arguments.sparse).map(|it| Kind::IdList.feature(&format!("C{it}")));
    let schema = v1::Schema {
        features: features.chain(lists).collect(),
        partition_columns: vec![],
    };
    let plan = Plan::from_json(&plan(arguments).to_string())?;
    Ok([
        Program::compile(&plan.bind(&schema)?)?,
        Program::as_written(&plan, &schema)?,
    ])
}

fn plan(arguments: &Arguments) -> Value {
    let mut nodes = Nodes::default();
    let dense = (0..arguments.dense).map(|feature| {
        let filled = nodes.filled(feature);
        let last = match feature % 2 {
            0 => nodes.op(json!({"op": "log1p", "inputs": [filled]})),
            _ => nodes.op(json!({"op": "z_score", "inputs": [filled], "mean": 50, "std": 20})),
        };
        json!({"name": format!("I{feature}"), "node": last})
    });
    let dense: Vec<Value> = dense.collect();
    let sparse = (0..arguments.sparse).map(|feature| {
        let ids = nodes.op(json!({"feature": format!("C{feature}")}));
        json!({"name": format!("C{feature}"), "node": nodes.hashed(ids, arguments.cut)})
    });
    let mut sparse: Vec<Value> = sparse.collect();
    sparse.extend((0..arguments.generated).map(|generated| {
        let node = match generated % 2 {
            0 => {
                let filled = nodes.filled(generated % arguments.dense);
                let borders: Vec<usize> = (0..50).map(|border| border * 2).collect();
                nodes.op(json!({"op": "bucketize", "inputs": [filled], "borders": borders}))
            }
            _ => {
                let [one, two] = [generated, generated + 1].map(|feature| {
                    let feature = feature % arguments.sparse;
                    nodes.op(json!({"feature": format!("C{feature}")}))
                });
                let both = nodes.op(json!({"op": "intersect", "inputs": [one, two]}));
                nodes.hashed(both, arguments.cut)
            }
        };
        json!({"name": format!("G{generated}"), "node": node})
    }));
    json!({"nodes": nodes.0, "dense": dense, "sparse": sparse})
}

#[derive(Default)]
struct Nodes(Vec<Value>);

impl Nodes {
    fn op(&mut self, node: Value) -> usize {
        self.0.push(node);
        self.0.len() - 1
    }

    fn filled(&mut self, feature: usize) -> usize {
        let feature = self.op(json!({"feature": format!("I{feature}")}));
        let filled = self.op(json!({"op": "fill_null", "inputs": [feature], "value": 0.5}));
        self.op(json!({"op": "clamp", "inputs": [filled], "min": 0, "max": 95}))
    }

    fn hashed(&mut self, ids: usize, cut: Cut) -> usize {
        let first_x = |input| json!({"op": "first_x", "inputs": [input], "n": 20});
        let hash = |input| json!({"op": "sigrid_hash", "inputs": [input], "salt": 0, "max_value": 1_000_003});
        match cut {
            Cut::First => {
                let cut = self.op(first_x(ids));
                self.op(hash(cut))
            }
            Cut::Last => {
                let hashed = self.op(hash(ids));
                self.op(first_x(hashed))
            }
        }
    }
}

/// One row group of what the program reads, written as tables are: zstd, dictionaries where they are not too large.
fn write(path: &Path, program: &Program, arguments: &Arguments) -> Result<(), Error> {
    let rows = arguments.rows * arguments.batches;
    let columns = program.features().iter().zip(0u64..);
    let columns = columns.map(|(feature, seed)| {
        let column = match feature.kind() {
            v1::Kind::Dense => numbers(rows, seed),
            _ => lists(rows, seed, arguments.ids),
        };
        (feature.name.clone(), column)
    });
    let batch = RecordBatch::try_from_iter(columns).map_err(failed)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let file = File::create(path).map_err(failed)?;
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.close().map(drop).map_err(failed)
}

/// From 0 to 100, each tenth null.
fn numbers(rows: usize, seed: u64) -> ArrayRef {
    let mut draw = draws(seed);
    let values = (0..rows).map(|_| (draw(10) > 0).then(|| draw(1000) as f32 / 10.0));
    Arc::new(values.collect::<Float32Array>())
}

/// 0 to 40 ids a row. Half of them are of the lowest eighth of all.
fn lists(rows: usize, seed: u64, ids: u64) -> ArrayRef {
    let mut draw = draws(seed);
    let lengths: Vec<usize> = (0..rows).map(|_| draw(41) as usize).collect();
    let values = (0..lengths.iter().sum()).map(|_| {
        let place = draw(1 << 20) as f64 / f64::from(1 << 20);
        (ids as f64 * place.powi(3)) as i64
    });
    let values = Arc::new(values.collect::<Int64Array>());
    let field = Arc::new(Field::new("item", DataType::Int64, true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(field, offsets, values, None))
}

/// Numbers below a bound, each time others.
fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut drawn = 0u64;
    move |below| {
        drawn += 1;
        mix(&[seed, drawn]) % below
    }
}
