//! A fleet's status as text.

use std::fmt::Write as _;

use dpp_proto::v1::{RunStatus, Scale, StatusResponse, WorkerStatus};

/// The whole status: the decision, the runs, the workers.
pub(crate) fn of(status: &StatusResponse) -> String {
    let mut text = scale(&status.scale.clone().unwrap_or_default());
    text.push_str("\n\n");
    if status.runs.is_empty() {
        text.push_str("no run is there\n");
    } else {
        line(
            &mut text,
            &[
                "run", "ranks", "progress", "rows/s", "wanted", "stalled", "by", "needs", "verdict",
            ],
        );
        for run in &status.runs {
            run_line(&mut text, run);
        }
    }
    text.push('\n');
    if status.workers.is_empty() {
        text.push_str("no worker is there");
    } else {
        worker_line(
            &mut text,
            &[
                "worker", "slots", "busy", "rows/s", "reads", "runs", "silent", "",
            ],
        );
        for worker in &status.workers {
            one_worker(&mut text, worker);
        }
    }
    text.trim_end().to_owned()
}

fn scale(scale: &Scale) -> String {
    let required = scale
        .required_workers
        .map_or_else(|| "?".to_owned(), |required| required.to_string());
    format!(
        "{} of {required} required workers, for {:.0} s: {} ({})",
        scale.present_workers, scale.age_seconds, scale.reason, scale.verdict
    )
}

fn run_line(text: &mut String, run: &RunStatus) {
    let stalled = run.stalled.unwrap_or_default();
    let causes = [
        ("storage", stalled.storage),
        ("decode", stalled.decode),
        ("transform", stalled.transform),
        ("network", stalled.network),
        ("client", stalled.client),
    ];
    let cause = causes
        .into_iter()
        .filter(|(_, share)| *share > 0.0)
        .max_by(|left, right| left.1.total_cmp(&right.1))
        .map_or("", |(cause, _)| cause);
    line(
        text,
        &[
            &short(&run.name),
            &run.ranks.to_string(),
            &format!("{:.1} %", run.progress * 100.0),
            &rate(run.rows_per_second),
            &rate(run.wanted_rows_per_second),
            &format!("{:.1} %", run.stall_share * 100.0),
            cause,
            &format!("{:.1}", run.required_workers),
            &run.verdict,
        ],
    );
}

fn one_worker(text: &mut String, worker: &WorkerStatus) {
    worker_line(
        text,
        &[
            &worker.address,
            &worker.slots.to_string(),
            &format!("{:.0} %", worker.busy_share * 100.0),
            &rate(worker.rows_per_second),
            &worker.active_reads.to_string(),
            &worker.runs.to_string(),
            &format!("{:.1} s", worker.silent_seconds),
            if worker.draining { "leaving" } else { "" },
        ],
    );
}

fn line(text: &mut String, cells: &[&str; 9]) {
    let [
        run,
        ranks,
        progress,
        rows,
        wanted,
        stalled,
        by,
        needs,
        verdict,
    ] = cells;
    write(
        text,
        format_args!(
            "{run:<24} {ranks:>6} {progress:>9} {rows:>10} {wanted:>10} {stalled:>8} {by:<10} {needs:>6}  {verdict}"
        ),
    );
}

fn worker_line(text: &mut String, cells: &[&str; 8]) {
    let [worker, slots, busy, rows, reads, runs, silent, leaving] = cells;
    write(
        text,
        format_args!(
            "{worker:<32} {slots:>6} {busy:>6} {rows:>10} {reads:>6} {runs:>5} {silent:>8}  {leaving}"
        ),
    );
}

fn write(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{}", line.to_string().trim_end()).expect("text grows");
}

fn short(name: &str) -> String {
    name.chars().take(24).collect()
}

fn rate(rows_per_second: f64) -> String {
    if rows_per_second <= 0.0 {
        return "-".to_owned();
    }
    crate::output::count(rows_per_second.round() as u64)
}
