use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, LargeStringArray, ListArray, RecordBatch},
    datatypes::{DataType, Field, Int64Type, Schema},
};
use dpp_proto::v1::{
    self,
    comparison::{Operator, Value},
    predicate::Predicate as Form,
};
use proptest::prelude::*;

use super::{RowFilter, Written, from_json};
use crate::Kind;

/// One row: dense, int, text.
type Row = (Option<f32>, Option<i64>, Option<String>);

fn features() -> Vec<v1::Feature> {
    vec![
        Kind::Dense.feature("d"),
        Kind::Int.feature("i"),
        Kind::Text.feature("t"),
    ]
}

fn batch(rows: &[Row], filter: &RowFilter) -> RecordBatch {
    let columns = filter
        .features()
        .iter()
        .map(|feature| -> (Field, ArrayRef) {
            let name = feature.name.as_str();
            let (data_type, array): (_, ArrayRef) = match name {
                "d" => (
                    DataType::Float32,
                    Arc::new(rows.iter().map(|row| row.0).collect::<Float32Array>()),
                ),
                "i" => (
                    DataType::Int64,
                    Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
                ),
                _ => (
                    DataType::LargeUtf8,
                    Arc::new(
                        rows.iter()
                            .map(|row| row.2.clone())
                            .collect::<LargeStringArray>(),
                    ),
                ),
            };
            (Field::new(name, data_type, true), array)
        });
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn row_ids(rows: usize) -> Vec<i64> {
    (0..).take(rows).collect()
}

/// The plain twin: one row at a time, `None` for unknown.
fn truth(condition: &v1::Predicate, row: &Row) -> Option<bool> {
    match condition.predicate.as_ref().unwrap() {
        Form::IsNull(column) => Some(match column.as_str() {
            "d" => row.0.is_none(),
            "i" => row.1.is_none(),
            _ => row.2.is_none(),
        }),
        Form::Sample(_) => unreachable!("its own file tests it"),
        Form::Not(inner) => truth(inner, row).map(|it| !it),
        Form::AllOf(group) => {
            let truths: Vec<_> = group.predicates.iter().map(|it| truth(it, row)).collect();
            match truths.contains(&Some(false)) {
                true => Some(false),
                false => (!truths.contains(&None)).then_some(true),
            }
        }
        Form::AnyOf(group) => {
            let truths: Vec<_> = group.predicates.iter().map(|it| truth(it, row)).collect();
            match truths.contains(&Some(true)) {
                true => Some(true),
                false => (!truths.contains(&None)).then_some(false),
            }
        }
        Form::Comparison(comparison) => {
            let order = match (
                comparison.column.as_str(),
                comparison.value.as_ref().unwrap(),
            ) {
                ("d", Value::Integer(value)) => row.0?.partial_cmp(&(*value as f32)),
                ("d", Value::Real(value)) => row.0?.partial_cmp(&(*value as f32)),
                ("i", Value::Integer(value)) => Some(row.1?.cmp(value)),
                ("i", Value::Real(value)) => exact(row.1?, *value),
                ("t", Value::Text(value)) => Some(row.2.as_ref()?.as_str().cmp(value)),
                other => unreachable!("{other:?} is never made"),
            };
            Some(match (comparison.operator(), order) {
                (Operator::NotEqual, order) => order != Some(Ordering::Equal),
                (_, None) => false,
                (Operator::Equal, Some(order)) => order.is_eq(),
                (Operator::Less, Some(order)) => order.is_lt(),
                (Operator::LessOrEqual, Some(order)) => order.is_le(),
                (Operator::Greater, Some(order)) => order.is_gt(),
                (_, Some(order)) => order.is_ge(),
            })
        }
    }
}

/// An int and a real without rounding either: first the whole parts, then the fraction.
fn exact(int: i64, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    if real.abs() >= 2f64.powi(64) {
        return Some(if real > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let whole = real.trunc() as i128;
    let fraction = real.fract().partial_cmp(&0.0).unwrap().reverse();
    Some(i128::from(int).cmp(&whole).then(fraction))
}

fn condition() -> impl Strategy<Value = v1::Predicate> {
    let number = prop_oneof![
        (-3..4i64).prop_map(Value::Integer),
        prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(Value::Integer),
        (-3.0..3.0f64).prop_map(|it| Value::Real((it * 4.0).round() / 4.0)),
        prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.1,
            9.3e18,
            -9.3e18
        ])
        .prop_map(Value::Real),
    ];
    let text = prop::sample::select(vec!["", "a", "ab", "b"]).prop_map(|it| Value::Text(it.into()));
    let compared = prop_oneof![
        (prop::sample::select(vec!["d", "i"]), number),
        (Just("t"), text)
    ];
    let comparison = (compared, 1..7i32).prop_map(|((column, value), operator)| {
        Form::Comparison(v1::Comparison {
            column: column.into(),
            operator,
            value: Some(value),
        })
    });
    let is_null = prop::sample::select(vec!["d", "i", "t"]).prop_map(|it| Form::IsNull(it.into()));
    let leaf = prop_oneof![4 => comparison, 1 => is_null].prop_map(said);
    leaf.prop_recursive(3, 24, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..5);
        prop_oneof![
            several
                .clone()
                .prop_map(|predicates| said(Form::AllOf(v1::Predicates { predicates }))),
            several.prop_map(|predicates| said(Form::AnyOf(v1::Predicates { predicates }))),
            inner.prop_map(|it| said(Form::Not(Box::new(it)))),
        ]
    })
}

