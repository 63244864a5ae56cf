//! What nobody can do without who reads Parquet by its crate: a bare decode of the columns that a plan reads, in one thread, no
//! transform, no tensor. A map is decoded whole, as the crate can do no other.

use std::{collections::HashSet, fs::File, path::PathBuf, time::Instant};

use clap::Args;
use dpp_client::Error;
use dpp_ops::{Plan, Program};
use dpp_table::Table;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde::{Deserialize, Serialize};

use crate::{failed, machine::cpu_time, rows::read_plan, tables::local};

#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    table: PathBuf,
    #[arg(long)]
    plan: PathBuf,
    #[arg(long)]
    batch_size: usize,
    #[arg(long)]
    epochs: u32,
}

/// What a run of it came to.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Floor {
    pub(crate) rows: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
}

/// Decodes the table and drops its rows; returns the floor as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let columns = columns(&arguments).await?;
    let (cpu, wall, mut rows) = (cpu_time(), Instant::now(), 0);
    for _ in 0..arguments.epochs {
        for entry in std::fs::read_dir(&arguments.table).map_err(failed)? {
            let file = File::open(entry.map_err(failed)?.path()).map_err(failed)?;
            rows += decode(file, &columns, arguments.batch_size)?;
        }
    }
    let floor = Floor {
        rows,
        cpu_seconds: (cpu_time() - cpu).as_secs_f64(),
        wall_seconds: wall.elapsed().as_secs_f64(),
    };
    Ok(serde_json::to_string(&floor).expect("numbers are JSON"))
}

/// Those that the plan reads; of `map[key]` the map.
async fn columns(arguments: &Arguments) -> Result<HashSet<String>, Error> {
    let table = Table::open(&local(&arguments.table)).map_err(failed)?;
    let described = table.describe().await.map_err(failed)?;
    let plan = Plan::from_proto(read_plan(&arguments.plan)?).map_err(failed)?;
    let bound = plan.bind(&described.schema).map_err(failed)?;
    let program = Program::compile(&bound).map_err(failed)?;
    let names = program.features().iter().map(|feature| &feature.name);
    Ok(names
        .map(|name| name.split('[').next().unwrap_or(name).to_owned())
        .collect())
}

fn decode(file: File, columns: &HashSet<String>, batch_rows: usize) -> Result<u64, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let fields = reader.schema().fields().iter().enumerate();
    let wanted = fields.filter(|(_, field)| columns.contains(field.name()));
    let roots: Vec<usize> = wanted.map(|(index, _)| index).collect();
    let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
    let reader = reader.with_projection(mask).with_batch_size(batch_rows);
    let mut rows = 0;
    for batch in reader.build().map_err(failed)? {
        rows += batch.map_err(failed)?.num_rows() as u64;
    }
    Ok(rows)
}
