//! A plan as a tree for people: one line an output, an op or a feature.

use std::{collections::HashSet, fmt::Write as _};

use crate::{condition, parameters::Value};

use super::{Group, Node, Plan};

impl Plan {
    /// The plan as a tree, outputs first, each op under what it feeds; kinds are shown once the plan is bound. What is shared is
    /// shown in full once under an output, whatever the depth.
    ///
    /// ```text
    /// where ~(label is null)
    /// dense (1)
    ///   I1
    ///     └ log1p()
    ///       └ feature I1: dense
    /// ```
    pub fn explain(&self) -> String {
        let mut text = String::new();
        if let Some(condition) = self.row_filter() {
            text += &format!("where {}\n", condition::in_words(condition));
        }
        for group in Group::ALL {
            let outputs = self.outputs(group);
            if !outputs.is_empty() {
                text += &format!("{} ({})\n", group.name(), outputs.len());
            }
            for output in outputs {
                let name = match output.name.as_str() {
                    "" => "(each feature)",
                    name => name,
                };
                text += &format!("  {name}\n");
                self.branch(output.node, &mut text);
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn branch(&self, root: usize, text: &mut String) {
        let mut shown = HashSet::new();
        let mut waiting = vec![(root, 0)];
        while let Some((place, depth)) = waiting.pop() {
            let node = &self.nodes[place];
            let again = shown.contains(&place);
            let indent = "  ".repeat(2 + usize::min(depth, DEEPEST_INDENT));
            let label = label(node);
            let note = if again { " (as above)" } else { "" };
            writeln!(text, "{indent}└ {label}{note}").expect("writing to a string can't fail");
            if let (Node::Op { inputs, .. }, false) = (node, again) {
                shown.insert(place);
                waiting.extend(inputs.iter().rev().map(|&input| (input, depth + 1)));
            }
        }
    }
}

fn label(node: &Node) -> String {
    match node {
        Node::Feature { name, kind } => match kind {
            Some(kind) => format!("feature {name}: {}", kind.name()),
            None => format!("feature {name}"),
        },
        Node::Pattern { glob } => format!("features {glob}"),
        Node::RowId => "row_id".into(),
        Node::Op {
            name, parameters, ..
        } => {
            let given = parameters
                .iter()
                .map(|(name, value)| format!("{name}={}", shown(value)));
            format!("{name}({})", given.collect::<Vec<_>>().join(", "))
        }
    }
}

fn shown(value: &Value) -> String {
    let list = |numbers: Vec<String>| format!("[{}]", numbers.join(", "));
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => text.clone(),
        Value::Integers(numbers) => list(numbers.iter().map(i64::to_string).collect()),
        Value::Reals(numbers) => list(numbers.iter().map(|it| format!("{it:?}")).collect()),
        Value::ByFeature(values) => {
            let values = values
                .iter()
                .map(|(feature, value)| format!("{feature}: {}", shown(value)));
            format!("{{{}}}", values.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Of a tree, in levels.
const DEEPEST_INDENT: usize = 100;
