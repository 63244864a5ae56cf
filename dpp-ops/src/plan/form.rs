//! A plan as protobuf: what crosses the wire and what its hash is made of.

use dpp_proto::v1;

use crate::{
    Error, Kind,
    parameters::{Parameters, Value},
};

use super::{Filter, Group, Node, Output, Plan};

impl Plan {
    /// Reads a plan. A semantics version of 0 is the current one.
    ///
    /// Fails where a message is empty, a name is reserved, or nodes and outputs do not fit each other.
    pub fn from_proto(plan: v1::Plan) -> Result<Plan, Error> {
        let nodes = plan.nodes.into_iter().enumerate();
        let nodes = nodes.map(|(index, node)| read_node(index, node));
        let outputs = [
            plan.dense,
            plan.sparse,
            plan.labels,
            plan.vectors,
            plan.extras,
        ];
        Plan::new(
            plan.semantics_version,
            nodes.collect::<Result<_, _>>()?,
            outputs.map(|outputs| outputs.into_iter().map(read_output).collect()),
            plan.missing,
            plan.row_filter.map(|condition| Filter {
                condition,
                features: plan.filter_features,
            }),
            plan.for_fitting,
        )
    }

    /// The plan as a message. [`Plan::from_proto`] gives the same plan back.
    pub fn to_proto(&self) -> v1::Plan {
        let outputs = |group| self.outputs(group).iter().map(write_output).collect();
        v1::Plan {
            semantics_version: self.semantics_version,
            nodes: self.nodes.iter().map(write_node).collect(),
            dense: outputs(Group::Dense),
            sparse: outputs(Group::Sparse),
            labels: outputs(Group::Labels),
            vectors: outputs(Group::Vectors),
            extras: outputs(Group::Extras),
            missing: self.missing,
            row_filter: self.filter.as_ref().map(|filter| filter.condition.clone()),
            filter_features: self
                .filter
                .as_ref()
                .map_or_else(Vec::new, |filter| filter.features.clone()),
            for_fitting: self.is_for_fitting,
        }
    }
}

fn malformed(index: usize, message: impl Into<String>) -> Error {
    Error::Form {
        place: format!("nodes[{index}]"),
        message: message.into(),
    }
}

fn read_node(index: usize, node: v1::Node) -> Result<Node, Error> {
    use v1::node::Node as Form;
    match node.node {
        None => Err(malformed(index, "the node is empty")),
        Some(Form::Feature(feature)) => Ok(Node::Feature {
            kind: Kind::of(&feature)?,
            name: feature.name,
        }),
        Some(Form::Pattern(pattern)) => Ok(Node::Pattern { glob: pattern.glob }),
        Some(Form::Op(op)) => Ok(Node::Op {
            inputs: op.inputs.iter().map(|&input| input as usize).collect(),
            parameters: read_parameters(index, op.parameters)?,
            name: op.name,
        }),
        Some(Form::RowId(_)) => Ok(Node::RowId),
    }
}

fn read_parameters(index: usize, parameters: Vec<v1::Parameter>) -> Result<Parameters, Error> {
    let mut read = Parameters::new();
    for parameter in parameters {
        let name = parameter.name;
        if RESERVED.contains(&name.as_str()) {
            return Err(malformed(index, format!("no parameter is named `{name}`")));
        }
        let value = parameter.value.and_then(|value| value.value);
        let value = read_value(index, &name, value)?;
        if read.insert(name.clone(), value).is_some() {
            return Err(malformed(
                index,
                format!("parameter `{name}` is given twice"),
            ));
        }
    }
    Ok(read)
}

fn read_value(index: usize, name: &str, value: Option<v1::value::Value>) -> Result<Value, Error> {
    match value {
        Some(v1::value::Value::ByFeature(by_feature)) => {
            let mut values = Parameters::new();
            for entry in by_feature.values {
                let value = entry.value.and_then(|value| value.value);
                values.insert(entry.name, read_plain_value(index, name, value)?);
            }
            Ok(Value::ByFeature(values))
        }
        value => read_plain_value(index, name, value),
    }
}

fn read_plain_value(
    index: usize,
    name: &str,
    value: Option<v1::value::Value>,
) -> Result<Value, Error> {
    use v1::value::Value as Form;
    Ok(match value {
        None => {
            let message = format!("parameter `{name}` has no value");
            return Err(malformed(index, message));
        }
        Some(Form::ByFeature(_)) => {
            let message =
                format!("parameter `{name}` has values by feature within values by feature");
            return Err(malformed(index, message));
        }
        Some(Form::Integer(number)) => Value::Integer(number),
        Some(Form::Real(number)) => Value::Real(one_nan(number)),
        Some(Form::Flag(flag)) => Value::Flag(flag),
        Some(Form::Text(text)) => special_real(&text).map_or(Value::Text(text), Value::Real),
        Some(Form::Integers(list)) => Value::Integers(list.values),
        Some(Form::Reals(list)) if list.values.is_empty() => Value::Integers(Vec::new()),
        Some(Form::Reals(list)) => Value::Reals(list.values.into_iter().map(one_nan).collect()),
    })
}

fn read_output(output: v1::Output) -> Output {
    Output {
        name: output.name,
        node: output.node as usize,
    }
}

pub(super) fn write_node(node: &Node) -> v1::Node {
    use v1::node::Node as Form;
    let form = match node {
        Node::Feature {
            name,
            kind: Some(kind),
        } => Form::Feature(kind.feature(name)),
        Node::Feature { name, kind: None } => Form::Feature(v1::Feature {
            name: name.clone(),
            ..v1::Feature::default()
        }),
        Node::Pattern { glob } => Form::Pattern(v1::Pattern { glob: glob.clone() }),
        Node::Op {
            name,
            inputs,
            parameters,
        } => Form::Op(v1::Op {
            name: name.clone(),
            inputs: inputs.iter().map(|&input| write_index(input)).collect(),
            parameters: write_parameters(parameters),
        }),
        Node::RowId => Form::RowId(v1::RowId {}),
    };
    v1::Node { node: Some(form) }
}

fn write_parameters(parameters: &Parameters) -> Vec<v1::Parameter> {
    let parameters = parameters.iter().map(|(name, value)| v1::Parameter {
        name: name.clone(),
        value: Some(v1::Value {
            value: Some(write_value(value)),
        }),
    });
    parameters.collect()
}

fn write_value(value: &Value) -> v1::value::Value {
    use v1::value::Value as Form;
    match value {
        Value::Integer(number) => Form::Integer(*number),
        Value::Real(number) => Form::Real(*number),
        Value::Flag(flag) => Form::Flag(*flag),
        Value::Text(text) => Form::Text(text.clone()),
        Value::Integers(values) => Form::Integers(v1::IntegerList {
            values: values.clone(),
        }),
        Value::Reals(values) => Form::Reals(v1::RealList {
            values: values.clone(),
        }),
        Value::ByFeature(values) => Form::ByFeature(v1::ByFeature {
            values: write_parameters(values),
        }),
    }
}

fn write_output(output: &Output) -> v1::Output {
    v1::Output {
        name: output.name.clone(),
        node: write_index(output.node),
    }
}

fn write_index(index: usize) -> u32 {
    u32::try_from(index).expect("plans are bounded to far fewer nodes")
}

/// The reals that JSON has no number for.
pub(super) fn special_real(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn one_nan(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

/// Keys of a node in JSON that parameters share the object with.
const RESERVED: [&str; 2] = ["op", "inputs"];
