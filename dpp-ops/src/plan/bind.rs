//! Binds a plan to a table: every name, kind and parameter is checked here, before any data moves.
//!
//! Outputs are taken in order; a pattern's output once for each matching feature. Under each, nodes are instantiated
//! inputs first, without recursion, so that a plan of any depth is bound in bounded stack.

use std::collections::{HashMap, HashSet};

use dpp_proto::{SEMANTICS_VERSION, v1};

use crate::{
    Error, Kind,
    condition::{self, RowFilter},
    nearest::nearest,
    op::{Mismatch, SharedOp},
    parameters::Parameters,
    registry::Registry,
};

use super::{
    Filter, Group, Node, Output, Plan,
    by_feature::for_feature,
    expand::Patterns,
    graph::{Equal, Graph},
    kinds::{advice, any_of, column_names, conversion, in_full, made_of},
    within_limit,
};

pub(super) fn bind(
    plan: &Plan,
    schema: &v1::Schema,
    registry: &Registry,
    equal: Equal,
) -> Result<Plan, Error> {
    if plan.semantics_version() != SEMANTICS_VERSION {
        return Err(Error::Version {
            found: plan.semantics_version(),
            current: SEMANTICS_VERSION,
        });
    }
    let mut binder = Binder::new(plan, schema, registry, equal);
    let mut outputs = <[Vec<Output>; Group::ALL.len()]>::default();
    for group in Group::ALL {
        let mut names = HashSet::new();
        for output in plan.outputs(group) {
            for output in binder.bind_output(group, output)? {
                for name in binder.column_names(group, &output)? {
                    within_limit("columns", names.len())?;
                    if let Some(output) = names.replace(name) {
                        let group = group.name();
                        return Err(Error::DuplicateOutput { group, output });
                    }
                }
                outputs[group as usize].push(output);
            }
        }
    }
    let filter = plan
        .filter()
        .map(|filter| binder.bind_filter(filter))
        .transpose()?;
    binder.graph.into_plan(plan, outputs, filter)
}

struct Binder<'a> {
    plan: &'a Plan,
    schema: &'a v1::Schema,
    registry: &'a Registry,
    features: HashMap<&'a str, &'a v1::Feature>,
    patterns: Patterns<'a>,
    /// Where a node of the plan, for a feature of the schema if it repeats, stands in the graph.
    bound: HashMap<(usize, Option<usize>), usize>,
    graph: Graph,
}

