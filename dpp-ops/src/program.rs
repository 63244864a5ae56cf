//! A bound plan made ready to run: one base batch of columns in, one batch of tensors out.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::DataType};
use dpp_batch::{Batch, ExtraKind, ExtraSpec, Layout, SparseKey, VectorSpec};
use dpp_proto::v1;

use crate::{
    Column, Error, Kind, Plan, Registry,
    condition::RowFilter,
    op::{Given, Op, SharedOp},
    pack::pack,
    plan::{Group, Node, column_names},
};

/// A plan compiled: its nodes in order, with their ops, and when each result may be dropped. Shared between threads.
#[derive(Debug)]
pub struct Program {
    features: Arc<[v1::Feature]>,
    layout: Arc<Layout>,
    steps: Vec<Step>,
    outputs: [Vec<usize>; Group::ALL.len()],
    missing: f32,
    row_filter: Option<RowFilter>,
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
        op: SharedOp,
        inputs: Vec<usize>,
    },
}

impl Source {
    fn op(&self) -> Option<&dyn Op> {
        match self {
            Source::Op { op, .. } => Some(op.as_ref()),
            Source::Feature(_) | Source::RowId => None,
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
        let plan = plan.bind_with(&own_schema(plan)?, registry)?;
        let mut features = Vec::new();
        let mut steps: Vec<Step> = Vec::with_capacity(plan.nodes().len());
        for node in plan.nodes() {
            let (source, kind) = compile_node(node, &steps, &mut features, registry)?;
            steps.push(Step {
                source,
                kind,
                release: Vec::new(),
            });
        }
        let outputs = Group::ALL.map(|group| {
            let outputs = plan.outputs(group).iter();
            outputs.map(|output| output.node).collect::<Vec<_>>()
        });
        let row_filter = plan
            .filter()
            .map(|filter| RowFilter::compile(&filter.condition, &filter.features));
        let row_filter = row_filter.transpose()?;
        release_after_last_use(&mut steps, outputs.iter().flatten());
        Ok(Program {
            features: features.into(),
            layout: Arc::new(layout(&plan, &steps)),
            steps,
            outputs,
            missing: plan.missing(),
            row_filter,
        })
    }

    /// The features to read, with their kinds: the columns [`run`](Program::run) expects, in this order.
    pub fn features(&self) -> &Arc<[v1::Feature]> {
        &self.features
    }

    /// Which rows the plan is for; `None`: all. [`run`](Program::run) takes rows that were kept.
    pub fn row_filter(&self) -> Option<&RowFilter> {
        self.row_filter.as_ref()
    }

    /// Names and widths of the tensors of every batch.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
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
        let rows = batch.num_rows();
        if row_ids.len() != rows || i32::try_from(rows).is_err() {
            return Err(Error::WrongRows {
                rows,
                row_ids: row_ids.len(),
            });
        }
        let mut columns: Vec<Option<Column>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let column = self.evaluate(step, &columns, batch, (row_ids, epoch.cast_signed()))?;
            columns.push(Some(column));
            for &place in &step.release {
                columns[place] = None;
            }
        }
        let outputs = self.outputs.each_ref();
        let outputs = outputs.map(|places| places.iter().map(|&it| held(&columns, it)).collect());
        pack(&self.layout, rows, outputs, self.missing)
    }

    fn evaluate(
        &self,
        step: &Step,
        columns: &[Option<Column>],
        batch: &RecordBatch,
        (row_ids, epoch): (&[i64], i64),
    ) -> Result<Column, Error> {
        match &step.source {
            Source::Feature(position) => self.read(batch, *position, step.kind),
            Source::RowId => Ok(Column::Int(row_ids.to_vec().into())),
            Source::Op { op, inputs } => {
                let inputs: Vec<&Column> = inputs.iter().map(|&it| held(columns, it)).collect();
                let given = op.given().iter().map(|given| match given {
                    Given::RowId => Column::Int(row_ids.to_vec().into()),
                    Given::Epoch => Column::Int(vec![epoch; row_ids.len()].into()),
                });
                let given: Vec<Column> = given.collect();
                let result = op.evaluate(&inputs.into_iter().chain(&given).collect::<Vec<_>>());
                result.map_err(|error| self.with_feature(step, error))
            }
        }
    }

    /// The error with the first feature that the step's rows come from.
    fn with_feature(&self, step: &Step, error: Error) -> Error {
        let mut source = &step.source;
        loop {
            match source {
                Source::Op { inputs, .. } if !inputs.is_empty() => {
                    source = &self.steps[inputs[0]].source;
                }
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

/// The schema a bound plan was bound to, as far as the plan uses it.
fn own_schema(plan: &Plan) -> Result<v1::Schema, Error> {
    let mut schema = v1::Schema::default();
    if let Some(filter) = plan.filter() {
        schema.features.extend(filter.features.iter().cloned());
    }
    for node in plan.nodes() {
        match node {
            Node::Feature {
                name,
                kind: Some(kind),
            } => schema.features.push(kind.feature(name)),
            Node::Feature { name, kind: None } => {
                return Err(Error::Unbound {
                    what: format!("feature `{name}` has no kind"),
                });
            }
            Node::Pattern { glob } => {
                return Err(Error::Unbound {
                    what: format!("it has the pattern `{glob}`"),
                });
            }
            Node::Op { .. } | Node::RowId => {}
        }
    }
    Ok(schema)
}

fn compile_node(
    node: &Node,
    steps: &[Step],
    features: &mut Vec<v1::Feature>,
    registry: &Registry,
) -> Result<(Source, Kind), Error> {
    match node {
        Node::Feature { name, kind } => {
            let kind = kind.expect("a bound feature has a kind");
            features.push(kind.feature(name));
            Ok((Source::Feature(features.len() - 1), kind))
        }
        Node::RowId => Ok((Source::RowId, Kind::Int)),
        Node::Pattern { glob } => unreachable!("binding left the pattern {glob}"),
        Node::Op {
            name,
            inputs,
            parameters,
        } => {
            let (op, _) = registry.construct(name, parameters)?;
            let kinds: Vec<Kind> = inputs.iter().map(|&input| steps[input].kind).collect();
            let kind = op.output_kind(&kinds).expect("binding checked the kinds");
            let inputs = inputs.clone();
            Ok((Source::Op { op, inputs }, kind))
        }
    }
}

fn release_after_last_use<'a>(steps: &mut [Step], outputs: impl Iterator<Item = &'a usize>) {
    let mut last_use: Vec<Option<usize>> = vec![None; steps.len()];
    for (place, step) in steps.iter().enumerate() {
        if let Source::Op { inputs, .. } = &step.source {
            inputs
                .iter()
                .for_each(|&input| last_use[input] = Some(place));
        }
    }
    outputs.for_each(|&output| last_use[output] = None);
    for (place, last) in last_use.into_iter().enumerate() {
        if let Some(last) = last {
            steps[last].release.push(place);
        }
    }
}

fn layout(plan: &Plan, steps: &[Step]) -> Layout {
    let names = |group| {
        let names = plan.outputs(group).iter().flat_map(|output| {
            let Step { source, kind, .. } = &steps[output.node];
            column_names(group, &output.name, *kind, source.op())
        });
        names.collect()
    };
    let kinds = |group| {
        let outputs = plan.outputs(group).iter();
        outputs.map(|output| (output.name.clone(), steps[output.node].kind))
    };
    Layout {
        dense: names(Group::Dense),
        labels: names(Group::Labels),
        sparse: kinds(Group::Sparse)
            .map(|(name, kind)| SparseKey {
                name,
                weighted: kind == Kind::IdScoreList,
            })
            .collect(),
        vectors: kinds(Group::Vectors)
            .map(|(name, kind)| match kind {
                Kind::Vector { width } => VectorSpec::plain(name, width as usize),
                Kind::Pixels(size) => VectorSpec {
                    name,
                    width: size.values(),
                    shape: size.shape(),
                    element: size.element,
                },
                kind => unreachable!("binding let {kind} into vectors"),
            })
            .collect(),
        extras: kinds(Group::Extras)
            .map(|(name, kind)| ExtraSpec {
                name,
                kind: extra_kind(kind),
            })
            .collect(),
    }
}

fn extra_kind(kind: Kind) -> ExtraKind {
    match kind {
        Kind::Int => ExtraKind::Int,
        Kind::Dense => ExtraKind::Dense,
        Kind::Bytes => ExtraKind::Bytes,
        Kind::Text => ExtraKind::Text,
        kind => unreachable!("binding let {kind} into extras"),
    }
}
