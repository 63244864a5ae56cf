//! `dpp plan`: whether a plan fits a table, what it says, and what it costs.

mod costs;

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use dpp_ops::{Plan, Program, fit::references, plan::Group};
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::{Description, Table};
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
    /// Show a plan as a tree; for a table, with patterns expanded, kinds, how it runs, and what its ops cost on some rows
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

    /// Run it on so many of the table's first rows, and show what each op costs
    #[arg(long, value_name = "ROWS", requires = "table", value_parser = clap::value_parser!(u64).range(1..))]
    run: Option<u64>,

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
    let bound = Bound::new(&plan, &arguments.table, storage, keys);
    let bound = crate::runtime()?.block_on(bound)?;
    let features = bound.program.features().iter();
    let outputs = Group::ALL.map(|group| (group.name(), bound.plan.outputs(group).len()));
    let outputs = outputs.into_iter().filter(|(_, outputs)| *outputs > 0);
    let report = Report {
        hash: bound.plan.hash(),
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
    crate::runtime()?.block_on(async {
        let job = Bound::new(&plan, url, &arguments.storage, &arguments.keys).await?;
        let mut text = format!("{}\n{}", job.plan.explain(), job.program.explain());
        if let Some(rows) = arguments.run {
            text = format!("{text}\n{}", costs::measured(&plan, &job, rows).await?);
        }
        output::text(&text)
    })
}

/// A plan bound to a table, with the program that a worker would run.
struct Bound {
    table: Table,
    description: Description,
    registry: Registry,
    plan: Plan,
    program: Program,
}

impl Bound {
    async fn new(
        plan: &Plan,
        url: &str,
        storage: &StorageArguments,
        keys: &KeyArguments,
    ) -> Result<Bound, Error> {
        let source = storage.source(url);
        let table = Table::open_with(&source, keys.options()?)?;
        let description = table.describe().await?;
        let plan = plan.bind(&description.schema)?;
        let mut registry = Registry::standard();
        for reference in references(&plan) {
            let loaded = load_artefact(&reference, &source.storage).await?;
            registry = registry.with_fitted(&reference.digest, loaded.into());
        }
        let program = Program::compile_with(&plan, &registry)?;
        Ok(Bound {
            table,
            description,
            registry,
            plan,
            program,
        })
    }
}

const EXAMPLES: &str = "\
What does not fit is said with its output, op, parameter or feature, and the exit status is 2.

Examples:
  dpp plan check plan.json --table s3://ads/clicks
  dpp plan explain plan.json
  dpp plan explain plan.json --table /tmp/clicks
  dpp plan explain plan.json --table /tmp/clicks --run 65536";
