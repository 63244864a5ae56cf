//! The `dpp` command: table tools, running a job, serving.
//!
//! Arguments and `DPP_*` environment enter here, are parsed once, and go to one file per subcommand;
//! results leave on standard output, progress and errors on standard error.

mod bench;
mod cursor;
mod error;
mod fit;
mod fleet;
mod inspect;
mod job;
mod output;
mod place;
mod plan;
mod progress;
mod rewrite;
mod run;
mod serve;
mod snapshot;
mod source;
mod synth;
mod table;
mod verify;

use std::{ffi::OsString, io};

use clap::{Parser, Subcommand};
use dpp_proto::{Faulty as _, fault::message_with_causes, process};
use tokio::runtime::Runtime;

use crate::error::Error;

/// Runs one command; `arguments` begin with the program's name.
///
/// Returns the exit status: 0 done, 1 failed, 2 asked wrongly, 75 worth trying again.
/// Errors are one line on standard error; a reader that closed our standard output is no error.
pub fn main(arguments: Vec<OsString>) -> u8 {
    let command: Command = match process::parse(arguments) {
        Ok(command) => command,
        Err(asked) => return explain(&asked),
    };
    match command.run() {
        Ok(()) => 0,
        Err(Error::Output { source }) if source.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => report(&error),
    }
}

/// Rows to tensors: looks at tables, makes some, runs jobs, serves them.
#[derive(Parser)]
#[command(name = "dpp", version, after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Look at tables, and make some
    #[command(subcommand)]
    Table(table::Task),
    /// Look at the states that trainers save
    #[command(subcommand)]
    Cursor(cursor::Task),
    /// Hold plans against tables, and show them
    #[command(subcommand)]
    Plan(plan::Task),
    /// Drain a job, on-box or at workers, and say how fast it went
    Run(run::Arguments),
    /// Measure what a job costs on this machine, and how many workers it needs
    Bench(bench::Arguments),
    /// Fit statistics, quantiles and vocabularies in one pass
    Fit(fit::Arguments),
    /// Look at a running fleet, and send workers away
    #[command(subcommand)]
    Fleet(fleet::Task),
    /// Serve as a worker, or as the fleet that knows the workers
    Serve(serve::Arguments),
}

impl Command {
    fn run(self) -> Result<(), Error> {
        match self.task {
            Task::Table(task) => task.run(),
            Task::Cursor(task) => task.run(),
            Task::Plan(task) => task.run(),
            Task::Run(arguments) => run::run(arguments),
            Task::Bench(arguments) => bench::run(arguments),
            Task::Fit(arguments) => fit::run(arguments),
            Task::Fleet(task) => task.run(),
            Task::Serve(arguments) => serve::run(arguments),
        }
    }
}

/// Where a command waits for storage and services.
fn runtime() -> Result<Runtime, Error> {
    process::runtime().map_err(|source| Error::Runtime { source })
}

/// Help and version go to standard output and are no failure; anything else was asked wrongly.
fn explain(asked: &clap::Error) -> u8 {
    // A closed output has nobody left to tell.
    let _ = asked.print();
    if asked.use_stderr() { 2 } else { 0 }
}

#[expect(clippy::print_stderr, reason = "a command's last words")]
fn report(error: &Error) -> u8 {
    let message = message_with_causes(error);
    let line: Vec<&str> = message.split_whitespace().collect();
    eprintln!("dpp: error: {}", line.join(" "));
    error.fault().exit_status()
}

const EXAMPLES: &str = "\
Examples:
  dpp table synth /tmp/clicks --rows 1000000 --days 7
  dpp table inspect /tmp/clicks
  dpp plan check plan.json --table /tmp/clicks
  dpp run --table /tmp/clicks --plan plan.json
  dpp bench --table /tmp/clicks --plan plan.json --rows-per-second 2e6
  dpp fit --table /tmp/clicks --plan plan.json --to clicks.fit
  dpp cursor show state.json
  dpp serve fleet
  dpp fleet top
  dpp serve worker --fleet fleet://127.0.0.1:7400

Exit status: 0 done, 1 failed, 2 asked wrongly, 75 worth trying again.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn every_subcommand_has_help_and_examples() {
        check(&mut Command::command());
    }

    fn check(command: &mut clap::Command) {
        let name = command.get_name().to_owned();
        assert!(
            command.get_about().is_some(),
            "{name} says nothing about itself"
        );
        let help = command.render_long_help().to_string();
        assert!(
            help.contains("Examples:"),
            "{name} shows no example:\n{help}"
        );
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name} {argument} has no help"
            );
        }
        for subcommand in command.get_subcommands_mut() {
            if subcommand.get_name() != "help" {
                check(subcommand);
            }
        }
    }
}
