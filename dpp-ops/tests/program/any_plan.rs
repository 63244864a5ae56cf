//! Any plan on any rows: ops of the whole registry in any sequence, with parameters of any kind and value, on columns of the
//! right kinds that hold anything. What binding refuses is an error; what it takes runs without a panic, optimised and with
//! values that come mapped bit for bit as written.
//!
//! A fuzz target that needs no fuzzer: some hundred cases at every test run, and as many as fit with
//!
//! ```sh
//! DPP_FUZZ_SECONDS=600 cargo test --release -p dpp-ops --test program any_plan
//! ```

use std::time::{Duration, Instant};

use dpp_ops::{Plan, Program};
use image::{ImageFormat, RgbImage};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value as Json, json};

use crate::{
    columns::{FEATURES, Row, any_float, any_id, any_row, batch, row_ids, schema},
    every_op::{OPS, registry},
    optimiser::{Given, any_back, check, plan},
};

const LEAST_CASES: usize = 300;

#[test]
fn runs_as_written_or_is_refused() {
    let longer = std::env::var("DPP_FUZZ_SECONDS");
    let longer = longer.map_or(0, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(longer);
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let cases = (
        any_rows(),
        vec(any_op(), 1..14),
        vec((0usize..20, 0usize..5), 1..8),
    );
    let mut done = 0;
    while done < LEAST_CASES || Instant::now() < end {
        let case = cases.new_tree(&mut runner).unwrap();
        let outcome = runner.run_one(case, |(rows, ops, shown)| {
            let plan = plan(&ops, &shown);
            check_forms(&plan);
            check(&plan, &rows);
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
        done += 1;
    }
    println!("{done} plans");
}

/// Bound, the plan is the same after a round trip, and binding it again changes nothing.
fn check_forms(plan: &Plan) {
    let bound = plan.bind_with(&schema(), registry()).unwrap();
    assert_eq!(Plan::from_json(&bound.to_json()).unwrap(), bound);
    assert_eq!(Plan::from_proto(bound.to_proto()).unwrap(), bound);
    assert_eq!(bound.bind_with(&schema(), registry()).unwrap(), bound);
    assert!(!bound.explain().is_empty());
}

/// None, awkward ones, all alike, all null, and now and then a list of thousands.
fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let null: Row = (None, None, (None, 1), None, (None, 1), None, None);
    let long = (any_row(), vec(any_id(), 2000..3000)).prop_map(|(mut row, ids)| {
        let scored = ids.iter().map(|id| Some((*id, Some(*id as f32)))).collect();
        row.4 = (Some(scored), 0);
        row.2 = (Some(ids.into_iter().map(Some).collect()), 0);
        row
    });
    let picture = (any_row(), 1u32..9, 1u32..9).prop_map(|(mut row, height, width)| {
        row.0 = Some(png(height, width));
        row
    });
    prop_oneof![
        8 => vec(prop_oneof![3 => any_row(), 1 => picture], 0..70),
        2 => (any_row(), 0usize..70).prop_map(|(row, rows)| vec![row; rows]),
        1 => (0usize..70).prop_map(move |rows| vec![null.clone(); rows]),
        1 => (vec(any_row(), 0..3), long, vec(any_row(), 0..3))
            .prop_map(|(before, long, after)| [before, vec![long], after].concat()),
    ]
}

pub(crate) fn png(height: u32, width: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 31) as u8, (y * 57) as u8, 200])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// An op as it is tried elsewhere, with some of its parameters left out or changed; mostly with as many inputs as it takes.
fn any_op() -> impl Strategy<Value = Given> {
    let changes = prop_oneof![
        2 => Just(vec![]),
        1 => vec((any::<Index>(), any_parameter()), 1..3),
    ];
    let inputs = (
        vec(any_back(), 3),
        prop_oneof![9 => Just(None), 1 => (0usize..4).prop_map(Some)],
    );
    (select(&OPS), changes, inputs).prop_map(|((takes, op), changes, (mut back, count))| {
        back.truncate(count.unwrap_or(takes));
        (changed(op, changes), back)
    })
}

fn changed(op: &str, changes: Vec<(Index, Option<Json>)>) -> String {
    let mut op: Map<String, Json> = serde_json::from_str(&format!("{{{op}}}")).unwrap();
    let entry = registry().entries().find(|entry| op["op"] == entry.name);
    let known = entry.unwrap().parameters;
    for (place, value) in changes.into_iter().filter(|_| !known.is_empty()) {
        let name = known[place.index(known.len())];
        match value {
            Some(value) => op.insert(name.to_owned(), value),
            None => op.remove(name),
        };
    }
    let text = Json::Object(op).to_string();
    text[1..text.len() - 1].to_owned()
}

/// `None`: left out.
fn any_parameter() -> impl Strategy<Value = Option<Json>> {
    let integer = || prop_oneof![4 => -3i64..9, 1 => any_id()];
    let sorted = vec(-9f32..9.0, 1..7).prop_map(|mut numbers| {
        numbers.sort_by(f32::total_cmp);
        json!(numbers)
    });
    let value = prop_oneof![
        4 => integer().prop_map(|number| json!(number)),
        4 => any_float().prop_map(|number| real(f64::from(number))),
        1 => any::<f64>().prop_map(real),
        1 => any::<bool>().prop_map(|flag| json!(flag)),
        1 => ".{0,3}".prop_map(|text| json!(text)),
        2 => vec(integer(), 0..5).prop_map(|numbers| json!(numbers)),
        2 => sorted,
        1 => vec(any_float().prop_map(|number| real(f64::from(number))), 0..5).prop_map(|numbers| json!(numbers)),
    ];
    prop_oneof![9 => value.prop_map(Some), 1 => Just(None)]
}

/// As plans write it.
fn real(number: f64) -> Json {
    match number {
        nan if nan.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        number => json!(number),
    }
}

/// Lists of a million ids, through all ops that take lists, in one plan.
#[test]
fn long_lists_pass_through_every_op() {
    // in pairs and ascending: sorting them takes a debug build no minute
    let ids: Vec<i64> = (0..1_000_000).map(|id| id / 2).collect();
    let scored = ids.iter().map(|id| Some((*id, Some(*id as f32))));
    let scored = (Some(scored.collect()), 0);
    let ids = (Some(ids.into_iter().map(Some).collect()), 0);
    let row: Row = (None, None, ids, None, scored, None, None);
    let features = FEATURES.len();
    let place = |name: &str| FEATURES.iter().position(|(feature, _)| *feature == name);
    let inputs = ["ids", "scored", "ids"].map(|name| place(name).unwrap());
    let mut given: Vec<Given> = Vec::new();
    for (takes, op) in OPS {
        let back = |last: usize| inputs[..takes].iter().map(|input| last - input).collect();
        if plan(&[(op.to_owned(), back(features - 1))], &[(0, 0)])
            .nodes()
            .len()
            > features
        {
            given.push((op.to_owned(), back(features + given.len() - 1)));
        }
    }
    assert!(given.len() > 30, "{} ops take lists", given.len());
    let shown: Vec<(usize, usize)> = (0..given.len()).map(|back| (back, 0)).collect();
    let bound = plan(&given, &shown)
        .bind_with(&schema(), registry())
        .unwrap();
    let program = Program::compile_with(&bound, registry()).unwrap();
    let rows = std::slice::from_ref(&row);
    let packed = program.run(&batch(&program, rows), &row_ids(0..1)).unwrap();
    packed.check().unwrap();
}
