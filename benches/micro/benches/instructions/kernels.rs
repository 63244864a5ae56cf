//! The kernels: decoding a column, a shape each, from pages in memory; ops; and a plan's whole transform and packing.

use std::{error::Error, fs::File, hint::black_box, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch},
    datatypes::Int64Type,
};
use dpp_ops::{
    Column, Plan, Program, Registry,
    id_list::IdList,
    parameters::{Parameters, Value},
};
use dpp_proto::v1;
use dpp_table::{PieceRequest, Table};
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::RUNS;

pub(crate) type Kernel = (String, Box<dyn FnMut()>);

/// Every kernel, ready to run [`RUNS`] times.
pub(crate) fn all() -> Result<Vec<Kernel>, Box<dyn Error>> {
    let mut kernels = ops()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    kernels.extend(runtime.block_on(reading())?);
    Ok(kernels)
}

/// Of every column.
const ROWS: i64 = 4096;

fn number(row: i64, salt: i64) -> i64 {
    let mixed = (row * 31 + salt).wrapping_mul(0x5851_F42D_4C95_7F2D);
    (mixed ^ (mixed >> 29)).rem_euclid(1000)
}

fn dense(salt: i64, share: i64) -> Float32Array {
    let value = |row| (number(row, salt) < share).then(|| number(row, salt + 1) as f32 / 8.0);
    (0..ROWS).map(value).collect()
}

fn ints(salt: i64) -> Int64Array {
    (0..ROWS)
        .map(|row| (number(row, salt) < 700).then(|| number(row, salt + 1)))
        .collect()
}

fn lists(salt: i64) -> ListArray {
    let ids = |row: i64| (0..number(row, salt) % 30).map(move |at| Some(number(row, salt + at)));
    let lists = (0..ROWS).map(|row| (number(row, salt + 1) < 700).then(|| ids(row)));
    ListArray::from_iter_primitive::<Int64Type, _, _>(lists)
}

/// An op's name, parameters and inputs.
type Op<'a> = (&'static str, Vec<(&'static str, Value)>, Vec<&'a Column>);

fn ops() -> Result<Vec<Kernel>, Box<dyn Error>> {
    let dense = Column::Dense(dense(1, 1000));
    let nulls = Column::Dense(self::dense(1, 700));
    let ids = |salt| -> Result<Column, Box<dyn Error>> {
        let lists = lists(salt);
        let ids = lists.values().as_any().downcast_ref::<Int64Array>();
        let ids = ids.ok_or("lists of ids")?.values().clone();
        let lists = IdList::new(lists.offsets().clone(), ids, None)?;
        Ok(Column::IdList(lists))
    };
    let (ids, others) = (ids(3)?, ids(5)?);
    let borders: Vec<f64> = (0..50).map(|border| f64::from(border) * 2.5).collect();
    let table: Vec<Op<'_>> = vec![
        ("fill_null", vec![("value", 0.into())], vec![&nulls]),
        ("clamp", vec![("min", 0.into())], vec![&dense]),
        ("log1p", vec![], vec![&dense]),
        (
            "z_score",
            vec![("mean", 50.into()), ("std", 20.into())],
            vec![&dense],
        ),
        ("bucketize", vec![("borders", borders.into())], vec![&dense]),
        ("first_x", vec![("n", 10.into())], vec![&ids]),
        (
            "sigrid_hash",
            vec![("salt", 0.into()), ("max_value", 1_000_003.into())],
            vec![&ids],
        ),
        ("intersect", vec![], vec![&ids, &others]),
    ];
    let registry = Registry::standard();
    let mut kernels: Vec<Kernel> = Vec::new();
    for (name, parameters, columns) in table {
        let parameters = parameters.into_iter();
        let parameters: Parameters = parameters
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let (op, _) = registry.construct(name, &parameters)?;
        let columns: Vec<Column> = columns.into_iter().cloned().collect();
        let evaluate = move || {
            let columns: Vec<&Column> = columns.iter().collect();
            black_box(op.evaluate(&columns).expect("kinds are right"));
        };
        kernels.push((format!("op: {name}"), Box::new(evaluate)));
    }
    Ok(kernels)
}

