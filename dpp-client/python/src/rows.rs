//! Rows from Python as a record batch: Arrow data through its PyCapsules, or a mapping from column to values.
//!
//! Values of a mapping take the kind that a bound plan declares for their column; else the first value that is there
//! tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListBuilder, Float32Array, Float32Builder, Int64Array, Int64Builder,
    LargeBinaryArray, LargeStringArray, ListBuilder, RecordBatch, RecordBatchIterator,
    RecordBatchOptions, RecordBatchReader, StructArray, StructBuilder,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use dpp_ops::{Kind, Plan, plan::Node};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyCapsule, PyFloat, PyInt, PyMapping, PyString};

use crate::errors::{internal, invalid};

/// Kinds that a plan declares for its features; none for a plan that is not bound.
pub(crate) struct Kinds(BTreeMap<String, Option<Kind>>);

impl Kinds {
    pub(crate) fn of(plan: &Plan) -> Kinds {
        let features = plan.nodes().iter().filter_map(|node| match node {
            Node::Feature { name, kind } => Some((name.clone(), *kind)),
            _ => None,
        });
        let is_bound = !plan.nodes().iter().any(|node| {
            matches!(
                node,
                Node::Pattern { .. } | Node::Feature { kind: None, .. }
            )
        });
        Kinds(match is_bound {
            true => features.collect(),
            false => BTreeMap::new(),
        })
    }
}

/// The rows; all of them have as many as the first column.
pub(crate) fn read(rows: &Bound<'_, PyAny>, kinds: &Kinds) -> PyResult<RecordBatch> {
    if rows.hasattr("__arrow_c_stream__")? {
        return read_stream(rows);
    }
    if rows.hasattr("__arrow_c_array__")? {
        return read_array(rows);
    }
    match rows.cast::<PyMapping>() {
        Ok(columns) => read_mapping(columns, kinds),
        Err(_) => Err(invalid(format!(
            "rows are Arrow data (pyarrow, polars, …) or a dict from column to values, not {}",
            rows.get_type().name()?
        ))),
    }
}

/// Rows of Arrow data as they come.
pub(crate) fn stream(rows: &Bound<'_, PyAny>) -> PyResult<Box<dyn RecordBatchReader + Send>> {
    if rows.hasattr("__arrow_c_stream__")? {
        return Ok(Box::new(open_stream(rows)?));
    }
    if rows.hasattr("__arrow_c_array__")? {
        let batch = read_array(rows)?;
        let schema = batch.schema();
        return Ok(Box::new(RecordBatchIterator::new([Ok(batch)], schema)));
    }
    Err(invalid(format!(
        "rows are Arrow data: a pyarrow Table or RecordBatchReader, a polars DataFrame, …, not {}",
        rows.get_type().name()?
    )))
}

fn read_stream(rows: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let reader = open_stream(rows)?;
    let schema = RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>();
    let batches = batches.map_err(|error| invalid(format!("rows: {error}")))?;
    concat_batches(&schema, &batches).map_err(|error| invalid(format!("rows: {error}")))
}

fn open_stream(rows: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let capsule = rows.call_method0("__arrow_c_stream__")?;
    let pointer = pointer(&capsule, c"arrow_array_stream")?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of that name holds a stream that nobody else has taken; it is moved out, as its protocol asks.
    #[expect(unsafe_code, reason = "Arrow's C stream interface")]
    let reader = unsafe { RecordBatchStreamReader::from_raw(pointer) };
    reader.map_err(|error| invalid(format!("rows: {error}")))
}

