//! A plan as JSON for people: one node and one output a line.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Kind, condition, parameters::Value};

use super::{Group, Node, Output, Plan};

impl Plan {
    /// The plan as JSON text. [`Plan::from_json`] gives the same plan back.
    pub fn to_json(&self) -> String {
        let mut fields = vec![field("semantics_version", &self.semantics_version)];
        fields.push(lines("nodes", &self.nodes));
        for group in Group::ALL {
            if !self.outputs(group).is_empty() {
                fields.push(lines(group.name(), self.outputs(group)));
            }
        }
        if let Some(filter) = &self.filter {
            fields.push(field("where", &condition::Written(&filter.condition)));
            if !filter.features.is_empty() {
                fields.push(lines("where_features", &filter.features_as_nodes()));
            }
        }
        if self.is_for_fitting {
            fields.push(field("for_fitting", &true));
        }
        fields.push(field("missing", &Real(f64::from(self.missing))));
        format!("{{\n  {}\n}}\n", fields.join(",\n  "))
    }
}

fn field(name: &str, value: &impl Serialize) -> String {
    format!("\"{name}\": {}", text(value))
}

fn lines(name: &str, values: &[impl Serialize]) -> String {
    if values.is_empty() {
        return format!("\"{name}\": []");
    }
    let lines: Vec<String> = values.iter().map(text).collect();
    format!("\"{name}\": [\n    {}\n  ]", lines.join(",\n    "))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names are strings and numbers are finite")
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Node::Feature { name, kind } => {
                map.serialize_entry("feature", name)?;
                if let Some(kind) = kind {
                    map.serialize_entry("kind", kind.name())?;
                }
                if let Some(Kind::Vector { width }) = kind {
                    map.serialize_entry("width", width)?;
                }
            }
            Node::Pattern { glob } => map.serialize_entry("pattern", glob)?,
            Node::Op {
                name,
                inputs,
                parameters,
            } => {
                map.serialize_entry("op", name)?;
                map.serialize_entry("inputs", inputs)?;
                for (name, value) in parameters {
                    map.serialize_entry(name, value)?;
                }
            }
            Node::RowId => map.serialize_entry("row_id", &true)?,
        }
        map.end()
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("node", &self.node)?;
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Integer(number) => number.serialize(serializer),
            Value::Real(number) => Real(*number).serialize(serializer),
            Value::Flag(flag) => flag.serialize(serializer),
            Value::Text(text) => text.serialize(serializer),
            Value::Integers(numbers) => numbers.serialize(serializer),
            Value::Reals(numbers) => serializer.collect_seq(numbers.iter().map(|it| Real(*it))),
            Value::ByFeature(values) => values.serialize(serializer),
        }
    }
}

/// A real; those that JSON has no number for are written as text.
struct Real(f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            self.0.serialize(serializer)
        } else if self.0.is_nan() {
            "NaN".serialize(serializer)
        } else if self.0 > 0.0 {
            "Infinity".serialize(serializer)
        } else {
            "-Infinity".serialize(serializer)
        }
    }
}