/// Columns of a table, decoded one by one; then all of them transformed and packed.
async fn reading() -> Result<Vec<Kernel>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    write(File::create(folder.path().join("rows.parquet"))?)?;
    let source = v1::TableSource {
        url: folder.path().display().to_string(),
        ..v1::TableSource::default()
    };
    let table = Table::open(&source)?;
    let described = table.describe().await?;
    let file = &described.snapshot.files()[0];
    let request = |features: Arc<[v1::Feature]>| PieceRequest {
        file: file.clone(),
        rows: 0..file.row_group_rows[0],
        selection: Vec::new(),
        features,
        batch_rows: 1024,
        most_held_bytes: u64::MAX,
    };
    let mut kernels: Vec<Kernel> = Vec::new();
    for feature in &described.schema.features {
        let mut fetched = Vec::new();
        for _ in 0..RUNS {
            let wanted = Arc::from([feature.clone()]);
            fetched.push(table.fetch(request(wanted)).await?);
        }
        let decode = move || {
            let piece = fetched.pop().expect("one for every run");
            for batch in piece.decode().expect("pages are whole") {
                black_box(batch.expect("pages are whole"));
            }
        };
        kernels.push((format!("decode: {}", feature.name), Box::new(decode)));
    }
    let program = Program::compile(&Plan::from_json(PLAN)?.bind(&described.schema)?)?;
    let piece = table.fetch(request(Arc::clone(program.features()))).await?;
    let batches = piece.decode()?.collect::<Result<Vec<RecordBatch>, _>>()?;
    let pack = move || {
        for batch in &batches {
            let packed = program.run(batch, &vec![0; batch.num_rows()]);
            black_box(packed.expect("it is the plan's"));
        }
    };
    kernels.push(("transform and pack".to_owned(), Box::new(pack)));
    Ok(kernels)
}

/// Not compressed: what that takes is another library's, and depends on the machine.
fn write(file: File) -> Result<(), Box<dyn Error>> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("dense, plain", Arc::new(dense(1, 600))),
        ("dense, dictionary", Arc::new(dense(1, 600))),
        ("dense without nulls, plain", Arc::new(dense(1, 1000))),
        ("ints, plain", Arc::new(ints(2))),
        ("ints, dictionary", Arc::new(ints(2))),
        ("lists, plain", Arc::new(lists(3))),
        ("lists, dictionary", Arc::new(lists(3))),
    ];
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None);
    for (name, _) in &columns {
        let leaf: Vec<String> = match name.starts_with("lists") {
            true => [*name, "list", "item"].map(str::to_owned).into(),
            false => vec![(*name).to_owned()],
        };
        let is_dictionary = name.ends_with("dictionary");
        properties = properties.set_column_dictionary_enabled(ColumnPath::new(leaf), is_dictionary);
    }
    let rows = RecordBatch::try_from_iter(columns)?;
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties.build()))?;
    writer.write(&rows)?;
    writer.close()?;
    Ok(())
}

const PLAN: &str = r#"{"nodes": [
    {"feature": "dense, plain"}, {"op": "fill_null", "inputs": [0], "value": 0.0}, {"op": "clamp", "inputs": [1], "min": 0.0},
    {"op": "log1p", "inputs": [2]},
    {"feature": "dense without nulls, plain"}, {"op": "z_score", "inputs": [4], "mean": 60.0, "std": 30.0},
    {"feature": "lists, plain"}, {"op": "first_x", "inputs": [6], "n": 20},
    {"op": "sigrid_hash", "inputs": [7], "salt": 0, "max_value": 1000000}],
  "dense": [{"name": "log", "node": 3}, {"name": "scaled", "node": 5}], "sparse": [{"name": "ids", "node": 8}], "missing": 0.0}"#;
