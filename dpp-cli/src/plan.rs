//! `dpp plan`: whether a plan fits a table, and what it says.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use dpp_ops::{Plan, Program, fit::references, plan::Group};
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::Table;
use dpp_worker::{Registry, engine::load_artefact};
use serde::Serialize;

use crate::{
    error::Error,
    job::read_plan,
    output,
    source::{KeyArguments, StorageArguments},
};

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Task {
    /// Hold a plan against a table: features, kinds, parameters, names of outputs
    Check(CheckArguments),
    /// Show a plan as a tree; for a table, with patterns expanded, kinds, and how it runs
    Explain(ExplainArguments),
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArguments {
    /// The plan, as JSON (Plan.to_json in Python)
    #[arg(value_name = "FILE")]
    plan: PathBuf,

    /// The table: a path, file:// or s3://
    #[arg(long, value_name = "URL", env = "DPP_TABLE")]
    table: String,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    keys: KeyArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArguments {
    /// The plan, as JSON (Plan.to_json in Python)
    #[arg(value_name = "FILE")]
    plan: PathBuf,

    /// The table that it is for: a path, file:// or s3://
    #[arg(long, value_name = "URL", env = "DPP_TABLE")]
    table: Option<String>,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    keys: KeyArguments,
}

impl Task {
    pub(crate) fn run(self) -> Result<(), Error> {
        start_log(LogFormat::Human, "warn")?;
        match self {
            Task::Check(arguments) => check(&arguments),
            Task::Explain(arguments) => explain(&arguments),
        }
    }
}

/// What a plan that fits reads and gives.
#[derive(Serialize)]
struct Report<'a> {
    /// Of the bound plan.
    hash: String,
    /// Those that are read for outputs.
    features: Vec<&'a str>,
    /// Outputs by group, patterns expanded.
    outputs: BTreeMap<&'static str, usize>,
}

fn check(arguments: &CheckArguments) -> Result<(), Error> {
    let plan = read_plan(&arguments.plan)?;
    let (storage, keys) = (&arguments.storage, &arguments.keys);
    let (bound, program) =
        crate::runtime()?.block_on(bound(&plan, &arguments.table, storage, keys))?;
    let features = program.features().iter();
    let outputs = Group::ALL.map(|group| (group.name(), bound.outputs(group).len()));
    let outputs = outputs.into_iter().filter(|(_, outputs)| *outputs > 0);
    let report = Report {
        hash: bound.hash(),
        features: features.map(|feature| feature.name.as_str()).collect(),
        outputs: outputs.collect(),
    };
    match arguments.json {
        true => output::json(&report),
        false => output::text(&report.lines()),
    }
}

impl Report<'_> {
    fn lines(&self) -> String {
        let counts = self.outputs.iter();
        let counts: Vec<String> = counts
            .map(|(group, count)| format!("{count} {group}"))
            .collect();
        let features = self.features.len();
        format!("fits: {features} features become {}", counts.join(", "))
    }
}

fn explain(arguments: &ExplainArguments) -> Result<(), Error> {
    let plan = read_plan(&arguments.plan)?;
    let Some(url) = &arguments.table else {
        return output::text(&plan.explain());
    };
    let bound = bound(&plan, url, &arguments.storage, &arguments.keys);
    let (plan, program) = crate::runtime()?.block_on(bound)?;
    output::text(&format!("{}\n{}", plan.explain(), program.explain()))
}

/// The plan bound to the table, with the program that a worker would run.
async fn bound(
    plan: &Plan,
    url: &str,
    storage: &StorageArguments,
    keys: &KeyArguments,
) -> Result<(Plan, Program), Error> {
    let source = storage.source(url);
    let table = Table::open_with(&source, keys.options()?)?;
    let bound = plan.bind(&table.describe().await?.schema)?;
    let mut registry = Registry::standard();
    for reference in references(&bound) {
        let loaded = load_artefact(&reference, &source.storage).await?;
        registry = registry.with_fitted(&reference.digest, loaded.into());
    }
    let program = Program::compile_with(&bound, &registry)?;
    Ok((bound, program))
}

const EXAMPLES: &str = "\
What does not fit is said with its output, op, parameter or feature, and the exit status is 2.

Examples:
  dpp plan check plan.json --table s3://ads/clicks
  dpp plan explain plan.json
  dpp plan explain plan.json --table /tmp/clicks";
