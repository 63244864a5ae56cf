//! Files written by the Parquet crate, in several stored types, are read back as the kinds say.

use std::ops::Range;
use std::sync::Arc;

use crate::support::{Folder, feature, read, read_counted, some, vector_feature, whole};
use arrow::array::*;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Float32Type, Int8Type, Int32Type, Int64Type, Schema};
use dpp_proto::v1::{Feature, Kind};
use dpp_table::arrow_type;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

/// A row as plain values; `Option` is null.
#[derive(Clone, Debug)]
struct Row {
    dense: Option<i16>,
    flag: Option<bool>,
    int: Option<i32>,
    ids: Option<Vec<Option<i32>>>,
    scored: Option<Vec<(i32, i16)>>,
    vector: Option<[i16; 2]>,
    bytes: Option<Vec<u8>>,
    text: Option<String>,
}

fn row() -> impl Strategy<Value = Row> {
    let ids = prop::collection::vec(prop::option::weighted(0.9, any::<i32>()), 0..5);
    let scored = prop::collection::vec(any::<(i32, i16)>(), 0..4);
    (
        any::<Option<i16>>(),
        any::<Option<bool>>(),
        any::<Option<i32>>(),
        prop::option::of(ids),
        prop::option::of(scored),
        any::<Option<[i16; 2]>>(),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..4)),
        prop::option::of("[a-zä]{0,4}"),
    )
        .prop_map(|(dense, flag, int, ids, scored, vector, bytes, text)| Row {
            dense,
            flag,
            int,
            ids,
            scored,
            vector,
            bytes,
            text,
        })
}

