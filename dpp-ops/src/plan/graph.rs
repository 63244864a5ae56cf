//! The nodes of a plan while it is bound: equal ones merged as they come, laid out canonically at the end.

use std::collections::HashMap;

use prost::Message;

use crate::{Error, Kind};

use super::{Filter, Group, Node, Output, Plan, form::write_node, within_limit};

/// What becomes of equal ops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Equal {
    /// They are one.
    Merged,
    /// Each runs, as written. Equal features are one all the same: a column is read once.
    Kept,
}

/// Nodes with their kinds.
pub(super) struct Graph {
    equal: Equal,
    nodes: Vec<Node>,
    kinds: Vec<Kind>,
    by_form: HashMap<Vec<u8>, usize>,
}

impl Graph {
    pub(super) fn new(equal: Equal) -> Graph {
        Graph {
            equal,
            nodes: Vec::new(),
            kinds: Vec::new(),
            by_form: HashMap::new(),
        }
    }

    /// The node's place: that of an equal node if there is one and it counts.
    pub(super) fn add(&mut self, node: Node, kind: Kind) -> Result<usize, Error> {
        let form = write_node(&node).encode_to_vec();
        let counts = self.equal == Equal::Merged || !matches!(node, Node::Op { .. });
        if let Some(&place) = self.by_form.get(&form).filter(|_| counts) {
            return Ok(place);
        }
        let place = self.nodes.len();
        within_limit("nodes", place + 1)?;
        self.by_form.insert(form, place);
        self.nodes.push(node);
        self.kinds.push(kind);
        Ok(place)
    }

    pub(super) fn node(&self, place: usize) -> &Node {
        &self.nodes[place]
    }

    pub(super) fn kind(&self, place: usize) -> Kind {
        self.kinds[place]
    }

    /// The node in words: `feature C1`, `first_x of feature C1`.
    pub(super) fn describe(&self, place: usize) -> String {
        match &self.nodes[place] {
            Node::Feature { name, .. } => format!("feature `{name}`"),
            Node::Pattern { glob } => format!("pattern `{glob}`"),
            Node::RowId => "row_id".into(),
            Node::Op { name, inputs, .. } => match self.first_feature(inputs) {
                Some(feature) => format!("{name} of feature `{feature}`"),
                None => name.clone(),
            },
        }
    }

    fn first_feature(&self, inputs: &[usize]) -> Option<&str> {
        let mut place = *inputs.first()?;
        loop {
            match &self.nodes[place] {
                Node::Feature { name, .. } => return Some(name),
                Node::Op { inputs, .. } => place = *inputs.first()?,
                _ => return None,
            }
        }
    }

    /// `plan` with these outputs and the nodes they need, each right after its inputs. The layout depends on the graph
    /// alone, not on how it came about, so that binding a bound plan changes nothing.
    pub(super) fn into_plan(
        mut self,
        plan: &Plan,
        mut outputs: [Vec<Output>; Group::ALL.len()],
        filter: Option<Filter>,
    ) -> Result<Plan, Error> {
        let order = self.order(outputs.iter().flatten().map(|output| output.node));
        let mut places = vec![0; self.nodes.len()];
        for (place, &node) in order.iter().enumerate() {
            places[node] = place;
        }
        for output in outputs.iter_mut().flatten() {
            output.node = places[output.node];
        }
        let nodes = order.into_iter().map(|node| {
            let mut node = std::mem::replace(&mut self.nodes[node], Node::RowId);
            if let Node::Op { inputs, .. } = &mut node {
                inputs.iter_mut().for_each(|input| *input = places[*input]);
            }
            node
        });
        Plan::new(
            plan.semantics_version(),
            nodes.collect(),
            outputs,
            plan.missing(),
            filter,
            plan.is_for_fitting(),
        )
    }

    fn order(&self, roots: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut placed = vec![false; self.nodes.len()];
        let mut order = Vec::new();
        let mut stack = Vec::new();
        for root in roots {
            stack.push(root);
            while let Some(&node) = stack.last() {
                let depth = stack.len();
                if !placed[node] {
                    let waiting = self.inputs(node).iter().rev().filter(|&&it| !placed[it]);
                    stack.extend(waiting);
                }
                if stack.len() == depth {
                    stack.pop();
                    if !std::mem::replace(&mut placed[node], true) {
                        order.push(node);
                    }
                }
            }
        }
        order
    }

    fn inputs(&self, node: usize) -> &[usize] {
        match &self.nodes[node] {
            Node::Op { inputs, .. } => inputs,
            _ => &[],
        }
    }
}
