//! A plan on a few rows, in this process: what a served model is fed. The same reading of columns, the same program and
//! the same packing as the engine's, so the same bytes. A row filter chooses what to train on: here every row is wanted.

use arrow::array::RecordBatch;
use dpp_batch::Batch;
use dpp_ops::{Plan, Program, Registry, plan::Node};
use dpp_table::rows;

use crate::Error;

/// A plan ready for rows in memory. Bound, it is compiled once; else it is bound to every rows' own columns.
#[derive(Debug)]
pub struct Applier {
    plan: Plan,
    registry: Registry,
    program: Option<Program>,
}

impl Applier {
    /// Compiles the plan if it is bound: kinds and patterns are then those of the table it was bound to.
    ///
    /// # Errors
    /// What compiling says of the plan.
    pub fn new(plan: Plan, registry: Registry) -> Result<Applier, Error> {
        let plan = plan.without_row_filter();
        let program = match is_bound(&plan) {
            true => Some(Program::compile_with(&plan, &registry)?),
            false => None,
        };
        Ok(Applier {
            plan,
            registry,
            program,
        })
    }

    /// The tensors of `rows`; `row_ids` are their positions in a snapshot, for plans that ask. Columns that the plan does
    /// not name are left alone; a feature that is not known is a column of nulls.
    ///
    /// # Errors
    /// A column that is missing or of another kind, and whatever binding says of a plan that is not bound.
    pub fn apply(&self, rows: &RecordBatch, row_ids: &[i64]) -> Result<Batch, Error> {
        if row_ids.len() != rows.num_rows() {
            let (rows, ids) = (rows.num_rows(), row_ids.len());
            return Err(Error::request(format!("{ids} row ids for {rows} rows")));
        }
        let bound;
        let program = match &self.program {
            Some(program) => program,
            None => {
                let schema = rows::features_of(rows.schema_ref())?;
                let plan = self.plan.bind_with(&schema, &self.registry)?;
                bound = Program::compile_with(&plan, &self.registry)?;
                &bound
            }
        };
        let rows = rows::deliver(rows, program.features())?;
        Ok(program.run(&rows, row_ids)?)
    }
}

fn is_bound(plan: &Plan) -> bool {
    plan.nodes().iter().all(|node| match node {
        Node::Feature { kind, .. } => kind.is_some(),
        Node::Pattern { .. } => false,
        Node::Op { .. } | Node::RowId => true,
    })
}
