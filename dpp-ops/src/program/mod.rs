//! A bound plan made ready to run: one base batch of columns in, one batch of tensors out.
//!
//! `compile` makes steps of the plan's nodes, `optimise` rearranges them for speed, some of them into a `chain`; `cost` says what
//! they take.

pub(crate) mod chain;
mod compile;
mod cost;
mod explain;
mod optimise;

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::DataType};
use dpp_batch::{Batch, Layout};
use dpp_proto::v1;

use self::chain::Through;
pub use self::{
    chain::{Maps, ValueMap},
    cost::{OpCost, PACKING},
};
use crate::{
    Column, Error, Kind, Plan, Registry,
    condition::RowFilter,
    fit::Part,
    op::{Given, SharedOp},
    pack::{Packed, pack},
    plan::Group,
};

/// A plan compiled: its nodes in order, with their ops, and when each result may be dropped. Shared between threads.
#[derive(Debug)]
pub struct Program {
    features: Arc<[v1::Feature]>,
    layout: Arc<Layout>,
    steps: Vec<Step>,
    outputs: Outputs,
    missing: f32,
    row_filter: Option<RowFilter>,
    is_for_fitting: bool,
}

#[derive(Debug)]
struct Step {
    source: Source,
    kind: Kind,
    /// Steps whose result nobody needs after this one.
    release: Vec<usize>,
}

#[derive(Debug)]
enum Source {
    /// A column of the record batch.
    Feature(usize),
    RowId,
    Op {
        name: String,
        op: SharedOp,
        inputs: Vec<usize>,
    },
    /// Several ops in one, on one input.
    Chain {
        input: usize,
        through: Through,
    },
}

/// What each group's tensors are packed from, in the order of its columns.
type Outputs = [Vec<Output>; Group::ALL.len()];

#[derive(Debug)]
struct Output {
    /// The step that is shown.
    place: usize,
    /// What its result passes through on its way into the tensor.
    through: Option<Through>,
}

/// What a base batch is made of.
struct Rows<'a> {
    batch: &'a RecordBatch,
    row_ids: &'a [i64],
    epoch: i64,
    is_mapped: &'a [bool],
}

impl<'a> Rows<'a> {
    fn new(
        batch: &'a RecordBatch,
        row_ids: &'a [i64],
        epoch: u64,
        is_mapped: &'a [bool],
    ) -> Result<Rows<'a>, Error> {
        let rows = batch.num_rows();
        if row_ids.len() != rows || i32::try_from(rows).is_err() {
            return Err(Error::WrongRows {
                rows,
                row_ids: row_ids.len(),
            });
        }
        Ok(Rows {
            batch,
            row_ids,
            epoch: epoch.cast_signed(),
            is_mapped,
        })
    }
}

impl Source {
    fn inputs(&self) -> &[usize] {
        match self {
            Source::Op { inputs, .. } => inputs,
            Source::Chain { input, .. } => std::slice::from_ref(input),
            Source::Feature(_) | Source::RowId => &[],
        }
    }

    fn op(&self) -> Option<&SharedOp> {
        match self {
            Source::Op { op, .. } => Some(op),
            Source::Chain { .. } | Source::Feature(_) | Source::RowId => None,
        }
    }
}

impl Program {
    /// Compiles a plan that [`Plan::bind`] returned. Nothing in it is taken on trust: it may have come over the wire.
    ///
    /// Fails on a plan that is not bound, and on whatever binding fails on.
    pub fn compile(plan: &Plan) -> Result<Program, Error> {
        Program::compile_with(plan, Registry::of_this_crate())
    }

    /// As [`compile`](Program::compile), with the ops of `registry`.
    pub fn compile_with(plan: &Plan, registry: &Registry) -> Result<Program, Error> {
        let plan = plan.bind_with(&compile::own_schema(plan)?, registry)?;
        compile::compile(&plan, registry, optimise::optimise)
    }

