//! `dpp table`: one file per tool.

use clap::Subcommand;

use crate::{error::Error, inspect, rewrite, snapshot, synth, verify};

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Task {
    /// Show what a table holds: features, kinds, coverage, lengths, bytes
    Inspect(inspect::Arguments),
    /// Take or extend a snapshot: the exact files that runs read
    Snapshot(snapshot::Arguments),
    /// Write a table anew: flattened, in another order, better encoded
    Rewrite(rewrite::Arguments),
    /// Say whether two tables hold the same rows, whatever their layout
    Verify(verify::Arguments),
    /// Write a realistic table: dense features with nulls, zipf ids, a label that can be learned
    Synth(synth::Arguments),
}

impl Task {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Task::Inspect(arguments) => inspect::run(arguments),
            Task::Snapshot(arguments) => snapshot::run(arguments),
            Task::Rewrite(arguments) => rewrite::run(arguments),
            Task::Verify(arguments) => verify::run(arguments),
            Task::Synth(arguments) => synth::run(arguments),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  dpp table synth /tmp/clicks --rows 1000000
  dpp table inspect /tmp/clicks
  dpp table snapshot /tmp/clicks --save /tmp/snapshots/
  dpp table rewrite /tmp/clicks /tmp/flat --auto
  dpp table verify /tmp/clicks /tmp/flat";
