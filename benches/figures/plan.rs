//! The optimiser on and off: rows per CPU-second of transform and pack, without reading or decoding.
//!
//! A wide ranking plan on columns in memory: dense features filled, clamped and put on a logarithmic scale or in standard
//! deviations, ids cut and hashed, and features made of features: bins, and what two lists share. Batches are as large as
//! a worker's, and many enough not to stay in the cache. Both programs take turns, and their batches are the same bytes.

use std::{sync::Arc, time::Duration};

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field},
};
use clap::{Args, ValueEnum};
use dpp_client::Error;
use dpp_ops::{Kind, Plan, Program};
use dpp_proto::{Fault, shuffle::mix, v1};
use serde::Serialize;
use serde_json::{Value, json};

use crate::machine::{Machine, cpu_time};

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
    /// Rows of a batch
    #[arg(long, default_value_t = 800)]
    rows: usize,
    /// Batches of a turn
    #[arg(long, default_value_t = 16)]
    batches: u64,
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
    rows_per_cpu_second: f64,
    rows_per_cpu_second_as_written: f64,
    ratio: f64,
    /// The lowest and the highest ratio of two turns that followed each other.
    ratios: [f64; 2],
    machine: Machine,
}

/// Runs both programs by turns and returns the figure as JSON.
pub(crate) fn measure(arguments: &Arguments) -> Result<String, Error> {
    let programs = programs(arguments).map_err(invalid)?;
    let batches: Vec<RecordBatch> = (0..arguments.batches)
        .map(|seed| batch(&programs[0], arguments.rows, seed))
        .collect();
    let row_ids: Vec<i64> = vec![0; arguments.rows];
    for batch in &batches {
        let [first, second] = programs.each_ref().map(|it| it.run(batch, &row_ids));
        let same = first.map_err(invalid)?.fingerprint() == second.map_err(invalid)?.fingerprint();
        assert!(same, "the optimiser changes no bit");
    }
    let turn = |program: &Program| -> Result<Duration, Error> {
        let start = cpu_time();
        for batch in &batches {
            std::hint::black_box(program.run(batch, &row_ids).map_err(invalid)?);
        }
        Ok(cpu_time() - start)
    };
    let mut times = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    for _ in 0..arguments.turns {
        let [on, off] = [turn(&programs[0])?, turn(&programs[1])?];
        times[0].push(on.as_secs_f64());
        times[1].push(off.as_secs_f64());
        ratios.push(off.as_secs_f64() / on.as_secs_f64());
    }
    let rows = (arguments.rows * batches.len()) as f64;
    let [on, off] = times.map(|times| rows / median(times));
    ratios.sort_by(f64::total_cmp);
    let line = Line {
        figure: "plan",
        dense: arguments.dense,
        sparse: arguments.sparse,
        generated: arguments.generated,
        cut: arguments.cut,
        rows_per_cpu_second: on,
        rows_per_cpu_second_as_written: off,
        ratio: on / off,
        ratios: [ratios[0], ratios[ratios.len() - 1]],
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
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

/// Columns of what the program reads: numbers from 0 to 100, each tenth null; 0 to 40 ids of 1,000.
fn batch(program: &Program, rows: usize, seed: u64) -> RecordBatch {
    let columns = program.features().iter().zip(0u64..);
    let columns = columns.map(|(feature, place)| {
        let mut drawn = 0u64;
        let mut draw = |below: u64| {
            drawn += 1;
            mix(&[seed, place, drawn]) % below
        };
        let column: ArrayRef = match feature.kind() {
            v1::Kind::Dense => {
                let values = (0..rows).map(|_| (draw(10) > 0).then(|| draw(1000) as f32 / 10.0));
                Arc::new(values.collect::<Float32Array>())
            }
            _ => {
                let lengths: Vec<usize> = (0..rows).map(|_| draw(41) as usize).collect();
                let ids = (0..lengths.iter().sum()).map(|_| draw(1000).cast_signed());
                let ids = Arc::new(ids.collect::<Int64Array>());
                let field = Arc::new(Field::new("item", DataType::Int64, true));
                Arc::new(ListArray::new(
                    field,
                    OffsetBuffer::from_lengths(lengths),
                    ids,
                    None,
                ))
            }
        };
        (feature.name.clone(), column)
    });
    RecordBatch::try_from_iter(columns).expect("columns of as many rows, at least one")
}
