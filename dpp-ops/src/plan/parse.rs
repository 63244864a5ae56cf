//! A plan from JSON, with errors that say where: line and column of what is no JSON, path of what has the wrong form.

use dpp_proto::v1;
use serde_json::{Map, Value as Json};

use crate::{Error, Kind, condition, parameters::Parameters};

use super::{Filter, Group, Node, Output, Plan, field::Field};

impl Plan {
    /// Reads a plan from JSON:
    ///
    /// ```json
    /// {"semantics_version": 1,
    ///  "nodes": [{"feature": "I1"}, {"pattern": "C*"}, {"op": "sigrid_hash", "inputs": [1], "salt": 0, "max_value": {"C1": 10, "C2": 20}},
    ///            {"row_id": true}],
    ///  "dense": [{"name": "I1", "node": 0}], "sparse": [{"node": 2}], "extras": [{"name": "row", "node": 3}], "missing": 0.0}
    /// ```
    ///
    /// A row filter is `"where"`; `"for_fitting": true` asks for sums of rows in place of rows ([`Plan::for_fitting`]).
    /// Everything may be left out but a node's content and an output's node; a parameter of null counts as left out.
    /// Reals that JSON lacks are the strings `"NaN"`, `"Infinity"`, `"-Infinity"`. Fails with line and column, or with
    /// the path of the field, of what is wrong.
    pub fn from_json(text: &str) -> Result<Plan, Error> {
        let json: Json = serde_json::from_str(text).map_err(|error| Error::Json {
            line: error.line(),
            column: error.column(),
            message: without_position(&error.to_string()),
        })?;
        read_plan(Field::root("plan", &json))
    }
}

fn without_position(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].to_owned()
}

fn read_plan(plan: Field<'_>) -> Result<Plan, Error> {
    let keys = plan.object("an object with `nodes` and outputs")?;
    plan.only_keys(keys, &KEYS)?;
    let mut outputs = <[Vec<Output>; Group::ALL.len()]>::default();
    for group in Group::ALL {
        outputs[group as usize] = plan.each(group.name(), read_output)?;
    }
    let version = plan.optional("semantics_version", |field| field.count())?;
    let missing = plan.optional("missing", |field| field.real())?;
    let nodes = plan.each("nodes", read_node)?;
    let condition = plan.optional("where", condition::read)?;
    let filter_features = plan.each("where_features", read_filter_feature)?;
    let for_fitting = plan.optional("for_fitting", |field| field.flag())?;
    Plan::new(
        version.unwrap_or(0),
        nodes,
        outputs,
        missing.unwrap_or(0.0) as f32,
        condition.map(|condition| Filter {
            condition,
            features: filter_features,
        }),
        for_fitting.unwrap_or(false),
    )
}

fn read_node(node: Field<'_>) -> Result<Node, Error> {
    let keys = node.object("an object with `feature`, `pattern`, `op` or `row_id`")?;
    match NODES.iter().find(|name| keys.contains_key(**name)) {
        Some(&"feature") => read_feature(node, keys),
        Some(&"pattern") => {
            node.only_keys(keys, &["pattern"])?;
            let glob = node.required("pattern", |field| field.text())?;
            Ok(Node::Pattern { glob })
        }
        Some(&"op") => read_op(node, keys),
        Some(_) => {
            node.only_keys(keys, &["row_id"])?;
            node.required("row_id", |field| match field.value {
                Json::Bool(true) => Ok(Node::RowId),
                _ => Err(field.expected("true")),
            })
        }
        None => Err(node.error("`feature`, `pattern`, `op` or `row_id` is missing".into())),
    }
}

fn read_feature(node: Field<'_>, keys: &Map<String, Json>) -> Result<Node, Error> {
    node.only_keys(keys, &["feature", "kind", "width"])?;
    let name = node.required("feature", |field| field.text())?;
    let width = node.optional("width", |field| field.count())?.unwrap_or(0);
    let kind = node.optional("kind", |field| {
        let name = field.text()?;
        Kind::from_name(&name, width).ok_or_else(|| field.error(format!("`{name}` is no kind")))
    })?;
    match kind {
        Some(Kind::Vector { width: 0 }) => Err(node.error("a vector needs a `width`".into())),
        kind => Ok(Node::Feature { name, kind }),
    }
}