/// The rows as a file might store them: doubles, narrow integers, null ids, maps.
fn stored(rows: &[Row]) -> RecordBatch {
    let mut maps = MapBuilder::new(None, Int32Builder::new(), Float64Builder::new());
    for row in rows {
        for (id, score) in row.scored.iter().flatten() {
            maps.keys().append_value(*id);
            maps.values().append_value(f64::from(*score));
        }
        maps.append(row.scored.is_some()).unwrap();
    }
    let ids = rows.iter().map(|row| row.ids.clone());
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "dense",
            Arc::new(Float64Array::from_iter(
                rows.iter().map(|row| row.dense.map(f64::from)),
            )),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.flag))),
        ),
        (
            "int",
            Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.int))),
        ),
        (
            "ids",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(ids)),
        ),
        ("scored", Arc::new(maps.finish())),
        ("vector", vectors(rows)),
        (
            "bytes",
            Arc::new(BinaryArray::from_iter(
                rows.iter().map(|row| row.bytes.as_ref()),
            )),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter(
                rows.iter().map(|row| row.text.as_ref()),
            )),
        ),
    ];
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// The rows as they should be delivered, built without the code under test.
fn delivered(rows: &[Row]) -> RecordBatch {
    let DataType::List(item) = arrow_type(&features()[4]) else {
        panic!("id_score_list is a list");
    };
    let DataType::Struct(fields) = item.data_type().clone() else {
        panic!("its items are structs");
    };
    let pairs = StructBuilder::from_fields(fields, 0);
    let mut scored = ListBuilder::new(pairs);
    for row in rows {
        for (id, score) in row.scored.iter().flatten() {
            scored
                .values()
                .field_builder::<Int64Builder>(0)
                .unwrap()
                .append_value(i64::from(*id));
            scored
                .values()
                .field_builder::<Float32Builder>(1)
                .unwrap()
                .append_value(f32::from(*score));
            scored.values().append(true);
        }
        scored.append(row.scored.is_some());
    }
    let number = |flag: bool| if flag { 1.0 } else { 0.0 };
    let ids = rows.iter().map(|row| {
        let ids = row.ids.as_ref()?;
        Some(
            ids.iter()
                .flatten()
                .map(|id| Some(i64::from(*id)))
                .collect::<Vec<_>>(),
        )
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float32Array::from_iter(
            rows.iter().map(|row| row.dense.map(f32::from)),
        )),
        Arc::new(Float32Array::from_iter(
            rows.iter().map(|row| row.flag.map(number)),
        )),
        Arc::new(Int64Array::from_iter(
            rows.iter().map(|row| row.int.map(i64::from)),
        )),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(ids)),
        Arc::new(scored.finish()),
        vectors(rows),
        Arc::new(LargeBinaryArray::from_iter(
            rows.iter().map(|row| row.bytes.as_ref()),
        )),
        Arc::new(LargeStringArray::from_iter(
            rows.iter().map(|row| row.text.as_ref()),
        )),
    ];
    let features = features();
    let field = |feature: &Feature| Field::new(&feature.name, arrow_type(feature), true);
    let schema = Schema::new(features.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn vectors(rows: &[Row]) -> ArrayRef {
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    for row in rows {
        for value in row.vector.unwrap_or_default() {
            vectors.values().append_value(f32::from(value));
        }
        vectors.append(row.vector.is_some());
    }
    Arc::new(vectors.finish())
}

fn features() -> Arc<[Feature]> {
    Arc::new([
        feature("dense", Kind::Dense),
        feature("flag", Kind::Dense),
        feature("int", Kind::Int),
        feature("ids", Kind::IdList),
        feature("scored", Kind::IdScoreList),
        vector_feature("vector", Kind::Vector, 2),
        feature("bytes", Kind::Bytes),
        feature("text", Kind::Text),
    ])
}

/// Ascending, disjoint ranges within `rows`, from arbitrary cuts.
fn ranges(cuts: &[u64], rows: &Range<u64>) -> Vec<Range<u64>> {
    let length = rows.end - rows.start;
    let mut cuts: Vec<_> = cuts
        .iter()
        .map(|cut| rows.start + cut % (length + 1))
        .collect();
    cuts.sort_unstable();
    cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect()
}

fn rows_of(batch: &RecordBatch, ranges: &[Range<u64>]) -> RecordBatch {
    let rows = UInt64Array::from_iter_values(ranges.iter().flat_map(Clone::clone));
    take_record_batch(batch, &rows).unwrap()
}

async fn check_round_trip(rows: &[Row], group_rows: usize, page_rows: usize, cuts: &[u64]) {
    let folder = Folder::new();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .build();
    folder.write("part.parquet", &stored(rows), properties);
    let table = folder.table();
    let description = table.describe().await.unwrap();
    let file = &description.snapshot.files()[0];
    let expected = delivered(rows);
    let mut first = 0;
    for count in &file.row_group_rows {
        let group = first..first + count;
        first = group.end;
        let selection = ranges(cuts, &group);
        let wanted = match selection.is_empty() {
            true => std::slice::from_ref(&group),
            false => &selection[..],
        };
        let request = some(file, &features(), group.clone(), &selection);
        let batches = read(&table, request).await.unwrap();
        let found = concat_batches(&expected.schema(), &batches).unwrap();
        assert_eq!(found, rows_of(&expected, wanted));
    }
    assert_eq!(first, rows.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_written_is_read(
        rows in prop::collection::vec(row(), 1..60),
        group_rows in 1_usize..40,
        page_rows in 1_usize..10,
        cuts in prop::collection::vec(any::<u64>(), 0..7),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_round_trip(&rows, group_rows, page_rows, &cuts));
    }
}

#[tokio::test]
async fn the_schema_lists_every_kind() {
    let folder = Folder::new();
    folder.write("part", &stored(&[]), WriterProperties::default());
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    folder.write_columns("other", vec![("another", one)]);
    let schema = folder.table().describe().await.unwrap().schema;
    let mut expected = features().to_vec();
    expected.push(feature("another", Kind::Int));
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(schema.features, expected);
}

#[tokio::test]
async fn files_of_different_age_give_the_same_columns() {
    let folder = Folder::new();
    let old: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let single: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 0.25]));
    folder.write_columns("1", vec![("a", old), ("w", single)]);
    let wide: ArrayRef = Arc::new(UInt64Array::from(vec![1 << 40]));
    let new: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let double: ArrayRef = Arc::new(Float64Array::from(vec![0.1]));
    folder.write_columns("2", vec![("w", double), ("b", new), ("a", wide)]);
    let table = folder.table();
    let files = table.describe().await.unwrap().snapshot.into_files();
    let features: Arc<[Feature]> = Arc::new([
        feature("b", Kind::Dense),
        feature("a", Kind::Int),
        feature("absent", Kind::IdList),
        vector_feature("gone", Kind::Vector, 3),
        feature("w", Kind::Dense),
    ]);
    let first = read(&table, some(&files[0], &features, 0..2, &[]))
        .await
        .unwrap();
    let second = read(&table, some(&files[1], &features, 0..1, &[]))
        .await
        .unwrap();
    assert_eq!(first[0].schema(), second[0].schema());
    assert_eq!(first[0].column(0).null_count(), 2);
    let ids = |batch: &RecordBatch| batch.column(1).as_primitive::<Int64Type>().clone();
    assert_eq!(ids(&first[0]), Int64Array::from(vec![Some(1), None]));
    assert_eq!(ids(&second[0]), Int64Array::from(vec![1 << 40]));
    assert_eq!(second[0].column(2).null_count(), 1);
    assert_eq!(second[0].column(3).len(), 1);
    let widened = |batch: &RecordBatch| batch.column(4).as_primitive::<Float32Type>().value(0);
    assert_eq!((widened(&first[0]), widened(&second[0])), (0.1, 0.1));
}

#[tokio::test]
async fn only_missing_features_and_none_at_all_still_count_rows() {
    let folder = Folder::new();
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1; 10]));
    folder.write_columns("1", vec![("a", column)]);
    let table = folder.table();
    let files = table.describe().await.unwrap().snapshot.into_files();
    for features in [vec![], vec![feature("b", Kind::Dense)]] {
        let features: Arc<[Feature]> = features.into();
        let batches = read(&table, some(&files[0], &features, 0..10, &[1..3, 5..9]))
            .await
            .unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
    }
}

