//! The plan: a DAG from features to the columns of a batch's tensors.
//!
//! ```text
//! nodes   0 feature I1 ── 1 op fill_null ── 2 op log1p        every node's inputs come before it
//! dense   "I1" ← 2                                             outputs name a node
//! ```
//!
//! Plans come from protobuf (`form`) or JSON (`parse`, `print`), are bound to a table's schema (`bind`, with `expand` for
//! patterns and `graph` for equal nodes), and end in a [`Program`](crate::Program).

mod bind;
mod by_feature;
mod expand;
mod explain;
pub(crate) mod field;
mod form;
mod graph;
mod kinds;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use dpp_proto::{SEMANTICS_VERSION, v1};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::{Error, Kind, Registry, parameters::Parameters};

pub use expand::matches_pattern;
use graph::Equal;
pub(crate) use kinds::column_names;

/// Which features become which tensors. Well-formed by construction: inputs come before the nodes that use them, outputs
/// name nodes that exist. Whether it fits a table is for [`Plan::bind`] to say.
#[derive(Clone, Debug)]
pub struct Plan {
    semantics_version: u32,
    nodes: Vec<Node>,
    outputs: [Vec<Output>; Group::ALL.len()],
    missing: f32,
    filter: Option<Filter>,
    is_for_fitting: bool,
}

/// Which rows a plan is for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Over features by name.
    pub(crate) condition: v1::Predicate,
    /// Those features with their kinds, sorted by name; known once the plan is bound.
    pub(crate) features: Vec<v1::Feature>,
}

impl Filter {
    fn features_as_nodes(&self) -> Vec<Node> {
        let features = self.features.iter().map(|feature| Node::Feature {
            name: feature.name.clone(),
            kind: Kind::of(feature).ok().flatten(),
        });
        features.collect()
    }
}

/// One node of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A feature of the table.
    Feature {
        /// Its name.
        name: String,
        /// Its kind; known once the plan is bound.
        kind: Option<Kind>,
    },
    /// Every feature whose name matches: `*` stands for any characters, `?` for one. Gone once bound.
    Pattern {
        /// The pattern.
        glob: String,
    },
    /// An op.
    Op {
        /// Its name in the registry.
        name: String,
        /// Nodes it is applied to.
        inputs: Vec<usize>,
        /// What it is told.
        parameters: Parameters,
    },
    /// Position of the row in the snapshot, an int.
    RowId,
}

/// A named result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name. That of a pattern's output is the matching feature's, whatever is written here.
    pub name: String,
    /// The node it shows.
    pub node: usize,
}

/// The tensors of a batch that outputs belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Columns of dense `[B, D]`; a vector gives as many as it is wide.
    Dense,
    /// Keys of the jagged tensor.
    Sparse,
    /// Columns of labels `[B, L]`, as those of dense.
    Labels,
    /// f32 `[B, width]` each.
    Vectors,
    /// Columns carried exactly.
    Extras,
}

impl Group {
    /// All groups, in the order in which plans write them.
    pub const ALL: [Group; 5] = [
        Group::Dense,
        Group::Sparse,
        Group::Labels,
        Group::Vectors,
        Group::Extras,
    ];

    /// The group's name in plans and messages.
    pub fn name(self) -> &'static str {
        match self {
            Group::Dense => "dense",
            Group::Sparse => "sparse",
            Group::Labels => "labels",
            Group::Vectors => "vectors",
            Group::Extras => "extras",
        }
    }
}

impl Plan {
    /// Nodes, inputs first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Outputs of one group, in the order of its columns.
    pub fn outputs(&self, group: Group) -> &[Output] {
        &self.outputs[group as usize]
    }

    /// What is packed for a dense value that is still null.
    pub fn missing(&self) -> f32 {
        self.missing
    }

    /// The condition that rows must meet, over features; `None` keeps every row.
    pub fn row_filter(&self) -> Option<&v1::Predicate> {
        self.filter.as_ref().map(|filter| &filter.condition)
    }

    /// The plan for every row.
    pub fn without_row_filter(mut self) -> Plan {
        self.filter = None;
        self
    }

    /// The plan as it is fitted: whoever runs it sends sums of rows ([`Part`](crate::fit::Part)s) in place of the rows, in which a
    /// null is no value. Outputs that are not fitted, vectors and extras, are left out.
    ///
    /// Fails when nothing is left.
    pub fn for_fitting(mut self) -> Result<Plan, Error> {
        self.outputs[Group::Vectors as usize].clear();
        self.outputs[Group::Extras as usize].clear();
        if self.outputs.iter().all(Vec::is_empty) {
            return Err(Error::Fit {
                message: "the plan has no dense, sparse or label output to fit".into(),
            });
        }
        self.missing = f32::NAN;
        self.is_for_fitting = true;
        Ok(self)
    }

