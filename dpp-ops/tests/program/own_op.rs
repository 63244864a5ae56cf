//! Ops of one's own, which may be wrong.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_ops::{
    Column, Error, Kind, Plan, Program, Registry,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};
use dpp_proto::v1;

/// Loses the last row.
#[derive(Debug)]
struct AllButOne;

const ALL_BUT_ONE: Entry = Entry {
    name: "all_but_one",
    parameters: &[],
    construct,
};

fn construct(_: &mut Reader<'_>) -> Result<SharedOp, Error> {
    Ok(Arc::new(AllButOne))
}

impl Op for AllButOne {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Dense])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let values = only_column(ALL_BUT_ONE.name, inputs)?.dense()?;
        Ok(Column::Dense(values.slice(0, values.len() - 1)))
    }
}

#[test]
fn an_op_that_loses_rows_is_an_error_that_names_it() {
    let registry = Registry::standard().with(ALL_BUT_ONE).unwrap();
    let plan = r#"{"nodes": [{"feature": "x"}, {"op": "all_but_one", "inputs": [0]}],
        "dense": [{"name": "x", "node": 1}], "missing": 0.0}"#;
    let schema = v1::Schema {
        features: vec![v1::Feature {
            name: "x".into(),
            kind: v1::Kind::Dense.into(),
            ..v1::Feature::default()
        }],
        ..v1::Schema::default()
    };
    let plan = Plan::from_json(plan).unwrap();
    let bound = plan.bind_with(&schema, &registry).unwrap();
    let program = Program::compile_with(&bound, &registry).unwrap();
    let x: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0]));
    let rows = RecordBatch::try_from_iter([("x", x)]).unwrap();
    let error = program.run(&rows, &[0, 1, 2]).unwrap_err();
    let said = dpp_proto::fault::message_with_causes(&error);
    assert!(said.contains("op all_but_one makes 2 rows of 3"), "{said}");
}