fn read_filter_feature(node: Field<'_>) -> Result<v1::Feature, Error> {
    let keys = node.object("an object with `feature` and `kind`")?;
    match read_feature(node, keys)? {
        Node::Feature {
            name,
            kind: Some(kind),
        } => Ok(kind.feature(&name)),
        _ => Err(node.error("`kind` is missing".into())),
    }
}

fn read_op(node: Field<'_>, keys: &Map<String, Json>) -> Result<Node, Error> {
    let name = node.required("op", |field| field.text())?;
    let inputs = node.each("inputs", |field| Ok(field.count()? as usize))?;
    let mut parameters = Parameters::new();
    for (key, value) in keys {
        let field = node.at_key(key, value);
        if !["op", "inputs"].contains(&key.as_str()) && !value.is_null() {
            parameters.insert(key.clone(), field.value_or_by_feature()?);
        }
    }
    Ok(Node::Op {
        name,
        inputs,
        parameters,
    })
}

fn read_output(output: Field<'_>) -> Result<Output, Error> {
    let keys = output.object("an object with `name` and `node`")?;
    output.only_keys(keys, &["name", "node"])?;
    let name = output.optional("name", |field| field.text())?;
    Ok(Output {
        name: name.unwrap_or_default(),
        node: output.required("node", |field| field.count())? as usize,
    })
}

const KEYS: [&str; 11] = [
    "semantics_version",
    "nodes",
    "dense",
    "sparse",
    "labels",
    "vectors",
    "extras",
    "missing",
    "where",
    "where_features",
    "for_fitting",
];

const NODES: [&str; 4] = ["feature", "pattern", "op", "row_id"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, message: &str) {
        assert_eq!(Plan::from_json(text).unwrap_err().to_string(), message);
    }

    #[test]
    fn errors_say_where() {
        check(
            "{\"nodes\": [\n  {\"feature\" \"I1\"}]}",
            "plan is not valid JSON at line 2, column 14: expected `:`",
        );
        check(
            "[]",
            "plan: an object with `nodes` and outputs is expected, a list found",
        );
        check(
            r#"{"node": []}"#,
            "plan: unknown field `node`; did you mean nodes?",
        );
        check(
            r#"{"nodes": [{"feature": "I1"}, {"feature": 7}]}"#,
            "plan.nodes[1].feature: text is expected, a number found",
        );
        check(
            r#"{"nodes": [{"op": "clamp", "inputs": [-1]}]}"#,
            "plan.nodes[0].inputs[0]: a whole number from 0 to 2^32 - 1 is expected, a number found",
        );
        check(
            r#"{"nodes": [{"feature": "I1"}], "dense": [{"nam": "I1", "node": 0}]}"#,
            "plan.dense[0]: unknown field `nam`; did you mean name?",
        );
        check(
            r#"{"nodes": [{"feature": "I1"}], "dense": [{"name": "I1"}]}"#,
            "plan.dense[0]: `node` is missing",
        );
        check(
            r#"{"nodes": [{"feature": "e", "kind": "vector"}]}"#,
            "plan.nodes[0]: a vector needs a `width`",
        );
        check(
            r#"{"nodes": [{"op": "first_x", "inputs": [0], "n": 1}]}"#,
            "nodes[0].inputs[0]: node 0 does not come before node 0",
        );
        check(
            r#"{"nodes": [{"op": "x", "n": 9223372036854775808}]}"#,
            "plan.nodes[0].n: 9223372036854775808 is beyond 2^63 - 1",
        );
        check(
            r#"{"nodes": [{"op": "x", "n": {"C1": {"C1": 1}}}]}"#,
            "plan.nodes[0].n.C1: a value is expected, an object found",
        );
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let text = "[".repeat(100_000);
        assert!(matches!(Plan::from_json(&text), Err(Error::Json { .. })));
    }
}
