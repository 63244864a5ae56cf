//! The optimiser changes what work is done, never a bit of what comes out.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Float32Array, Int64Array, ListArray, RecordBatch},
    datatypes::{Float32Type, Int64Type},
};
use dpp_ops::{Error, Plan, Program, in_place::MapEach, program::ValueMap};
use proptest::{collection::vec, prelude::*};

use crate::{
    columns::{FEATURES, Row, any_row, batch, row_ids, schema},
    every_op::registry,
};

/// Ops that may be rearranged, and some that may not, so that chains begin, break and meet.
const OPS: [&str; 25] = [
    r#""op": "fill_null", "value": 0.5"#,
    r#""op": "fill_null", "value": 3"#,
    r#""op": "fill_nan", "value": -2"#,
    r#""op": "clamp", "min": -1, "max": 2.5"#,
    r#""op": "log1p""#,
    r#""op": "z_score", "mean": 1, "std": 2.5"#,
    r#""op": "add", "value": 0.25"#,
    r#""op": "subtract", "value": 7, "reversed": true"#,
    r#""op": "cast_dense""#,
    r#""op": "bucketize", "borders": [-1, 0, 0, 2]"#,
    r#""op": "one_hot", "vocabulary": [0.5]"#,
    r#""op": "first_x", "n": 2"#,
    r#""op": "first_x", "n": 0"#,
    r#""op": "first_x", "n": 4"#,
    r#""op": "last_x", "n": 3"#,
    r#""op": "list_slice", "start": 1, "end": -1"#,
    r#""op": "sigrid_hash", "salt": 5, "max_value": 1000"#,
    r#""op": "positive_modulus", "m": 7"#,
    r#""op": "offset", "k": 9223372036854775807"#,
    r#""op": "clamp_list", "lo": -5, "hi": 5"#,
    r#""op": "map_id", "table": [5, 6], "keys": [3, 4]"#,
    r#""op": "enumerate""#,
    r#""op": "scores_clamp", "max": 1"#,
    r#""op": "to_ids""#,
    r#""op": "drop_scores""#,
];

const GROUPS: [&str; 5] = ["dense", "sparse", "labels", "vectors", "extras"];

/// A node: its op with parameters, and how far back its inputs lie; 0 is the node before.
pub(crate) type Given = (String, Vec<usize>);

/// What is shown: how far before the end a node lies, and the group that is asked first.
pub(crate) type Shown = (usize, usize);