    /// Whether it is made [for fitting](Plan::for_fitting).
    pub fn is_for_fitting(&self) -> bool {
        self.is_for_fitting
    }

    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Version of the ops' semantics the plan was made for.
    pub fn semantics_version(&self) -> u32 {
        self.semantics_version
    }

    /// Names the plan's content: 64 hexadecimal digits of SHA-256 over its protobuf form.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"dpp.v1.Plan\n");
        hash.update(self.to_proto().encode_to_vec());
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            write!(text, "{byte:02x}").expect("writing to a string can't fail");
        }
        text
    }

    /// The plan bound to a table: patterns expanded, kinds resolved and checked, values by feature and implicit
    /// conversions written out, equal expressions merged, unused nodes dropped. Binding again changes nothing.
    ///
    /// Fails on another semantics version, an unknown feature, op or parameter, a value or kind that can't be used, a
    /// pattern that matches nothing, two outputs of one name; the error names the output.
    pub fn bind(&self, schema: &v1::Schema) -> Result<Plan, Error> {
        self.bind_with(schema, Registry::of_this_crate())
    }

    /// As [`bind`](Plan::bind), with the ops of `registry`.
    pub fn bind_with(&self, schema: &v1::Schema, registry: &Registry) -> Result<Plan, Error> {
        bind::bind(self, schema, registry, Equal::Merged)
    }

    /// As [`bind`](Plan::bind), but equal expressions stay apart. What merging them saves is measured against it.
    pub(crate) fn bind_as_written(
        &self,
        schema: &v1::Schema,
        registry: &Registry,
    ) -> Result<Plan, Error> {
        bind::bind(self, schema, registry, Equal::Kept)
    }

    /// Checks what every plan must hold: the outside builds plans only through here.
    fn new(
        semantics_version: u32,
        nodes: Vec<Node>,
        outputs: [Vec<Output>; Group::ALL.len()],
        missing: f32,
        filter: Option<Filter>,
        is_for_fitting: bool,
    ) -> Result<Plan, Error> {
        let plan = Plan {
            semantics_version: match semantics_version {
                0 => SEMANTICS_VERSION,
                version => version,
            },
            nodes,
            outputs,
            missing: one_of_a_kind(missing),
            filter,
            is_for_fitting,
        };
        plan.check_nodes()?;
        plan.check_outputs()?;
        Ok(plan)
    }

    fn check_nodes(&self) -> Result<(), Error> {
        let mut size = self.nodes.len();
        for (index, node) in self.nodes.iter().enumerate() {
            let Node::Op { inputs, .. } = node else {
                continue;
            };
            size += inputs.len();
            if let Some(place) = inputs.iter().position(|&input| input >= index) {
                return Err(Error::Form {
                    place: format!("nodes[{index}].inputs[{place}]"),
                    message: format!("node {} does not come before node {index}", inputs[place]),
                });
            }
        }
        within_limit("nodes and inputs", size)
    }

    fn check_outputs(&self) -> Result<(), Error> {
        for group in Group::ALL {
            for (index, output) in self.outputs(group).iter().enumerate() {
                if output.node >= self.nodes.len() {
                    return Err(Error::Form {
                        place: format!("{}[{index}].node", group.name()),
                        message: format!(
                            "node {} does not exist, the plan has {}",
                            output.node,
                            self.nodes.len()
                        ),
                    });
                }
            }
        }
        within_limit("outputs", self.outputs.iter().map(Vec::len).sum())
    }
}

/// Plans are equal when their protobuf forms are: NaN equals itself, −0 differs from 0.
impl PartialEq for Plan {
    fn eq(&self, other: &Plan) -> bool {
        self.to_proto().encode_to_vec() == other.to_proto().encode_to_vec()
    }
}

impl Eq for Plan {}

/// One NaN, and no −0, which protobuf would not carry.
fn one_of_a_kind(missing: f32) -> f32 {
    match missing {
        nan if nan.is_nan() => f32::NAN,
        0.0 => 0.0, // −0 too
        other => other,
    }
}

/// Bounds a plan's size, so that a hostile one is an error and not a machine out of memory.
fn within_limit(what: &'static str, size: usize) -> Result<(), Error> {
    const LIMIT: usize = 1_000_000;
    if size > LIMIT {
        return Err(Error::TooLarge { what, limit: LIMIT });
    }
    Ok(())
}
