//! Plans round trip through protobuf and JSON, and bind as they promise.

use dpp_proto::{Faulty, v1};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::parameters::Value;

fn schema() -> v1::Schema {
    let features = [
        ("C1", Kind::IdList),
        ("C10", Kind::IdScoreList),
        ("C2", Kind::IdList),
        ("I1", Kind::Dense),
        ("I2", Kind::Dense),
        ("blob", Kind::Bytes),
        ("emb", Kind::Vector { width: 3 }),
        ("label", Kind::Dense),
        ("shop", Kind::Int),
    ];
    v1::Schema {
        features: features
            .iter()
            .map(|(name, kind)| kind.feature(name))
            .collect(),
        partition_columns: vec![],
    }
}

fn bind(json: &str) -> Result<Plan, Error> {
    Plan::from_json(json).unwrap().bind(&schema())
}

/// The nodes of the bound plan, a line each, and its outputs.
fn check(json: &str, nodes: &[&str], outputs: &str) {
    let bound = bind(json).unwrap();
    let found: Vec<String> = bound
        .nodes()
        .iter()
        .map(|it| serde_json::to_string(it).unwrap())
        .collect();
    assert_eq!(found, nodes);
    let groups = Group::ALL.map(|group| {
        let outputs = bound.outputs(group).iter();
        outputs
            .map(|it| format!("{} {}={}", group.name(), it.name, it.node))
            .collect::<Vec<_>>()
    });
    assert_eq!(groups.concat().join(", "), outputs);
    assert_eq!(
        bound.bind(&schema()).unwrap(),
        bound,
        "binding again changes nothing"
    );
}

fn check_error(json: &str, message: &str) {
    let error = bind(json).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(error.fault(), dpp_proto::Fault::Invalid);
}

#[test]
fn patterns_are_repeated_in_schema_order() {
    check(
        r#"{"nodes": [{"pattern": "C*"}, {"op": "first_x", "inputs": [0], "n": 2},
                      {"op": "sigrid_hash", "inputs": [1], "salt": 0, "max_value": {"C1": 5, "C2": 6, "C10": 7, "C3": 8}}],
            "sparse": [{"node": 2}]}"#,
        &[
            r#"{"feature":"C1","kind":"id_list"}"#,
            r#"{"op":"first_x","inputs":[0],"n":2}"#,
            r#"{"op":"sigrid_hash","inputs":[1],"max_value":5,"salt":0}"#,
            r#"{"feature":"C10","kind":"id_score_list"}"#,
            r#"{"op":"first_x","inputs":[3],"n":2}"#,
            r#"{"op":"sigrid_hash","inputs":[4],"max_value":7,"salt":0}"#,
            r#"{"feature":"C2","kind":"id_list"}"#,
            r#"{"op":"first_x","inputs":[6],"n":2}"#,
            r#"{"op":"sigrid_hash","inputs":[7],"max_value":6,"salt":0}"#,
        ],
        "sparse C1=2, sparse C10=5, sparse C2=8",
    );
}

#[test]
fn equal_expressions_are_merged_and_unused_nodes_dropped() {
    check(
        r#"{"nodes": [{"feature": "I2"}, {"feature": "I1"}, {"op": "log1p", "inputs": [1]},
                      {"pattern": "I1"}, {"op": "log1p", "inputs": [3]},
                      {"op": "clamp", "inputs": [2], "min": 0}, {"op": "clamp", "inputs": [4], "min": 0.0, "max": null}],
            "dense": [{"name": "a", "node": 5}, {"name": "b", "node": 2}], "labels": [{"node": 6}]}"#,
        &[
            r#"{"feature":"I1","kind":"dense"}"#,
            r#"{"op":"log1p","inputs":[0]}"#,
            r#"{"op":"clamp","inputs":[1],"min":0.0}"#,
        ],
        "dense a=2, dense b=1, labels I1=2",
    );
}

