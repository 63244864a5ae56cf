//! What each op of a program costs, by a clock that is brought along: none is read here.

use arrow::array::RecordBatch;

use super::{Program, Rows, Source, Step};
use crate::{Column, Error};

/// What the columns that ops of one name made have cost together.
#[derive(Clone, Debug, PartialEq)]
pub struct OpCost {
    /// The op's name in plans; [`PACKING`] for what comes after all ops.
    pub op: String,
    /// Columns that it made.
    pub columns: usize,
    /// Rows of them.
    pub rows: u64,
    /// Bytes of their values: of lists ids, scores and offsets.
    pub bytes: u64,
    /// By the clock.
    pub seconds: f64,
}

/// The name of the work after the ops: writing tensors.
pub const PACKING: &str = "(packing)";

impl Program {
    /// Runs one base batch as [`run`](Program::run) does, and says what it cost: ops in the order in which a program first comes to
    /// them, then packing. `now` is a clock, in seconds. Ops that share a pass over values have no name of their own here:
    /// measure a program [as it is written](Program::as_written).
    ///
    /// Fails as [`run`](Program::run).
    pub fn costs(
        &self,
        batch: &RecordBatch,
        row_ids: &[i64],
        now: &mut dyn FnMut() -> f64,
    ) -> Result<Vec<OpCost>, Error> {
        let given = Rows::new(batch, row_ids, 0, &[])?;
        let mut costs: Vec<OpCost> = Vec::new();
        let mut began = now();
        let columns = self.compute(&given, &mut |step, column| {
            let ended = now();
            if let Some(op) = name(step) {
                add(&mut costs, op, column, ended - began);
            }
            began = ended;
        })?;
        let packed = self.packed(&columns, &given)?;
        costs.push(OpCost {
            op: PACKING.to_owned(),
            columns: self.outputs.iter().map(Vec::len).sum(),
            rows: packed.rows as u64,
            bytes: packed.byte_size() as u64,
            seconds: now() - began,
        });
        Ok(costs)
    }
}

fn name(step: &Step) -> Option<&str> {
    match &step.source {
        Source::Op { name, .. } => Some(name),
        Source::Chain { .. } => Some("(ops in one pass)"),
        Source::Feature(_) | Source::RowId => None,
    }
}

fn add(costs: &mut Vec<OpCost>, op: &str, column: &Column, seconds: f64) {
    let (rows, bytes) = (column.rows() as u64, byte_size(column));
    match costs.iter_mut().find(|cost| cost.op == op) {
        Some(cost) => {
            cost.columns += 1;
            cost.rows += rows;
            cost.bytes += bytes;
            cost.seconds += seconds;
        }
        None => costs.push(OpCost {
            op: op.to_owned(),
            columns: 1,
            rows,
            bytes,
            seconds,
        }),
    }
}

fn byte_size(column: &Column) -> u64 {
    let values = match column {
        Column::Dense(array) => 4 * array.len(),
        Column::Int(array) => 8 * array.len(),
        Column::IdList(lists) => {
            let scores = lists.scores().map_or(0, |scores| scores.len());
            8 * lists.ids().len() + 4 * scores + 4 * lists.offsets().len()
        }
        Column::Vector(vector) => 4 * vector.values().len(),
        Column::Bytes(array) => array.values().len(),
        Column::Text(array) => array.values().len(),
        Column::Image(images) => images.files.values().len(),
        Column::Pixels(pixels) => pixels.values().len(),
    };
    values as u64
}