#[tokio::test]
async fn dictionaries_and_other_list_shapes_are_read() {
    let folder = Folder::new();
    let ids = [Some(vec![Some(5), None, Some(6)]), None, Some(vec![])];
    let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>(ids.clone());
    let mut strings = StringDictionaryBuilder::<Int8Type>::new();
    for text in [Some("x"), None, Some("x")] {
        strings.append_option(text);
    }
    folder.write_columns(
        "1",
        vec![
            ("ids", Arc::new(large)),
            ("text", Arc::new(strings.finish())),
        ],
    );
    let table = folder.table();
    let description = table.describe().await.unwrap();
    let features: Arc<[Feature]> = description.schema.features.into();
    let file = &description.snapshot.files()[0];
    let batch = &read(&table, some(file, &features, 0..3, &[]))
        .await
        .unwrap()[0];
    let expected = [Some(vec![Some(5), Some(6)]), None, Some(vec![])];
    let expected = ListArray::from_iter_primitive::<Int64Type, _, _>(expected);
    assert_eq!(batch.column(0).as_list::<i32>(), &expected);
    let text: Vec<_> = batch.column(1).as_string::<i64>().iter().collect();
    assert_eq!(text, [Some("x"), None, Some("x")]);
}

/// A row group large enough that its page index is asked for.
#[tokio::test]
async fn a_piece_of_a_large_row_group_reads_its_own_pages() {
    let rows = 100_000_i64;
    let scattered = |row: i64| row.wrapping_mul(0x1E37_79B9_7F4A_7C15);
    let ids = (0..rows).map(|row| match row % 5 {
        0 => None,
        length => Some(
            (1..length)
                .map(|item| Some(scattered(row + item)))
                .collect::<Vec<_>>(),
        ),
    });
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(ids);
    let few = Int64Array::from_iter((0..rows).map(|row| (row % 3 != 0).then_some(row % 11)));
    let folder = Folder::new();
    let columns: Vec<(&str, ArrayRef)> = vec![("few", Arc::new(few)), ("ids", Arc::new(lists))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    // ids are scattered, so a dictionary would be as large as they are; `few` has one
    let ids = ColumnPath::from(vec!["ids".to_owned(), "list".to_owned(), "item".to_owned()]);
    let properties = WriterProperties::builder()
        .set_column_dictionary_enabled(ids, false)
        .set_data_page_row_count_limit(5_000);
    folder.write("part", &batch, properties.build());
    let table = folder.table();
    let description = table.describe().await.unwrap();
    let file = &description.snapshot.files()[0];
    assert_eq!(file.row_group_rows.len(), 1);
    let features: Arc<[Feature]> = description.schema.features.into();
    let mut request = some(file, &features, 0..rows as u64, &[]);
    request.batch_rows = 10_000;
    let (batches, whole) = read_counted(&table, request).await.unwrap();
    let all = concat_batches(&batches[0].schema(), &batches).unwrap();

    for (piece, selection) in [
        (40_000..50_000, vec![]),
        (0..100, vec![]),
        (99_990..100_000, vec![99_999..100_000]),
        (
            10_000..90_000,
            vec![10_000..10_001, 30_003..30_050, 89_990..90_000],
        ),
        (
            0..100_000,
            (0..1000).map(|at| at * 100..at * 100 + 1).collect(),
        ),
    ] {
        let wanted = match selection.is_empty() {
            true => vec![piece.clone()],
            false => selection.clone(),
        };
        let request = some(file, &features, piece.clone(), &selection);
        let (size, _) = table.size(&request).await.unwrap();
        let (batches, io) = read_counted(&table, request).await.unwrap();
        let found = concat_batches(&all.schema(), &batches).unwrap();
        assert_eq!(found, rows_of(&all, &wanted), "{piece:?} {selection:?}");
        assert!(size.stored_bytes >= io.wanted_bytes, "{size:?} {io:?}");
        if wanted.len() < 10 && piece.end - piece.start <= 10_000 {
            assert!(
                io.wanted_bytes * 4 < whole.wanted_bytes,
                "{piece:?}: {io:?} of {whole:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_local_footer_takes_one_request_however_long_it_is() {
    let folder = Folder::new();
    let names: Vec<String> = (0..1000).map(|i| format!("feature_{i}")).collect();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let columns = names.iter().map(|name| (&**name, Arc::clone(&column)));
    folder.write_columns("wide.parquet", columns.collect());
    let stored = std::fs::read(folder.path("wide.parquet")).unwrap();
    let end = stored[stored.len() - 8..][..4].try_into().unwrap();
    let footer_bytes = u64::from(u32::from_le_bytes(end)) + 8;
    let file = folder.table().describe().await.unwrap().snapshot.files()[0].clone();
    // a table that knows of no footer yet
    let request = whole(&file, &[feature("feature_7", Kind::Int)]);
    let (_, io) = folder.table().size(&request).await.unwrap();
    assert_eq!((io.requests, io.read_bytes), (1, footer_bytes));
}