#[test]
fn conversions_are_written_out() {
    check(
        r#"{"nodes": [{"feature": "shop"}, {"op": "log1p", "inputs": [0]}, {"op": "fill_null", "inputs": [0], "value": 1.0},
                      {"op": "bucketize", "inputs": [0], "borders": [1, 2.5]}, {"row_id": true},
                      {"op": "fill_null", "inputs": [0], "value": 0.5}],
            "dense": [{"name": "log", "node": 1}, {"name": "shop", "node": 0}, {"name": "half", "node": 5}],
            "sparse": [{"name": "shop", "node": 2}, {"name": "bin", "node": 3}],
            "extras": [{"name": "shop", "node": 0}, {"name": "row", "node": 4}]}"#,
        &[
            r#"{"feature":"shop","kind":"int"}"#,
            r#"{"op":"cast_dense","inputs":[0]}"#,
            r#"{"op":"log1p","inputs":[1]}"#,
            r#"{"op":"fill_null","inputs":[1],"value":0.5}"#,
            r#"{"op":"fill_null","inputs":[0],"value":1}"#,
            r#"{"op":"to_ids","inputs":[4]}"#,
            r#"{"op":"bucketize","inputs":[1],"borders":[1.0,2.5],"right":true}"#,
            r#"{"row_id":true}"#,
        ],
        "dense log=2, dense shop=1, dense half=3, sparse shop=5, sparse bin=6, extras shop=0, extras row=7",
    );
}

