//! What the ops' tests share: rows in, rows out, through the registry; and columns to try everything on.

use arrow::array::{Float32Array, Int64Array};
use arrow::buffer::OffsetBuffer;
use proptest::{collection::vec, option, prelude::*};

pub(crate) use super::reference::check_rows;
use super::reference::count_rows;
use crate::{
    Column, Error,
    id_list::IdList,
    op::SharedOp,
    ops::dense::elementwise::one_nan,
    parameters::{Parameters, Value},
    registry::Registry,
};

/// The op on one column.
pub(crate) fn apply(
    op: &str,
    parameters: &[(&str, Value)],
    column: &Column,
) -> Result<Column, Error> {
    apply_to(op, parameters, &[column])
}

/// The op on several columns.
pub(crate) fn apply_to(
    name: &str,
    parameters: &[(&str, Value)],
    columns: &[&Column],
) -> Result<Column, Error> {
    let named = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()));
    let (op, _) = Registry::of_this_crate().construct(name, &named.collect::<Parameters>())?;
    run(&op, name, columns)
}

/// A made op on several columns, its rows counted.
pub(crate) fn run(op: &SharedOp, name: &str, columns: &[&Column]) -> Result<Column, Error> {
    let kind = op
        .output_kind(
            &columns
                .iter()
                .map(|column| column.kind())
                .collect::<Vec<_>>(),
        )
        .expect("the op takes the kinds");
    let result = op.evaluate(columns)?;
    count_rows(name, result.rows());
    assert_eq!(result.kind(), kind, "the op keeps its promise of a kind");
    assert_eq!(result.rows(), columns[0].rows(), "the op keeps the rows");
    Ok(result)
}

/// Why the op is not made with these parameters.
pub(crate) fn refusal(op: &str, parameters: &[(&str, Value)]) -> String {
    let named = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()));
    let made = Registry::of_this_crate().construct(op, &named.collect::<Parameters>());
    made.expect_err("the op is not made").to_string()
}

/// Checks an op from dense to dense against the row's own function, on these rows, by bits.
pub(crate) fn check_dense(
    op: &str,
    parameters: &[(&str, Value)],
    rows: &[Option<f32>],
    naive: impl Fn(f32) -> f32,
) {
    let found = dense_bits(&apply(op, parameters, &sliced_dense(rows)).unwrap());
    let expected: Vec<_> = rows
        .iter()
        .map(|row| row.map(|x| one_nan(naive(x)).to_bits()))
        .collect();
    assert_eq!(found, expected, "{op} of {rows:?}");
}

/// Checks an op from lists to lists against the row's own function, plain and scored.
pub(crate) fn check_lists(
    op: &str,
    parameters: &[(&str, Value)],
    rows: &[Vec<(i64, f32)>],
    naive: impl Fn(&[(i64, f32)]) -> Vec<(i64, f32)>,
) {
    let expected: Vec<_> = rows.iter().map(|row| naive(row)).collect();
    let found = apply(op, parameters, &scored_lists(rows)).unwrap();
    assert_eq!(scored_rows(&found), expected, "{op} of {rows:?}");
    check_ids(op, parameters, rows, |row| ids_of(&naive(row)));
}

/// Checks an op from plain lists to plain lists; `naive` is given zero scores.
pub(crate) fn check_ids(
    op: &str,
    parameters: &[(&str, Value)],
    rows: &[Vec<(i64, f32)>],
    naive: impl Fn(&[(i64, f32)]) -> Vec<i64>,
) {
    let plain: Vec<Vec<i64>> = rows.iter().map(|row| ids_of(row)).collect();
    let found = apply(op, parameters, &lists(&plain)).unwrap();
    let unscored = plain.iter().map(|row| row.iter().map(|&id| (id, 0.0)));
    let expected: Vec<_> = unscored
        .map(|row| naive(&row.collect::<Vec<_>>()))
        .collect();
    assert_eq!(list_rows(&found), expected, "{op} of {plain:?}");
}

pub(crate) fn ids_of(row: &[(i64, f32)]) -> Vec<i64> {
    row.iter().map(|(id, _)| *id).collect()
}

pub(crate) fn dense(rows: &[Option<f32>]) -> Column {
    Column::Dense(Float32Array::from(rows.to_vec()))
}

pub(crate) fn int(rows: &[Option<i64>]) -> Column {
    Column::Int(Int64Array::from(rows.to_vec()))
}

pub(crate) fn lists(rows: &[Vec<i64>]) -> Column {
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    Column::IdList(IdList::new(offsets, rows.concat().into(), None).unwrap())
}

pub(crate) fn scored_lists(rows: &[Vec<(i64, f32)>]) -> Column {
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    let (ids, scores): (Vec<i64>, Vec<f32>) = rows.concat().into_iter().unzip();
    Column::IdList(IdList::new(offsets, ids.into(), Some(scores.into())).unwrap())
}

