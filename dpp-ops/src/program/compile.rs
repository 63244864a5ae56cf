//! From the nodes of a bound plan to steps, and to the layout of their batches.

use std::sync::Arc;

use dpp_batch::{ExtraKind, ExtraSpec, Layout, SparseKey, VectorSpec};
use dpp_proto::v1;

use super::{Output, Outputs, Program, Source, Step};
use crate::{
    Error, Kind, Plan, Registry,
    condition::RowFilter,
    fit,
    plan::{Group, Node, column_names},
};

/// The program of `plan`, which is bound, its steps as `rearrange` leaves them.
pub(super) fn compile(
    plan: &Plan,
    registry: &Registry,
    rearrange: impl FnOnce(Vec<Step>, Outputs) -> (Vec<Step>, Outputs),
) -> Result<Program, Error> {
    registry.check_loaded(&fit::references(plan))?;
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
    let row_filter = plan
        .filter()
        .map(|filter| RowFilter::compile(&filter.condition, &filter.features));
    let row_filter = row_filter.transpose()?;
    let layout = Arc::new(layout(plan, &steps));
    let outputs = Group::ALL.map(|group| {
        let outputs = plan.outputs(group).iter().map(|output| Output {
            place: output.node,
            through: None,
        });
        outputs.collect::<Vec<_>>()
    });
    let (mut steps, outputs) = rearrange(steps, outputs);
    release_after_last_use(&mut steps, &outputs);
    Ok(Program {
        features: features.into(),
        layout,
        steps,
        outputs,
        missing: plan.missing(),
        row_filter,
        is_for_fitting: plan.is_for_fitting(),
    })
}

/// The schema a bound plan was bound to, as far as the plan uses it.
pub(super) fn own_schema(plan: &Plan) -> Result<v1::Schema, Error> {
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
            let name = name.clone();
            Ok((Source::Op { name, op, inputs }, kind))
        }
    }
}

fn release_after_last_use(steps: &mut [Step], outputs: &Outputs) {
    let mut last_use: Vec<Option<usize>> = vec![None; steps.len()];
    for (place, step) in steps.iter().enumerate() {
        let inputs = step.source.inputs().iter();
        inputs.for_each(|&input| last_use[input] = Some(place));
    }
    let shown = outputs.iter().flatten();
    shown.for_each(|output| last_use[output.place] = None);
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
            column_names(group, &output.name, *kind, source.op().map(AsRef::as_ref))
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
