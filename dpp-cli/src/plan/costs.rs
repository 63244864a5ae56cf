//! What the ops of a plan cost on some rows of its table.

use std::fmt::Write as _;

use arrow::array::RecordBatch;
use dpp_ops::{
    Plan, Program,
    program::{OpCost, PACKING},
};
use dpp_table::PieceRequest;
use rustix::time::{ClockId, clock_gettime};

use super::Bound;
use crate::{error::Error, output};

/// Runs `plan` as it is written, and as it is optimised, on the table's first `rows` rows, or on those of its first row group
/// with any if they are fewer, decoded before.
pub(super) async fn measured(plan: &Plan, bound: &Bound, rows: u64) -> Result<String, Error> {
    let schema = &bound.description.schema;
    let written = Program::as_written_with(plan, schema, &bound.registry)?;
    let batches = (
        first_rows(bound, &written, rows).await?,
        first_rows(bound, &bound.program, rows).await?,
    );
    let (Some(batch), Some(optimised_batch)) = batches else {
        return Ok("the table has no rows to run it on".to_owned());
    };
    let row_ids: Vec<i64> = (0..).take(batch.num_rows()).collect();
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        // the first one is for the caches
        costs = written.costs(&batch, &row_ids, &mut thread_seconds)?;
    }
    let mut optimised = 0.0;
    for _ in 0..ROUNDS {
        let began = thread_seconds();
        bound.program.run(&optimised_batch, &row_ids)?;
        optimised = thread_seconds() - began;
    }
    Ok(table(costs, batch.num_rows(), optimised))
}

/// Columns as a program reads them.
async fn first_rows(
    bound: &Bound,
    program: &Program,
    rows: u64,
) -> Result<Option<RecordBatch>, Error> {
    let files = bound.description.snapshot.files().iter();
    let mut groups =
        files.flat_map(|file| file.row_group_rows.iter().map(move |rows| (file, *rows)));
    let Some((file, group_rows)) = groups.find(|(_, rows)| *rows > 0) else {
        return Ok(None);
    };
    let rows = rows.min(group_rows);
    let request = PieceRequest {
        file: file.clone(),
        rows: 0..rows,
        selection: Vec::new(),
        features: program.features().clone(),
        batch_rows: usize::try_from(rows).unwrap_or(usize::MAX),
        most_held_bytes: u64::MAX,
    };
    let piece = bound.table.fetch(request).await?;
    Ok(piece.decode()?.next().transpose()?)
}

fn table(mut costs: Vec<OpCost>, rows: usize, optimised: f64) -> String {
    costs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let seconds: f64 = costs.iter().map(|cost| cost.seconds).sum();
    let mut text = format!(
        "on {} rows, as it is written\n  {:<28}{:>8}{:>14}{:>12}{:>10}{:>8}",
        output::count(rows as u64),
        "op",
        "columns",
        "rows",
        "bytes",
        "CPU ms",
        "share"
    );
    for cost in costs {
        let OpCost { op, columns, .. } = &cost;
        let (rows, bytes) = (output::count(cost.rows), output::bytes(cost.bytes));
        let (milliseconds, share) = (cost.seconds * 1e3, 100.0 * cost.seconds / seconds);
        // text in memory takes everything
        let _ = write!(
            text,
            "\n  {op:<28}{columns:>8}{rows:>14}{bytes:>12}{milliseconds:>10.3}{share:>7.1}%"
        );
    }
    format!(
        "{text}\n  all {:.3} ms; {PACKING} is writing the tensors\n  optimised {:.3} ms",
        seconds * 1e3,
        optimised * 1e3
    )
}

/// CPU time of this thread.
fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

const ROUNDS: usize = 2;