#[test]
fn errors_name_output_op_and_feature() {
    let one = |node: &str, group: &str| {
        format!(r#"{{"nodes": [{node}], "{group}": [{{"name": "x", "node": 0}}]}}"#)
    };
    let op = |feature: &str, op: &str, group: &str| {
        format!(
            r#"{{"nodes": [{{"feature": "{feature}"}}, {op}], "{group}": [{{"name": "x", "node": 1}}]}}"#
        )
    };
    check_error(
        &one(r#"{"feature": "lable"}"#, "labels"),
        "in labels output `x`: unknown feature `lable`; did you mean label?",
    );
    check_error(
        &one(r#"{"pattern": "Z*"}"#, "dense"),
        "in dense output `x`: pattern `Z*` matches no feature of the table; `*` stands for any characters, `?` for one",
    );
    check_error(
        &one(r#"{"feature": "C1"}"#, "dense"),
        "in dense output `x`: feature `C1` is id_list, dense outputs are made of dense or vector; list it under sparse",
    );
    check_error(
        &one(r#"{"feature": "I1"}"#, "sparse"),
        "in sparse output `x`: feature `I1` is dense, sparse outputs are made of id_list or id_score_list; bucketize it first, or list it under dense",
    );
    check_error(
        &one(
            r#"{"feature": "emb", "kind": "vector", "width": 4}"#,
            "vectors",
        ),
        "in vectors output `x`: feature `emb` is vector of width 3 in the table, vector of width 4 in the plan; bind the plan to this table anew",
    );
    check_error(
        &op("C1", r#"{"op": "log1p", "inputs": [0]}"#, "dense"),
        "in dense output `x`: nodes[1], of feature `C1`: op log1p works on dense; its input 0 (feature `C1`) is id_list",
    );
    check_error(
        &op("C1", r#"{"op": "log1p", "inputs": [0, 0]}"#, "dense"),
        "in dense output `x`: nodes[1], of feature `C1`: op log1p takes 1 input(s), 2 given",
    );
    check_error(
        &op(
            "C1",
            r#"{"op": "sigrid_hash", "inputs": [0], "salt": 0, "max_value": 0}"#,
            "sparse",
        ),
        "in sparse output `x`: nodes[1], of feature `C1`: op sigrid_hash, parameter `max_value`: 0 is not at least 1",
    );
    check_error(
        &op("C1", r#"{"op": "sigridhash", "inputs": [0]}"#, "sparse"),
        "in sparse output `x`: nodes[1], of feature `C1`: unknown op `sigridhash`; did you mean sigrid_hash?",
    );
    check_error(
        &op(
            "C1",
            r#"{"op": "first_x", "inputs": [0], "n": {"C1": 5}}"#,
            "sparse",
        ),
        "in sparse output `x`: nodes[1], of feature `C1`: op first_x, parameter `n`: values by feature need a pattern under the op; give one value",
    );
    check_error(
        r#"{"nodes": [{"pattern": "C*"}, {"op": "first_x", "inputs": [0], "n": {"C1": 5, "C2": 5}}], "sparse": [{"node": 1}]}"#,
        "in sparse output `C10`: nodes[1], of feature `C10`: op first_x, parameter `n`: no value for feature `C10`; did you mean C1?",
    );
    check_error(
        r#"{"nodes": [{"pattern": "C*"}, {"feature": "C2"}], "sparse": [{"node": 0}, {"name": "C2", "node": 1}]}"#,
        "sparse has two outputs named `C2`; leave one out or rename it",
    );
    check_error(
        r#"{"nodes": [{"feature": "I1"}], "dense": [{"node": 0}]}"#,
        "dense output of node 0: the output needs a `name`",
    );
    check_error(
        r#"{"semantics_version": 2, "nodes": []}"#,
        "plan has semantics version 2, this build computes version 1; use a build of the plan's version, or make the plan anew",
    );
}

#[test]
fn vectors_widen_dense_under_names_of_their_own() {
    let plan = |outputs: &str| {
        format!(
            r#"{{"nodes": [{{"feature": "shop"}}, {{"op": "one_hot", "inputs": [0], "vocabulary": [3, 5]}}, {{"feature": "emb"}},
                          {{"feature": "I1"}}], "dense": [{outputs}]}}"#
        )
    };
    let outputs =
        r#"{"name": "shop", "node": 1}, {"name": "I1", "node": 3}, {"name": "emb", "node": 2}"#;
    let program = crate::Program::compile(&bind(&plan(outputs)).unwrap()).unwrap();
    assert_eq!(
        program.layout().dense,
        ["shop=3", "shop=5", "I1", "emb[0]", "emb[1]", "emb[2]"]
    );
    check_error(
        &plan(r#"{"name": "shop", "node": 1}, {"name": "shop=5", "node": 3}"#),
        "dense has two outputs named `shop=5`; leave one out or rename it",
    );
}

#[test]
fn two_patterns_in_one_output_are_refused() {
    let nodes =
        r#"[{"pattern": "C1"}, {"pattern": "C2"}, {"op": "first_x", "inputs": [0, 1], "n": 1}]"#;
    check_error(
        &format!(r#"{{"nodes": {nodes}, "sparse": [{{"name": "x", "node": 2}}]}}"#),
        "in sparse output `x`: patterns `C1` and `C2` meet in one output; an output is repeated over one pattern only",
    );
}

#[test]
fn hostile_plans_are_errors_not_crashes() {
    let feature = |name: &str| v1::Node {
        node: Some(v1::node::Node::Feature(v1::Feature {
            name: name.into(),
            ..v1::Feature::default()
        })),
    };
    let op = |input: u32| v1::Node {
        node: Some(v1::node::Node::Op(v1::Op {
            name: "log1p".into(),
            inputs: vec![input],
            parameters: vec![],
        })),
    };
    let dense = |node: u32| {
        vec![v1::Output {
            name: "x".into(),
            node,
        }]
    };
    let deep = v1::Plan {
        nodes: [feature("I1")]
            .into_iter()
            .chain((0..200_000).map(op))
            .collect(),
        dense: dense(200_000),
        ..v1::Plan::default()
    };
    let bound = Plan::from_proto(deep).unwrap().bind(&schema()).unwrap();
    assert_eq!(bound.nodes().len(), 200_001);
    let wide = v1::Plan {
        nodes: vec![feature("I1"); 1_000_001],
        ..v1::Plan::default()
    };
    assert!(matches!(
        Plan::from_proto(wide),
        Err(Error::TooLarge { .. })
    ));
    let circular = v1::Plan {
        nodes: vec![op(0)],
        dense: dense(0),
        ..v1::Plan::default()
    };
    assert!(matches!(
        Plan::from_proto(circular),
        Err(Error::Form { .. })
    ));
    let dangling = v1::Plan {
        dense: dense(u32::MAX),
        ..v1::Plan::default()
    };
    assert!(matches!(
        Plan::from_proto(dangling),
        Err(Error::Form { .. })
    ));
    let empty = v1::Plan {
        nodes: vec![v1::Node { node: None }],
        ..v1::Plan::default()
    };
    assert!(matches!(Plan::from_proto(empty), Err(Error::Form { .. })));
}

#[test]
fn the_hash_names_the_content() {
    let plan = |max: i64| {
        Plan::from_json(&format!(
            r#"{{"nodes": [{{"feature": "C1"}}, {{"op": "sigrid_hash", "inputs": [0], "salt": 0, "max_value": {max}}}], "sparse": [{{"name": "C1", "node": 1}}]}}"#
        ))
        .unwrap()
    };
    // A golden value: jobs that differ only in the build must keep their name.
    assert_eq!(
        plan(100).hash(),
        "70053920fc7c492876785bc03ac30fb4350410068714aa82cf52bc231e7e69bb"
    );
    assert_ne!(plan(100).hash(), plan(101).hash());
    assert_eq!(
        plan(100).bind(&schema()).unwrap().hash(),
        plan(100).bind(&schema()).unwrap().hash()
    );
}

fn any_real() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-0.0),
        Just(5.0),
    ]
}

fn any_plain_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any_real().prop_map(Value::Real),
        any::<bool>().prop_map(Value::Flag),
        ".*".prop_map(Value::Text),
        Just(Value::Text("NaN".into())),
        vec(any::<i64>(), 0..4).prop_map(Value::Integers),
        vec(any_real(), 0..4).prop_map(Value::Reals),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any_plain_value(),
        1 => prop::collection::btree_map(".{0,4}", any_plain_value(), 0..4).prop_map(Value::ByFeature),
    ]
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let kinds = [
        Kind::Dense,
        Kind::Int,
        Kind::IdList,
        Kind::IdScoreList,
        Kind::Bytes,
        Kind::Text,
    ];
    prop_oneof![
        prop::sample::select(kinds.to_vec()),
        (1u32..).prop_map(|width| Kind::Vector { width }),
    ]
}

fn any_node(index: usize) -> BoxedStrategy<Node> {
    let name = || {
        prop_oneof![
            ".{0,6}",
            prop::sample::select(vec!["C1".to_owned(), "I1".to_owned(), "clamp".to_owned()])
        ]
    };
    let leaves = prop_oneof![
        (name(), option::of(any_kind())).prop_map(|(name, kind)| Node::Feature { name, kind }),
        name().prop_map(|glob| Node::Pattern { glob }),
        Just(Node::RowId),
    ];
    if index == 0 {
        return leaves.boxed();
    }
    let parameters = prop::collection::btree_map("[a-z_]{1,8}", any_value(), 0..3);
    let parameters = parameters.prop_filter("reserved", |it| {
        !it.contains_key("op") && !it.contains_key("inputs")
    });
    let ops = (name(), vec(0..index, 0..3), parameters);
    prop_oneof![
        leaves,
        ops.prop_map(|(name, inputs, parameters)| Node::Op {
            name,
            inputs,
            parameters
        }),
    ]
    .boxed()
}

prop_compose! {
    fn any_plan()(count in 1usize..6)(
        nodes in (0..count).map(any_node).collect::<Vec<_>>(),
        outputs in prop::array::uniform5(vec((".{0,5}", 0..count), 0..3)),
        version in 1u32..4,
        missing in crate::ops::testing::any_f32(),
        is_for_fitting in any::<bool>(),
    ) -> v1::Plan {
        let outputs = outputs.map(|it| it.into_iter().map(|(name, node)| Output { name, node }).collect());
        Plan { semantics_version: version, nodes, outputs, missing, filter: None, is_for_fitting }.to_proto()
    }
}

proptest! {
    #[test]
    fn forms_round_trip(form in any_plan()) {
        let plan = Plan::from_proto(form).unwrap();
        let carried = v1::Plan::decode(&*plan.to_proto().encode_to_vec()).unwrap();
        let carried = Plan::from_proto(carried).unwrap();
        prop_assert_eq!(&carried, &plan);
        prop_assert_eq!(carried.missing().to_bits(), plan.missing().to_bits());
        let text = plan.to_json();
        let read = Plan::from_json(&text).unwrap();
        prop_assert_eq!(&read, &plan, "{}", text);
        prop_assert_eq!(read.missing().to_bits(), plan.missing().to_bits());
        prop_assert_eq!(read.hash(), plan.hash());
    }

    #[test]
    fn binding_never_panics(form in any_plan()) {
        let plan = Plan::from_proto(v1::Plan { semantics_version: 0, ..form }).unwrap();
        if let Ok(bound) = plan.bind(&schema()) {
            prop_assert_eq!(bound.bind(&schema()).unwrap(), bound);
        }
        let _ = crate::Program::compile(&plan);
    }

    #[test]
    fn text_that_is_no_plan_is_an_error(text in ".{0,40}") {
        let _ = Plan::from_json(&text);
    }
}