fn read_array(rows: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let capsules = rows.call_method0("__arrow_c_array__")?;
    let schema = pointer(&capsules.get_item(0)?, c"arrow_schema")?.cast::<FFI_ArrowSchema>();
    let array = pointer(&capsules.get_item(1)?, c"arrow_array")?.cast::<FFI_ArrowArray>();
    // SAFETY: capsules of those names hold a schema and an array that nobody else has taken; both are moved out.
    #[expect(unsafe_code, reason = "Arrow's C data interface")]
    let data = unsafe {
        let schema = FFI_ArrowSchema::from_raw(schema);
        from_ffi(FFI_ArrowArray::from_raw(array), &schema)
    };
    let data = data.map_err(|error| invalid(format!("rows: {error}")))?;
    match data.data_type() {
        DataType::Struct(_) => Ok(RecordBatch::from(StructArray::from(data))),
        other => Err(invalid(format!(
            "rows are a record batch, not an array of {other}"
        ))),
    }
}

fn pointer(capsule: &Bound<'_, PyAny>, name: &std::ffi::CStr) -> PyResult<*mut std::ffi::c_void> {
    let capsule = capsule.cast::<PyCapsule>();
    let capsule = capsule.map_err(|_| invalid("rows: Arrow data comes in a PyCapsule"))?;
    Ok(capsule.pointer_checked(Some(name))?.as_ptr())
}

fn read_mapping(columns: &Bound<'_, PyMapping>, kinds: &Kinds) -> PyResult<RecordBatch> {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for item in columns.items()?.iter() {
        let (name, values): (String, Bound<'_, PyAny>) = item.extract()?;
        let declared = kinds.0.get(&name).copied().flatten();
        if declared.is_none() && !kinds.0.is_empty() {
            continue; // not the plan's
        }
        let array = read_column(&values, declared).map_err(|error| about(&name, error, &values))?;
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let rows = arrays.first().map_or(0, |array| array.len());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| invalid(format!("rows: {error}")))
}

/// The error of a column, naming it.
fn about(name: &str, error: PyErr, values: &Bound<'_, PyAny>) -> PyErr {
    let message = error.value(values.py()).to_string();
    invalid(format!("column {name:?}: {message}"))
}

fn read_column(values: &Bound<'_, PyAny>, declared: Option<Kind>) -> PyResult<ArrayRef> {
    let values: Vec<Option<Bound<'_, PyAny>>> = match values.hasattr("tolist")? {
        true => values.call_method0("tolist")?.extract()?,
        false => values.extract()?,
    };
    let kind = match declared {
        Some(kind) => kind,
        None => infer(&values)?,
    };
    Ok(match kind {
        Kind::Dense => Arc::new(each(&values, dense)?.into_iter().collect::<Float32Array>()),
        Kind::Int => Arc::new(each(&values, integer)?.into_iter().collect::<Int64Array>()),
        Kind::Text => {
            let texts = each(&values, |value| value.extract::<String>())?;
            Arc::new(texts.into_iter().collect::<LargeStringArray>())
        }
        Kind::Bytes => {
            let bytes = each(&values, |value| value.extract::<Vec<u8>>())?;
            Arc::new(bytes.into_iter().collect::<LargeBinaryArray>())
        }
        Kind::IdList => id_lists(&values)?,
        Kind::IdScoreList => scored_lists(&values)?,
        Kind::Vector { width } => vectors(&values, width)?,
        Kind::Image | Kind::Pixels(_) => {
            return Err(invalid(format!("no column holds {kind}, only ops make it")));
        }
    })
}

type Row<'py> = Option<Bound<'py, PyAny>>;

fn each<'py, T>(
    values: &[Row<'py>],
    one: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<Option<T>>> {
    let values = values
        .iter()
        .map(|value| value.as_ref().map(&one).transpose());
    values.collect()
}

/// As a file's doubles become floats.
fn dense(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    Ok(value.extract::<f64>()? as f32)
}

fn integer(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    value.extract()
}

/// An id, or text that stands for one.
fn id(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(dpp_table::text_id(text.to_str()?)),
        Err(_) => value.extract(),
    }
}

fn entries<'py>(row: &Bound<'py, PyAny>) -> PyResult<Vec<Row<'py>>> {
    match row.hasattr("tolist")? {
        true => row.call_method0("tolist")?.extract(),
        false => row.extract(),
    }
}

