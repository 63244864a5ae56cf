//! Figures of the whole: each prints one JSON line, with what was asked and the machine it ran on.
//!
//! Compare within one run, interleaved, by rows per CPU-second: wall time on a shared machine is noise.

#![expect(clippy::print_stdout, reason = "printing figures is what it does")]
#![expect(clippy::print_stderr, reason = "a binary's last words")]

mod autoscale;
mod end_to_end;
mod flatmap;
mod flatten;
mod gaps;
mod ledger;
mod machine;
mod pipeline;
mod plan;
mod rebatch;
mod reorder;
mod resume;
mod rounds;
mod row_maps;
mod rows;
mod run;
mod s3;
mod scale;
mod scaling;
mod serve;
mod sharing;
mod slow_store;
mod tables;
mod transport;
mod usage;
mod wide;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use dpp_client::Error;
use dpp_proto::{Fault, Faulty as _, process};

/// Measures dpp; every figure is one JSON line.
#[derive(Parser)]
#[command(name = "figures", version, after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Subcommand)]
enum Figure {
    /// Rows per CPU-second of a table and plan, on-box or through workers
    Rows(rows::Arguments),
    /// How well the number of workers follows demand, simulated
    Autoscale(autoscale::Arguments),
    /// Tables to batches on-box and through a worker, what every part of it takes, and the floor beside it
    EndToEnd(end_to_end::Arguments),
    /// The floor of a run of `end-to-end`
    #[command(hide = true)]
    EndToEndFloor(end_to_end::FloorArguments),
    /// Decoded rows as columns against maps that are rebuilt of them, one a row
    Flatmap(flatmap::Arguments),
    /// Map layout against flattened columns, and pyarrow on the map
    Flatten(flatten::Arguments),
    /// What layout, coalescing, order, columns, rebatching and own decoding are worth, one added to the other
    Ledger(ledger::Arguments),
    /// Transform and pack with the optimiser on and off
    Plan(plan::Arguments),
    /// Features in the order of usage against stored order, through a slow store
    Reorder(reorder::Arguments),
    /// Batches joined by the client against batches packed whole at the worker, in little memory
    Rebatch(rebatch::Arguments),
    /// The worker of a run of `rebatch`
    #[command(hide = true)]
    RebatchWorker(rebatch::WorkerArguments),
    /// Time to the first batch in the middle of an epoch, against a cold start's
    Resume(resume::Arguments),
    /// What a row costs as rows, passes, files, features and threads grow
    Scale(scale::Arguments),
    /// A fleet that follows a trainer whose speed changes, with workers that wait for a slow store
    Scaling(scaling::Arguments),
    /// What runs on one table at the same time cost at storage
    Sharing(sharing::Arguments),
    /// Processor time per gigabyte of frames by TCP, Unix socket and TLS
    Transport(transport::Arguments),
    /// The services of a figure
    #[command(hide = true)]
    Serve(serve::Arguments),
    /// Cost of opening files of many columns
    Wide(wide::Arguments),
}

fn main() -> io::Result<ExitCode> {
    let measured = measured(Command::parse().figure);
    Ok(process::runtime()?.block_on(measured))
}

async fn measured(figure: Figure) -> ExitCode {
    let measured = match figure {
        Figure::Rows(arguments) => rows::measure(arguments).await,
        Figure::Autoscale(arguments) => autoscale::measure(&arguments),
        Figure::EndToEnd(arguments) => end_to_end::measure(arguments).await,
        Figure::EndToEndFloor(arguments) => end_to_end::floor(arguments).await,
        Figure::Flatmap(arguments) => flatmap::measure(arguments).await,
        Figure::Flatten(arguments) => flatten::measure(arguments).await,
        Figure::Ledger(arguments) => ledger::measure(arguments).await,
        Figure::Plan(arguments) => plan::measure(arguments).await,
        Figure::Reorder(arguments) => reorder::measure(arguments).await,
        Figure::Rebatch(arguments) => rebatch::measure(arguments).await,
        Figure::RebatchWorker(arguments) => rebatch::serve(arguments).await,
        Figure::Resume(arguments) => resume::measure(arguments).await,
        Figure::Scale(arguments) => scale::measure(arguments).await,
        Figure::Scaling(arguments) => scaling::measure(arguments).await,
        Figure::Sharing(arguments) => sharing::measure(arguments).await,
        Figure::Transport(arguments) => transport::measure(arguments).await,
        Figure::Serve(arguments) => serve::serve(arguments).await,
        Figure::Wide(arguments) => wide::measure(arguments).await,
    };
    match measured {
        Ok(figure) => {
            println!("{figure}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("figures: error: {error}");
            ExitCode::from(error.fault().exit_status())
        }
    }
}

/// What stops a figure and is nobody's fault but the machine's.
fn failed(error: impl ToString) -> Error {
    Error::Source {
        fault: Fault::Internal,
        message: error.to_string(),
    }
}

const EXAMPLES: &str = "\
Examples:
  figures autoscale --scenario steps
  figures rows --table /data/clicks --plan plan.json --batch-size 8192
  figures rows --table s3://ads/clicks --plan plan.json --service fleet://127.0.0.1:7400 --epochs 5
  figures end-to-end w1 w2 w3 --epochs 5
  figures flatmap --dense 600 --sparse 300
  figures flatten --python .venv/bin/python
  figures ledger --json
  figures plan --cut last
  figures reorder --json
  figures resume --table /data/clicks --plan plan.json --lanes 1,8,64
  figures scale --json
  figures scaling --kill-every 5
  figures sharing --runs 3
  figures transport --frame-mib 1
  figures wide --columns 1000,10000,20000";