/// The plan of those nodes that binding takes; each node shown in the first group that takes it. One feature is shown
/// always, so that there are columns.
pub(crate) fn plan(ops: &[Given], shown: &[Shown]) -> Plan {
    let features = FEATURES
        .iter()
        .map(|(name, _)| format!(r#"{{"feature": "{name}"}}"#));
    let mut nodes: Vec<String> = features.collect();
    for (op, back) in ops {
        let inputs = back
            .iter()
            .map(|back| nodes.len() - 1 - back % nodes.len())
            .collect::<Vec<_>>();
        let node = format!(r#"{{"inputs": {inputs:?}, {op}}}"#);
        if bind(&nodes, &[], Some(&node)) {
            nodes.push(node);
        }
    }
    let fitting = shown.iter().filter_map(|(back, first)| {
        let node = nodes.len() - 1 - back % nodes.len();
        let groups = GROUPS.into_iter().cycle().skip(*first).take(GROUPS.len());
        let mut outputs = groups.map(|group| (node, group));
        outputs.find(|output| bind(&nodes, &[*output], None))
    });
    let fitting: Vec<_> = [(0, "extras")].into_iter().chain(fitting).collect();
    text(&nodes, &fitting)
}

/// Whether the nodes with one more, which is shown somewhere, make a plan; or the nodes with these outputs.
fn bind(nodes: &[String], outputs: &[(usize, &'static str)], another: Option<&String>) -> bool {
    let Some(another) = another else {
        return bound(nodes, outputs).is_ok();
    };
    let nodes: Vec<String> = nodes.iter().chain([another]).cloned().collect();
    match bound(&nodes, &[(nodes.len() - 1, GROUPS[0])]) {
        Ok(_) => true,
        // nothing is wrong with the node where it is only of another kind; images are shown nowhere, and made into what is
        Err(Error::InOutput { cause, .. }) => matches!(*cause, Error::OutputKind { .. }),
        Err(_) => false,
    }
}

fn bound(nodes: &[String], outputs: &[(usize, &str)]) -> Result<Plan, Error> {
    text(nodes, outputs).bind_with(&schema(), registry())
}

fn text(nodes: &[String], outputs: &[(usize, &str)]) -> Plan {
    let groups = GROUPS.map(|group| {
        let shown = outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| output.1 == group);
        let shown =
            shown.map(|(place, (node, _))| format!(r#"{{"name": "{place}", "node": {node}}}"#));
        format!(r#""{group}": [{}]"#, shown.collect::<Vec<_>>().join(","))
    });
    let nodes = nodes.join(",");
    let json = format!(
        r#"{{"nodes": [{nodes}], {}, "missing": -7.5}}"#,
        groups.join(",")
    );
    Plan::from_json(&json).unwrap()
}

/// The optimised program's batch must be that of the plan as it is written, or neither has one: an image may be none.
pub(crate) fn check(plan: &Plan, rows: &[Row]) {
    let row_ids = row_ids(0..rows.len());
    let run = |program: &Program| program.run(&batch(program, rows), &row_ids);
    let bound = plan.bind_with(&schema(), registry()).unwrap();
    let program = Program::compile_with(&bound, registry()).unwrap();
    let optimised = run(&program);
    let plain = run(&Program::as_written_with(plan, &schema(), registry()).unwrap());
    let (Ok(optimised), Ok(plain)) = (&optimised, &plain) else {
        assert!(optimised.is_err() && plain.is_err(), "{}", plan.to_json());
        return;
    };
    optimised.check().unwrap();
    assert_eq!(
        optimised.fingerprint(),
        plain.fingerprint(),
        "{}",
        plan.to_json()
    );
    check_mapped(&program, rows, optimised.fingerprint());
}

/// Features whose values come mapped give the same batch, whichever they are.
fn check_mapped(program: &Program, rows: &[Row], expected: u64) {
    let (batch, row_ids) = (batch(program, rows), row_ids(0..rows.len()));
    let maps = program.value_maps();
    for some in [1, 2, 3] {
        let is_mapped: Vec<bool> = (0..maps.len()).map(|place| place % some == 0).collect();
        let columns = batch.columns().iter().zip(&maps).zip(&is_mapped);
        let columns = columns.map(|((column, map), is_mapped)| match map {
            Some(map) if *is_mapped => mapped(column, map),
            _ => column.clone(),
        });
        let mapped = RecordBatch::try_new(batch.schema(), columns.collect()).unwrap();
        let found = program.run_mapped(&mapped, &row_ids, 0, &is_mapped);
        assert_eq!(found.unwrap().fingerprint(), expected);
    }
}

/// The column with every value mapped, also those under nulls.
fn mapped(column: &ArrayRef, map: &ValueMap) -> ArrayRef {
    match map {
        ValueMap::Dense(maps) => {
            let array = column.as_primitive::<Float32Type>();
            let mut values = array.values().to_vec();
            maps.map_each(&mut values);
            Arc::new(Float32Array::new(values.into(), array.nulls().cloned()))
        }
        ValueMap::Ids(maps) => match column.as_list_opt::<i32>() {
            Some(lists) => {
                let (field, offsets, ids, nulls) = lists.clone().into_parts();
                Arc::new(ListArray::new(field, offsets, mapped(&ids, map), nulls))
            }
            None => {
                let array = column.as_primitive::<Int64Type>();
                let mut values = array.values().to_vec();
                maps.map_each(&mut values);
                Arc::new(Int64Array::new(values.into(), array.nulls().cloned()))
            }
        },
    }
}

fn any_op() -> impl Strategy<Value = Given> {
    (prop::sample::select(&OPS), any_back()).prop_map(|(op, back)| (op.to_owned(), vec![back]))
}

/// How far back an input lies: chains are long, mostly.
pub(crate) fn any_back() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0usize), 1 => 1usize..3, 3 => 0usize..40]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bits_are_those_of_the_plan_as_written(
        rows in vec(any_row(), 0..80),
        ops in vec(any_op(), 1..30),
        shown in vec((0usize..40, 0usize..5), 1..12),
    ) {
        check(&plan(&ops, &shown), &rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_and_words_of_any_number_are_met(few in vec(any_row(), 30..80), dense in 0usize..8, lists in 11usize..21) {
        let feature = |name: &str| FEATURES.iter().rposition(|(feature, _)| *feature == name).unwrap();
        let nodes: Vec<String> = FEATURES.iter().map(|(name, _)| format!(r#"{{"feature": "{name}"}}"#))
            .chain([
                format!(r#"{{"inputs": [{}], {}}}"#, feature("dense"), OPS[4]),
                format!(r#"{{"inputs": [{}], {}}}"#, FEATURES.len(), OPS[dense]),
                format!(r#"{{"inputs": [{}], {}}}"#, feature("scored"), OPS[16]),
                format!(r#"{{"inputs": [{}], {}}}"#, FEATURES.len() + 2, OPS[lists]),
            ])
            .collect();
        let shown = [(FEATURES.len() + 1, "dense"), (FEATURES.len() + 3, "sparse"), (feature("dense"), "dense")];
        let rows: Vec<Row> = few.iter().cycle().take(few.len() * 15).cloned().collect();
        check(&text(&nodes, &shown), &rows);
    }
}

#[test]
fn a_program_says_what_was_pushed_where() {
    let nodes = [
        r#"{"feature": "dense"}"#.to_owned(),
        format!(r#"{{"inputs": [0], {}}}"#, OPS[0]),
        format!(r#"{{"inputs": [1], {}}}"#, OPS[4]),
        format!(r#"{{"inputs": [0], {}}}"#, OPS[0]),
        format!(r#"{{"inputs": [3], {}}}"#, OPS[9]),
        r#"{"feature": "ids"}"#.to_owned(),
        format!(r#"{{"inputs": [5], {}}}"#, OPS[16]),
        format!(r#"{{"inputs": [6], {}}}"#, OPS[11]),
        r#"{"feature": "int"}"#.to_owned(),
        format!(r#"{{"inputs": [8], {}}}"#, OPS[16]),
    ];
    let plan = text(
        &nodes,
        &[
            (2, "dense"),
            (4, "sparse"),
            (7, "sparse"),
            (5, "sparse"),
            (9, "sparse"),
        ],
    );
    let explained = |program: Program| program.explain();
    assert_eq!(
        explained(Program::compile(&plan.bind(&schema()).unwrap()).unwrap()),
        "runs as\n  reads 3 features, each once\n  \
         maps the values of 1 of them, by 1 ops, as dictionaries where that is less work\n  computes 2 columns that are used again or by ops on several\n  \
         writes 3 of 5 outputs straight into their tensors, through 5 ops in place"
    );
    assert!(
        explained(Program::as_written(&plan, &schema()).unwrap()).contains("computes 8 columns")
    );
}