fn id_lists(rows: &[Row<'_>]) -> PyResult<ArrayRef> {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in rows {
        if let Some(row) = row {
            for entry in entries(row)?.iter().flatten() {
                lists.values().append_value(id(entry)?);
            }
        }
        lists.append(row.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

/// Pairs of id and score, as tuples or as `{"id": …, "score": …}`; those that lack a part are dropped.
fn scored_lists(rows: &[Row<'_>]) -> PyResult<ArrayRef> {
    let fields = Fields::from(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("score", DataType::Float32, false),
    ]);
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for row in rows {
        if let Some(row) = row {
            for entry in entries(row)?.iter().flatten() {
                let (one, score) = pair(entry)?;
                let (Some(one), Some(score)) = (one, score) else {
                    continue;
                };
                let pairs = lists.values();
                let ids = pairs.field_builder::<Int64Builder>(0);
                ids.ok_or_else(|| internal("the first field is an id"))?
                    .append_value(id(&one)?);
                let scores = pairs.field_builder::<Float32Builder>(1);
                scores
                    .ok_or_else(|| internal("the second field is a score"))?
                    .append_value(dense(&score)?);
                pairs.append(true);
            }
        }
        lists.append(row.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn pair<'py>(entry: &Bound<'py, PyAny>) -> PyResult<(Row<'py>, Row<'py>)> {
    match entry.cast::<PyMapping>() {
        Ok(named) => Ok((
            named.get_item("id")?.extract()?,
            named.get_item("score")?.extract()?,
        )),
        Err(_) => entry.extract(),
    }
}

fn vectors(rows: &[Row<'_>], width: u32) -> PyResult<ArrayRef> {
    let cells = usize::try_from(width).unwrap_or(usize::MAX);
    let width = i32::try_from(width).map_err(|_| invalid("the vector is too wide"))?;
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), width);
    for row in rows {
        match row {
            None => vectors.values().append_nulls(cells),
            Some(row) => {
                let values = entries(row)?;
                if values.len() != cells {
                    let found = values.len();
                    return Err(invalid(format!("a vector of {cells} has {found} values")));
                }
                let values = each(&values, dense)?;
                values
                    .into_iter()
                    .for_each(|it| vectors.values().append_option(it));
            }
        }
        vectors.append(row.is_some());
    }
    Ok(Arc::new(vectors.finish()))
}

/// The kind that the first value which is there tells.
fn infer(values: &[Row<'_>]) -> PyResult<Kind> {
    for value in values.iter().flatten() {
        if let Some(kind) = scalar_kind(value) {
            return Ok(kind);
        }
        let entries = entries(value).map_err(|_| {
            PyTypeError::new_err(format!("{} is no value of a feature", type_name(value)))
        })?;
        let width = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let Some(first) = entries.into_iter().flatten().next() else {
            continue;
        };
        return Ok(match scalar_kind(&first) {
            Some(Kind::Int | Kind::Text) => Kind::IdList,
            Some(Kind::Dense) => Kind::Vector { width },
            _ => Kind::IdScoreList,
        });
    }
    Err(invalid(
        "no value tells its kind: bind the plan to a table first, plan.bind(table)",
    ))
}

fn scalar_kind(value: &Bound<'_, PyAny>) -> Option<Kind> {
    match value {
        value if value.is_instance_of::<PyBool>() => Some(Kind::Dense),
        value if value.is_instance_of::<PyInt>() => Some(Kind::Int),
        value if value.is_instance_of::<PyFloat>() => Some(Kind::Dense),
        value if value.is_instance_of::<PyString>() => Some(Kind::Text),
        value if value.is_instance_of::<PyBytes>() => Some(Kind::Bytes),
        _ => None,
    }
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name();
    name.map_or_else(|_| "this".to_owned(), |name| name.to_string())
}