    /// The plan as it is written, for a table: every op of it a step of its own, equal ones too, in the plan's order. Slower, with
    /// the same bits: what is fast is tested and measured against it.
    ///
    /// Fails on whatever binding fails on.
    pub fn as_written(plan: &Plan, schema: &v1::Schema) -> Result<Program, Error> {
        Program::as_written_with(plan, schema, Registry::of_this_crate())
    }

    /// As [`as_written`](Program::as_written), with the ops of `registry`.
    pub fn as_written_with(
        plan: &Plan,
        schema: &v1::Schema,
        registry: &Registry,
    ) -> Result<Program, Error> {
        let plan = plan.bind_as_written(schema, registry)?;
        compile::compile(&plan, registry, |steps, outputs| (steps, outputs))
    }

    /// The features to read, with their kinds: the columns [`run`](Program::run) expects, in this order.
    pub fn features(&self) -> &Arc<[v1::Feature]> {
        &self.features
    }

    /// For each of the [`features`](Program::features) what its values may pass through before they are given to
    /// [`run_mapped`](Program::run_mapped); `None`: nothing. Who decodes a feature maps the few values of a dictionary in place
    /// of those of all rows, where that is less work.
    pub fn value_maps(&self) -> Vec<Option<ValueMap>> {
        let mut maps = vec![None; self.features.len()];
        for (feature, map) in self.chains().filter_map(Through::value_map) {
            maps[feature] = Some(map.clone());
        }
        maps
    }

    fn chains(&self) -> impl Iterator<Item = &Through> {
        let steps = self.steps.iter().filter_map(|step| match &step.source {
            Source::Chain { through, .. } => Some(through),
            _ => None,
        });
        let outputs = self.outputs.iter().flatten();
        steps.chain(outputs.filter_map(|output| output.through.as_ref()))
    }

    /// Which rows the plan is for; `None`: all. [`run`](Program::run) takes rows that were kept.
    pub fn row_filter(&self) -> Option<&RowFilter> {
        self.row_filter.as_ref()
    }

    /// Names and widths of the tensors of every batch.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Whether the plan asks for [`Part`]s of what it is run for, in place of the batches.
    pub fn is_for_fitting(&self) -> bool {
        self.is_for_fitting
    }

    /// The layout of what is sent: of the batches, or of parts.
    pub fn sent_layout(&self) -> &Arc<Layout> {
        match self.is_for_fitting {
            true => Part::layout(),
            false => &self.layout,
        }
    }

    /// Transforms and packs one base batch. `batch` holds the columns of [`features`](Program::features); `row_ids` the
    /// position in the snapshot of each row. No rows give a batch of no rows.
    ///
    /// Fails when a column is missing, misplaced or of another type, when `row_ids` are not as many as rows, and on images
    /// that can't be decoded. Random ops draw for epoch 0.
    pub fn run(&self, batch: &RecordBatch, row_ids: &[i64]) -> Result<Batch, Error> {
        self.run_in_epoch(batch, row_ids, 0)
    }

    /// As [`run`](Program::run); random ops draw for `epoch`.
    pub fn run_in_epoch(
        &self,
        batch: &RecordBatch,
        row_ids: &[i64],
        epoch: u64,
    ) -> Result<Batch, Error> {
        self.run_mapped(batch, row_ids, epoch, &[])
    }

    /// As [`run_in_epoch`](Program::run_in_epoch), on columns that may have passed through the maps that
    /// [`value_maps`](Program::value_maps) gives: `is_mapped` says for each feature whether its column has; those beyond its end
    /// have not. The batch is the same.
    pub fn run_mapped(
        &self,
        batch: &RecordBatch,
        row_ids: &[i64],
        epoch: u64,
        is_mapped: &[bool],
    ) -> Result<Batch, Error> {
        let given = Rows::new(batch, row_ids, epoch, is_mapped)?;
        let columns = self.compute(&given, &mut |_, _| {})?;
        self.packed(&columns, &given)
    }

