//! Which job a command is about, as flags: a table, a plan for it, and how they are read.

use std::{fs, path::PathBuf};

use clap::Args;
use dpp_ops::Plan;
use dpp_proto::v1;

use crate::{
    error::Error,
    source::{KeyArguments, StorageArguments},
};

#[derive(Args)]
pub(crate) struct JobArguments {
    /// The table: a path, file:// or s3://
    #[arg(long, value_name = "URL", env = "DPP_TABLE")]
    table: String,

    /// The plan, as JSON (Plan.to_json in Python)
    #[arg(long, value_name = "FILE", env = "DPP_PLAN")]
    plan: PathBuf,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    pub(crate) keys: KeyArguments,
}

/// How its rows are cut.
#[derive(Args)]
pub(crate) struct BatchArguments {
    /// Rows of a batch, per rank
    #[arg(
        long,
        value_name = "ROWS",
        env = "DPP_BATCH_SIZE",
        default_value = "8192"
    )]
    pub(crate) batch_size: u64,
}

impl JobArguments {
    pub(crate) fn table(&self) -> v1::TableSource {
        self.storage.source(&self.table)
    }

    /// Reads the plan.
    pub(crate) fn plan(&self) -> Result<v1::Plan, Error> {
        Ok(read_plan(&self.plan)?.to_proto())
    }
}

/// Reads a plan from a file of JSON.
pub(crate) fn read_plan(path: &PathBuf) -> Result<Plan, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        path: path.clone(),
        source,
    })?;
    Ok(Plan::from_json(&text)?)
}