impl<'a> Binder<'a> {
    fn new(
        plan: &'a Plan,
        schema: &'a v1::Schema,
        registry: &'a Registry,
        equal: Equal,
    ) -> Binder<'a> {
        let features = schema.features.iter();
        Binder {
            plan,
            schema,
            registry,
            features: features.map(|it| (it.name.as_str(), it)).collect(),
            patterns: Patterns::of(plan),
            bound: HashMap::new(),
            graph: Graph::new(equal),
        }
    }

    fn bind_output(&mut self, group: Group, output: &Output) -> Result<Vec<Output>, Error> {
        let features = self.patterns.features(output.node, self.schema);
        let features = features.map_err(|cause| match output.name.as_str() {
            "" => cause.in_output(group.name(), &format!("of node {}", output.node)),
            name => cause.in_output(group.name(), name),
        })?;
        let Some(features) = features else {
            if output.name.is_empty() {
                return Err(Error::Form {
                    place: format!("{} output of node {}", group.name(), output.node),
                    message: "the output needs a `name`".into(),
                });
            }
            return Ok(vec![self.bind_one(
                group,
                &output.name,
                output.node,
                None,
            )?]);
        };
        let schema = self.schema;
        let outputs = features.into_iter().map(|feature| {
            let name = &schema.features[feature].name;
            self.bind_one(group, name, output.node, Some(feature))
        });
        outputs.collect()
    }

    fn bind_one(
        &mut self,
        group: Group,
        name: &str,
        node: usize,
        feature: Option<usize>,
    ) -> Result<Output, Error> {
        let place = self.instantiate(node, feature);
        let place = place.and_then(|place| self.convert_for(group, place));
        Ok(Output {
            name: name.to_owned(),
            node: place.map_err(|cause| cause.in_output(group.name(), name))?,
        })
    }

    fn instantiate(&mut self, root: usize, feature: Option<usize>) -> Result<usize, Error> {
        let plan = self.plan;
        let mut stack = vec![root];
        while let Some(&node) = stack.last() {
            let depth = stack.len();
            let is_bound = self.place(node, feature).is_some();
            if let (false, Node::Op { inputs, .. }) = (is_bound, &plan.nodes()[node]) {
                let waiting = inputs.iter().rev().copied();
                stack.extend(waiting.filter(|&input| self.place(input, feature).is_none()));
            }
            if stack.len() > depth {
                continue;
            }
            stack.pop();
            if !is_bound {
                let place = self.bind_node(node, feature);
                let place = place.map_err(|cause| self.in_node(node, feature, cause))?;
                self.bound.insert(self.key(node, feature), place);
                within_limit("nodes", self.bound.len())?;
            }
        }
        Ok(self.place(root, feature).expect("the root is bound last"))
    }

    /// The error with its place in the plan, if it is an op's: a feature's names the feature.
    fn in_node(&self, node: usize, feature: Option<usize>, cause: Error) -> Error {
        let nodes = self.plan.nodes();
        if !matches!(nodes[node], Node::Op { .. }) {
            return cause;
        }
        let mut source = &nodes[node];
        let feature = loop {
            match source {
                Node::Op { inputs, .. } => match inputs.first() {
                    Some(&input) => source = &nodes[input],
                    None => break None,
                },
                Node::Feature { name, .. } => break Some(name),
                Node::Pattern { .. } => break feature.map(|it| &self.schema.features[it].name),
                Node::RowId => break None,
            }
        };
        Error::InNode {
            node,
            feature: feature.cloned(),
            cause: Box::new(cause),
        }
    }

    fn key(&self, node: usize, feature: Option<usize>) -> (usize, Option<usize>) {
        (node, feature.filter(|_| self.patterns.repeats(node)))
    }

    fn place(&self, node: usize, feature: Option<usize>) -> Option<usize> {
        self.bound.get(&self.key(node, feature)).copied()
    }

    fn bind_node(&mut self, node: usize, feature: Option<usize>) -> Result<usize, Error> {
        let (plan, schema) = (self.plan, self.schema);
        let repeated = feature.map(|place| schema.features[place].name.as_str());
        match &plan.nodes()[node] {
            Node::Feature { name, kind } => self.bind_feature(name, *kind),
            Node::Pattern { .. } => {
                let name = repeated.expect("a pattern is bound for a feature");
                self.bind_feature(name, None)
            }
            Node::RowId => self.graph.add(Node::RowId, Kind::Int),
            Node::Op {
                name,
                inputs,
                parameters,
            } => {
                let inputs = inputs.iter().map(|&input| self.place(input, feature));
                let inputs = inputs.map(|place| place.expect("inputs are bound first"));
                let inputs = inputs.collect();
                let parameters = for_feature(name, parameters, repeated)?;
                self.bind_op(name, inputs, &parameters)
            }
        }
    }

    /// The row filter with the kinds of its features, which must bear what they are compared with.
    fn bind_filter(&self, filter: &Filter) -> Result<Filter, Error> {
        let names = condition::features(&filter.condition)?;
        let features = names.into_iter().map(|name| match self.features.get(name) {
            Some(&feature) => Ok(feature.clone()),
            None => Err(self.unknown(name)),
        });
        let features = features
            .collect::<Result<Vec<_>, _>>()
            .and_then(|features| {
                RowFilter::compile(&filter.condition, &features)?;
                Ok(features)
            })
            .map_err(Error::in_filter)?;
        Ok(Filter {
            condition: filter.condition.clone(),
            features,
        })
    }

    fn unknown(&self, name: &str) -> Error {
        Error::UnknownFeature {
            feature: name.to_owned(),
            nearest: nearest(name, self.features.keys().copied()),
        }
    }

    fn bind_feature(&mut self, name: &str, wanted: Option<Kind>) -> Result<usize, Error> {
        let Some(feature) = self.features.get(name) else {
            return Err(self.unknown(name));
        };
        let kind = Kind::of(feature)?.ok_or_else(|| Error::Form {
            place: format!("feature `{name}`"),
            message: "the table's schema leaves its kind open".into(),
        })?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != kind) {
            return Err(Error::FeatureKind {
                feature: name.to_owned(),
                wanted: in_full(wanted),
                found: in_full(kind),
            });
        }
        let node = Node::Feature {
            name: name.to_owned(),
            kind: Some(kind),
        };
        self.graph.add(node, kind)
    }

    fn bind_op(
        &mut self,
        name: &str,
        mut inputs: Vec<usize>,
        parameters: &Parameters,
    ) -> Result<usize, Error> {
        let (op, parameters) = self.registry.construct(name, parameters)?;
        let kind = self.convert_inputs(name, &op, &mut inputs)?;
        let node = Node::Op {
            name: name.to_owned(),
            inputs,
            parameters,
        };
        self.graph.add(node, kind)
    }

    /// The op's kind on its inputs, after those it can't work on are converted where a conversion is implicit.
    fn convert_inputs(
        &mut self,
        name: &str,
        op: &SharedOp,
        inputs: &mut [usize],
    ) -> Result<Kind, Error> {
        loop {
            let kinds: Vec<Kind> = inputs.iter().map(|&place| self.graph.kind(place)).collect();
            let (input, wanted) = match op.output_kind(&kinds) {
                Ok(kind) => return Ok(kind),
                Err(Mismatch::Kind { input, wanted }) => (input, wanted),
                Err(Mismatch::TooFew { least }) => {
                    return Err(Error::TooFewInputs {
                        op: name.to_owned(),
                        least,
                        found: inputs.len(),
                    });
                }
                Err(Mismatch::Count { wanted }) => {
                    return Err(Error::InputCount {
                        op: name.to_owned(),
                        wanted,
                        found: inputs.len(),
                    });
                }
            };
            let Some(conversion) = conversion(kinds[input], wanted) else {
                return Err(Error::InputKind {
                    op: name.to_owned(),
                    input,
                    what: self.graph.describe(inputs[input]),
                    wanted: any_of(wanted),
                    found: kinds[input].to_string(),
                });
            };
            inputs[input] = self.bind_op_on_kind(conversion, inputs[input])?;
        }
    }

    /// A conversion, which takes its input as it is.
    fn bind_op_on_kind(&mut self, name: &str, input: usize) -> Result<usize, Error> {
        let (op, parameters) = self.registry.construct(name, &Parameters::new())?;
        let kind = op.output_kind(&[self.graph.kind(input)]);
        let node = Node::Op {
            name: name.to_owned(),
            inputs: vec![input],
            parameters,
        };
        let kind = kind.expect("conversions are chosen by the kind they take");
        self.graph.add(node, kind)
    }

    /// The names that the output takes in its group.
    fn column_names(&self, group: Group, output: &Output) -> Result<Vec<String>, Error> {
        let op = match self.graph.node(output.node) {
            Node::Op {
                name, parameters, ..
            } => Some(self.registry.construct(name, parameters)?.0),
            _ => None,
        };
        let kind = self.graph.kind(output.node);
        if let (Group::Dense | Group::Labels, Kind::Vector { width }) = (group, kind) {
            within_limit("columns", width as usize)?;
        }
        Ok(column_names(group, &output.name, kind, op.as_deref()))
    }

    fn convert_for(&mut self, group: Group, place: usize) -> Result<usize, Error> {
        let wanted = made_of(group);
        let kind = self.graph.kind(place);
        if kind.is_one_of(wanted) {
            return Ok(place);
        }
        match conversion(kind, wanted) {
            Some(conversion) => self.bind_op_on_kind(conversion, place),
            None => Err(Error::OutputKind {
                group: group.name(),
                what: self.graph.describe(place),
                found: kind.to_string(),
                wanted: any_of(wanted),
                advice: advice(kind, group),
            }),
        }
    }
}