    /// The results of all steps but those that nothing after them needs; `done` is told of each.
    fn compute(
        &self,
        given: &Rows<'_>,
        done: &mut dyn FnMut(&Step, &Column),
    ) -> Result<Vec<Option<Column>>, Error> {
        let mut columns: Vec<Option<Column>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let column = self.evaluate(step, &columns, given)?;
            done(step, &column);
            columns.push(Some(column));
            for &place in &step.release {
                columns[place] = None;
            }
        }
        Ok(columns)
    }

    fn packed(&self, columns: &[Option<Column>], given: &Rows<'_>) -> Result<Batch, Error> {
        let outputs = self.outputs.each_ref().map(|outputs| {
            let outputs = outputs.iter().map(|output| Packed {
                column: held(columns, output.place),
                through: (output.through.as_ref()).map(|through| through.chain(given.is_mapped)),
            });
            outputs.collect()
        });
        pack(&self.layout, given.batch.num_rows(), outputs, self.missing)
    }

    fn evaluate(
        &self,
        step: &Step,
        columns: &[Option<Column>],
        rows: &Rows<'_>,
    ) -> Result<Column, Error> {
        let row_ids = || Column::Int(rows.row_ids.to_vec().into());
        let result = match &step.source {
            Source::Feature(position) => return self.read(rows.batch, *position, step.kind),
            Source::RowId => return Ok(row_ids()),
            Source::Chain { input, through } => {
                let chain = through.chain(rows.is_mapped);
                chain.evaluate(held(columns, *input))
            }
            Source::Op { name, op, inputs } => {
                let inputs: Vec<&Column> = inputs.iter().map(|&it| held(columns, it)).collect();
                let given = op.given().iter().map(|given| match given {
                    Given::RowId => row_ids(),
                    Given::Epoch => Column::Int(vec![rows.epoch; rows.row_ids.len()].into()),
                });
                let given: Vec<Column> = given.collect();
                let columns: Vec<&Column> = inputs.into_iter().chain(&given).collect();
                let given = rows.row_ids.len();
                op.evaluate(&columns).and_then(|made| match made.rows() {
                    rows if rows == given => Ok(made),
                    made => Err(Error::RowsMade {
                        op: name.clone(),
                        made,
                        given,
                    }),
                })
            }
        };
        result.map_err(|error| self.with_feature(step, error))
    }

    /// The error with the first feature that the step's rows come from.
    fn with_feature(&self, step: &Step, error: Error) -> Error {
        let mut source = &step.source;
        loop {
            match source {
                Source::Op { inputs, .. } if !inputs.is_empty() => {
                    source = &self.steps[inputs[0]].source;
                }
                Source::Chain { input, .. } => source = &self.steps[*input].source,
                Source::Feature(position) => {
                    return Error::InFeature {
                        feature: self.features[*position].name.clone(),
                        cause: Box::new(error),
                    };
                }
                Source::Op { .. } | Source::RowId => return error,
            }
        }
    }

    fn read(&self, batch: &RecordBatch, position: usize, kind: Kind) -> Result<Column, Error> {
        let wanted = &self.features[position].name;
        let wrong = |found: String| Error::WrongColumn {
            position,
            wanted: format!("`{wanted}` ({kind})"),
            found,
        };
        let schema = batch.schema_ref();
        let Some(field) = schema.fields().get(position) else {
            return Err(wrong("missing".into()));
        };
        if field.name() != wanted {
            return Err(wrong(format!("`{}`", field.name())));
        }
        let array = batch.column(position);
        let described = |data_type: &DataType| format!("`{}` ({data_type})", field.name());
        Column::from_arrow(kind, array).map_err(|_| wrong(described(array.data_type())))
    }
}

fn held(columns: &[Option<Column>], place: usize) -> &Column {
    let column = columns[place].as_ref();
    column.expect("a step's result is computed before its use and released after the last")
}