fn said(form: Form) -> v1::Predicate {
    v1::Predicate {
        predicate: Some(form),
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let dense = prop::sample::select(vec![
        -2.0,
        -0.0,
        0.0,
        0.1,
        0.25,
        3.0,
        f32::NAN,
        f32::INFINITY,
    ]);
    let int = prop::sample::select(vec![i64::MIN, -2, -1, 0, 1, 2, 3, i64::MAX]);
    let text = prop::sample::select(vec!["", "a", "ab", "b", "ba"]).prop_map(String::from);
    let row = (
        prop::option::of(dense),
        prop::option::of(int),
        prop::option::of(text),
    );
    prop::collection::vec(row, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_rows_kept_are_those_that_are_true_one_by_one(condition in condition(), rows in rows()) {
        let filter = RowFilter::compile(&condition, &features()).unwrap();
        let kept = filter.keep(&batch(&rows, &filter), &row_ids(rows.len())).unwrap();
        let expected: Vec<bool> = rows.iter().map(|row| truth(&condition, row) == Some(true)).collect();
        prop_assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn json_gives_the_same_condition_back(condition in condition()) {
        prop_assume!(!format!("{condition:?}").contains("inf") && !format!("{condition:?}").contains("NaN"));
        let text = serde_json::to_string(&Written(&condition)).unwrap();
        prop_assert_eq!(from_json("where", &text).unwrap(), condition);
    }
}

#[test]
fn membership_of_many_is_looked_up() {
    let json = r#"{"any_of": [{"column": "i", "operator": "==", "value": 3}, {"column": "i", "operator": "==", "value": 5}]}"#;
    let filter = RowFilter::compile(&from_json("where", json).unwrap(), &features()).unwrap();
    assert!(format!("{filter:?}").contains("Ints"), "{filter:?}");
    let rows: Vec<Row> = [Some(3), Some(4), None, Some(5)]
        .map(|int| (None, int, None))
        .to_vec();
    let kept = filter
        .keep(&batch(&rows, &filter), &row_ids(rows.len()))
        .unwrap();
    assert_eq!(kept.iter().collect::<Vec<_>>(), [true, false, false, true]);
}

#[test]
fn sliced_columns_are_read_from_their_slice() {
    let json = r#"{"not": {"is_null": "d"}}"#;
    let filter = RowFilter::compile(&from_json("where", json).unwrap(), &features()).unwrap();
    let rows: Vec<Row> = (0..100)
        .map(|row| ((row % 3 != 0).then_some(1.0), None, None))
        .collect();
    let kept = filter
        .keep(&batch(&rows, &filter).slice(7, 64), &row_ids(64))
        .unwrap();
    assert_eq!(
        kept.iter().collect::<Vec<_>>(),
        (7..71).map(|row| row % 3 != 0).collect::<Vec<_>>()
    );
}

#[test]
fn wrong_conditions_say_what_to_do() {
    let refused = |json: &str| {
        let condition = from_json("where", json).map_err(|error| error.to_string());
        let compiled = condition.and_then(|condition| {
            RowFilter::compile(&condition, &features()).map_err(|error| error.to_string())
        });
        compiled.map(|_| ()).unwrap_err()
    };
    assert_eq!(
        refused(r#"{"column": "d", "operator": ">", "value": "x"}"#),
        "feature `d`: dense does not compare with text; compare it with a number"
    );
    assert_eq!(
        refused(r#"{"column": "t", "operator": ">", "value": 1}"#),
        "feature `t`: text does not compare with a number; compare it with text"
    );
    assert_eq!(
        refused(r#"{"any_of": [{"column": "d", "operator": "=", "value": 1}]}"#),
        "where.any_of[0].operator: `=` is no operator; use ==, !=, <, <=, > or >="
    );
    assert_eq!(
        refused(r#"{"any_of": []}"#),
        "condition: it names no feature; an empty is_in keeps no row at all"
    );
    assert!(refused(r#"{"columns": "d"}"#).starts_with("where: a condition ("));
    assert!(refused("{").starts_with("where: "));
}

#[test]
fn lists_are_asked_what_they_hold() {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(9)]), // sliced away
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![]),
        Some(vec![Some(2), Some(i64::MIN)]),
    ]);
    let column: ArrayRef = Arc::new(lists.slice(1, 4));
    let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
    let kept = |json: &str| -> Vec<usize> {
        let filter = RowFilter::compile(
            &from_json("where", json).unwrap(),
            &[Kind::IdList.feature("c")],
        );
        filter
            .unwrap()
            .keep(&batch, &row_ids(4))
            .unwrap()
            .set_indices()
            .collect()
    };
    let holds = |id: i64| format!(r#"{{"column": "c", "operator": "==", "value": {id}}}"#);
    assert_eq!(kept(&holds(2)), [0, 3]);
    assert_eq!(kept(&holds(9)), [0; 0]);
    assert_eq!(
        kept(&holds(2).replace("==", "!=")),
        [2],
        "what is null is neither"
    );
    let any = format!(
        r#"{{"any_of": [{}, {}, {}]}}"#,
        holds(1),
        holds(7),
        holds(i64::MIN)
    );
    assert_eq!(kept(&any), [0, 3]);
    assert_eq!(kept(&format!(r#"{{"not": {any}}}"#)), [2]);
    assert_eq!(
        kept(r#"{"is_null": "c"}"#),
        [1],
        "an empty list is not null"
    );
    let ordered = from_json("where", &holds(2).replace("==", "<")).unwrap();
    let message = RowFilter::compile(&ordered, &[Kind::IdList.feature("c")]).unwrap_err();
    assert!(message.to_string().contains("holds that id"), "{message}");
}

fn nested(levels: usize) -> v1::Predicate {
    let mut condition = from_json("where", r#"{"is_null": "d"}"#).unwrap();
    for _ in 1..levels {
        condition = v1::Predicate {
            predicate: Some(v1::predicate::Predicate::Not(Box::new(condition))),
        };
    }
    condition
}

#[test]
fn conditions_too_deep_or_too_long_are_errors() {
    let compile = |condition: &v1::Predicate| RowFilter::compile(condition, &features());
    assert!(compile(&nested(40)).is_ok());
    let message = compile(&nested(41)).unwrap_err().to_string();
    assert!(message.contains("more than 40 levels"), "{message}");
    let long = v1::Predicates {
        predicates: vec![nested(1); 1 << 20],
    };
    let long = v1::Predicate {
        predicate: Some(v1::predicate::Predicate::AnyOf(long)),
    };
    let message = compile(&long).unwrap_err().to_string();
    assert!(message.contains("more than 1048576 parts"), "{message}");
}