/// Rows as bits, so that NaN equals itself and −0 differs from 0.
pub(crate) fn dense_bits(column: &Column) -> Vec<Option<u32>> {
    let rows = column.dense().unwrap().iter();
    rows.map(|row| row.map(f32::to_bits)).collect()
}

pub(crate) fn list_rows(column: &Column) -> Vec<Vec<i64>> {
    let lists = column.id_list().unwrap();
    let bounds = lists.offsets().windows(2);
    bounds
        .map(|row| lists.ids()[row[0] as usize..row[1] as usize].to_vec())
        .collect()
}

pub(crate) fn scored_rows(column: &Column) -> Vec<Vec<(i64, f32)>> {
    let lists = column.id_list().unwrap();
    let scores = lists.scores().expect("a scored list");
    let bounds = lists.offsets().windows(2);
    bounds
        .map(|row| {
            (row[0] as usize..row[1] as usize)
                .map(|at| (lists.ids()[at], scores[at]))
                .collect()
        })
        .collect()
}

/// The two features of TorchArrow's own tests, whose scores are their ids.
pub(crate) fn torcharrow() -> (Column, Column) {
    let scored = |rows: [&[i64]; 4]| {
        let score = |ids: &[i64]| ids.iter().map(|id| (*id, *id as f32)).collect();
        scored_lists(&rows.map(score))
    };
    (
        scored([&[1, 2, 3], &[4, 5, 6], &[7, 8, 9], &[10, 10, 11, 12]]),
        scored([&[1, 2, 3], &[0, 10], &[7, 10, 10], &[10, 10, 11, 13]]),
    )
}

/// Rows of one case of a property: none, or more than one word of validity.
pub(crate) fn rows<S: Strategy>(row: S) -> impl Strategy<Value = Vec<S::Value>> {
    vec(row, 0..150)
}

/// Any f32, with the awkward ones often.
pub(crate) fn any_f32() -> impl Strategy<Value = f32> {
    const AWKWARD: [f32; 8] = [
        -0.0,
        1.0,
        -1.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
    ];
    any::<u64>().prop_map(|drawn| match (drawn >> 32) as usize {
        which if which % 8 < 4 => (drawn as u32 as f64 / f64::from(u32::MAX) * 20.0 - 10.0) as f32,
        which if which % 8 < 7 => f32::from_bits(drawn as u32),
        which => AWKWARD[which / 8 % AWKWARD.len()],
    })
}

/// Any i64, with the awkward ones often.
pub(crate) fn any_i64() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..7usize).prop_map(|(drawn, which)| match which {
        0..4 => drawn % 10,
        4..6 => drawn,
        _ => [0, i64::MIN, i64::MAX, -1][(drawn & 3) as usize],
    })
}

pub(crate) fn dense_rows() -> impl Strategy<Value = Vec<Option<f32>>> {
    rows(option::weighted(0.8, any_f32()))
}

pub(crate) fn int_rows() -> impl Strategy<Value = Vec<Option<i64>>> {
    rows(option::weighted(0.8, any_i64()))
}

pub(crate) fn any_lists() -> impl Strategy<Value = Vec<Vec<i64>>> {
    rows(vec(any_i64(), 0..8))
}

/// Rows of two lists of ids that often meet.
pub(crate) fn any_two_lists() -> impl Strategy<Value = Vec<(Vec<i64>, Vec<i64>)>> {
    let near = || any_i64().prop_map(|id| if id % 9 == 8 { id } else { id % 6 });
    let list = || vec(near(), 0..12);
    rows((list(), list()))
}

/// Ids with their scores.
pub(crate) type ScoredRow = Vec<(i64, f32)>;

/// Rows of two scored lists whose ids often meet.
pub(crate) fn any_two_scored_lists() -> impl Strategy<Value = Vec<(ScoredRow, ScoredRow)>> {
    let list = || vec((-4i64..4, -2f32..2.0), 0..10);
    rows((list(), list()))
}

pub(crate) fn any_scored_lists() -> impl Strategy<Value = Vec<Vec<(i64, f32)>>> {
    rows(vec((any_i64(), -1f32..1.0), 0..8))
}

/// A dense column cut out of a longer one, so that its buffers do not start at a word.
pub(crate) fn sliced_dense(rows: &[Option<f32>]) -> Column {
    let padded: Vec<Option<f32>> = [Some(1.0), None, Some(3.0)]
        .iter()
        .chain(rows)
        .copied()
        .collect();
    let array = Float32Array::from(padded).slice(3, rows.len());
    assert_eq!(array.len(), rows.len());
    Column::Dense(array)
}
