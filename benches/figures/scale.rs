//! What a row costs as things grow: rows, passes, files, stored features, features that are read, threads. One of them at a time
//! grows, every run is a process of its own, and sizes take turns.
//!
//! Tables are made by `dpp table synth`. A million rows is the largest; more rows are several passes over it, each with all of a
//! pass's work, from storage on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use dpp_client::Error;
use serde::Serialize;

use crate::{
    failed, flatmap,
    machine::Machine,
    rounds::median_of,
    run::{Job, Place, Run},
    tables::synth,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Every table has so many times fewer rows
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    smaller: u64,
    /// Interleaved rounds; medians are printed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    rounds: u32,
    sizes: Vec<Size>,
    machine: Machine,
}

/// Medians over the rounds.
#[derive(Serialize)]
struct Size {
    /// What grows.
    grows: &'static str,
    to: u64,
    rows: u64,
    rows_per_cpu_second: f64,
    rows_per_second: f64,
    peak_anonymous_mb: f64,
    read_bytes_per_row: f64,
}

/// A size to run at.
struct Point {
    grows: &'static str,
    to: u64,
    job: Job,
}

/// Runs all sizes by turns and returns the figure.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let shelf = Shelf {
        folder: folder.path(),
        smaller: arguments.smaller,
    };
    let points = shelf.points(Machine::here().cores as u64)?;
    let mut runs: Vec<Vec<Run>> = points.iter().map(|_| Vec::new()).collect();
    for _ in 0..arguments.rounds {
        for (point, runs) in points.iter().zip(&mut runs) {
            runs.push(point.job.run(Place::OnBox)?);
        }
    }
    let sizes = points.iter().zip(&runs);
    let figure = Figure {
        figure: "scale",
        rounds: arguments.rounds,
        sizes: sizes.map(|(point, runs)| Size::of(point, runs)).collect(),
        machine: Machine::here(),
    };
    Ok(match arguments.json {
        true => serde_json::to_string(&figure).expect("numbers and names are JSON"),
        false => figure.table(),
    })
}

/// Where tables and plans lie.
struct Shelf<'a> {
    folder: &'a Path,
    smaller: u64,
}

impl Shelf<'_> {
    fn points(&self, cores: u64) -> Result<Vec<Point>, Error> {
        let clicks = self.plan("clicks", CLICKS)?;
        let click_rows = |rows, files| self.clicks(&clicks, rows, files);
        let mut points = Vec::new();
        let mut add = |grows, to, job| points.push(Point { grows, to, job });
        let (few, many) = (click_rows(100_000, 4)?, click_rows(1_000_000, 4)?);
        add("rows", 100_000 / self.smaller, few.passes(1));
        add("rows", 1_000_000 / self.smaller, many.passes(1));
        add("rows", 10_000_000 / self.smaller, many.passes(10));
        for passes in [1, 5, 20] {
            add("passes", passes.into(), few.passes(passes));
        }
        for files in [1, 10, 100] {
            add("files", files, click_rows(500_000, files)?);
        }
        for threads in 1..=cores {
            let options = format!("--threads {threads}");
            add(
                "threads",
                threads,
                Job {
                    options,
                    ..many.clone()
                },
            );
        }
        for stored in [75, 300, 1200] {
            add("stored features", stored, self.wide(stored, 60)?);
        }
        for read in [15, 60, 240] {
            add("features read", read, self.wide(1200, read)?);
        }
        Ok(points)
    }

    /// Rows of 13 dense features and 26 ids, in row groups of one size.
    fn clicks(&self, plan: &Path, rows: u64, files: u64) -> Result<Job, Error> {
        let rows = rows / self.smaller;
        let name = format!("clicks-{rows}-{files}");
        let options = format!("--preset w1 --rows {rows} --files {files} --row-group-rows 5000");
        self.job(&name, &options, plan.to_owned(), 8192)
    }

    /// Two dense features for every id list, of those stored and of those read, which are the first.
    fn wide(&self, stored: u64, read: u64) -> Result<Job, Error> {
        let names = |kind: char, count: u64| -> Vec<String> {
            (0..count).map(|number| format!("{kind}{number}")).collect()
        };
        let plan = flatmap::plan(&names('D', read / 3 * 2), &names('S', read / 3));
        let plan = self.plan(&format!("wide-{read}"), &plan.to_string())?;
        let (rows, dense, sparse) = (16_384 / self.smaller, stored / 3 * 2, stored / 3);
        let options =
            format!("--preset w2 --rows {rows} --files 2 --dense {dense} --sparse {sparse}");
        self.job(&format!("wide-{stored}"), &options, plan, 1024)
    }

    /// Makes the table unless another size did.
    fn job(&self, name: &str, options: &str, plan: PathBuf, batch_rows: u64) -> Result<Job, Error> {
        let table = self.folder.join(name);
        if !table.exists() {
            synth(&table, options)?;
        }
        Ok(Job {
            table,
            plan,
            batch_rows,
            epochs: 1,
            options: String::new(),
        })
    }

    fn plan(&self, name: &str, json: &str) -> Result<PathBuf, Error> {
        let path = self.folder.join(name).with_extension("json");
        fs::write(&path, json).map_err(failed)?;
        Ok(path)
    }
}

impl Job {
    fn passes(&self, epochs: u32) -> Job {
        Job {
            epochs,
            ..self.clone()
        }
    }
}

impl Size {
    fn of(point: &Point, runs: &[Run]) -> Size {
        let of = |number: fn(&Run) -> f64| median_of(runs, number);
        Size {
            grows: point.grows,
            to: point.to,
            rows: runs[0].rows,
            rows_per_cpu_second: of(|run| run.rows as f64 / run.cpu_seconds),
            rows_per_second: of(|run| run.rows as f64 / run.wall_seconds),
            peak_anonymous_mb: of(|run| run.peak_anonymous_bytes as f64 / 1e6),
            read_bytes_per_row: of(|run| run.stats.read_bytes as f64 / run.rows as f64),
        }
    }
}

impl Figure {
    fn table(&self) -> String {
        let mut text = format!(
            "{:<16} {:>10} {:>11} {:>11} {:>11} {:>8} {:>12}",
            "what grows", "to", "rows", "rows/CPU-s", "rows/s", "MB", "bytes a row"
        );
        let mut last = "";
        for size in &self.sizes {
            let grows = if size.grows == last { "" } else { size.grows };
            last = size.grows;
            text += &format!(
                "\n{grows:<16} {:>10} {:>11} {:>11.0} {:>11.0} {:>8.0} {:>12.1}",
                size.to,
                size.rows,
                size.rows_per_cpu_second,
                size.rows_per_second,
                size.peak_anonymous_mb,
                size.read_bytes_per_row,
            );
        }
        text
    }
}

const CLICKS: &str = r#"{"nodes": [
    {"pattern": "I*"}, {"op": "fill_null", "inputs": [0], "value": 0.0}, {"op": "clamp", "inputs": [1], "min": 0.0},
    {"op": "log1p", "inputs": [2]},
    {"pattern": "C*"}, {"op": "fill_null", "inputs": [4], "value": 0},
    {"op": "sigrid_hash", "inputs": [5], "salt": 0, "max_value": 1000000}],
  "dense": [{"name": "*", "node": 3}], "sparse": [{"name": "*", "node": 6}]}"#;
