//! Features stored as keys of maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::{
    Folder, column, columns, data, feature, id_lists, open, read_counted, some, whole,
};
use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Int64Type};
use dpp_proto::v1::{Feature, FeatureName, Kind, TableSource};
use dpp_proto::{Fault, Faulty};
use dpp_table::Table;

/// What the map table's keys are called in the flat one.
const SHOP: [(&str, u32, &str); 14] = [
    ("float_features", 10, "user_age"),
    ("float_features", 11, "user_level"),
    ("float_features", 12, "user_days"),
    ("float_features", 20, "comment_count"),
    ("float_features", 21, "bad_comment_rate"),
    ("id_list_features", 100, "user"),
    ("id_list_features", 101, "sku"),
    ("id_list_features", 102, "category"),
    ("id_list_features", 103, "brand"),
    ("id_list_features", 104, "model"),
    ("id_list_features", 110, "last_skus"),
    ("id_list_features", 111, "last_categories"),
    ("id_list_features", 112, "last_brands"),
    ("id_score_list_features", 200, "category_share"),
];

fn named(url: &str, names: &[(&str, u32, &str)]) -> Table {
    let entry = |(map, key, name): &(&str, u32, &str)| feature_name(&format!("{map}[{key}]"), name);
    let mut source = source(url);
    source.feature_names = names.iter().map(entry).collect();
    Table::open(&source).unwrap()
}

fn feature_name(entry: &str, name: &str) -> FeatureName {
    FeatureName {
        entry: entry.to_owned(),
        name: name.to_owned(),
    }
}

fn source(url: &str) -> TableSource {
    TableSource {
        url: url.to_owned(),
        ..TableSource::default()
    }
}

/// A row of a list column with its absent lists as empty ones, which is what null means for lists.
fn listed(array: &ArrayRef) -> Vec<ArrayRef> {
    let lists = array.as_list::<i32>();
    let empty = lists.values().slice(0, 0);
    let rows = lists
        .iter()
        .map(|row| row.unwrap_or_else(|| Arc::clone(&empty)));
    rows.collect()
}

#[tokio::test]
async fn the_shop_is_the_same_in_both_layouts() {
    let (Some(maps), Some(flat)) = (data("jd/map"), data("jd/flat")) else {
        return;
    };
    let maps = named(maps.to_str().unwrap(), &SHOP);
    let flat = open(flat.to_str().unwrap());
    let described = flat.describe().await.unwrap();
    let described_maps = maps.describe().await.unwrap();
    let features: Arc<[Feature]> = described.schema.features.into();
    let mut found = described_maps.schema.features;
    // the map of id → score is one feature as well
    found.retain(|feature| feature.name != "float_features");
    assert_eq!(found, *features);

    let files = described
        .snapshot
        .files()
        .iter()
        .zip(described_maps.snapshot.files());
    for (file, map_file) in files.step_by(10) {
        assert_eq!(file.path, map_file.path);
        let mut request = whole(file, &features);
        let (expected, _) = read_counted(&flat, request.clone()).await.unwrap();
        request.file = map_file.clone();
        let (found, _) = read_counted(&maps, request).await.unwrap();
        let expected = concat_batches(&expected[0].schema(), &expected).unwrap();
        let found = concat_batches(&found[0].schema(), &found).unwrap();
        for (index, feature) in features.iter().enumerate() {
            let (expected, found) = (expected.column(index), found.column(index));
            match feature.kind() {
                Kind::IdList | Kind::IdScoreList => {
                    assert_eq!(listed(found), listed(expected), "{feature:?}")
                }
                _ => assert_eq!(found, expected, "{feature:?}"),
            }
        }
    }
}

#[tokio::test]
async fn keys_are_described_without_names() {
    let Some(path) = data("jd/map") else { return };
    let description = open(path.to_str().unwrap()).describe().await.unwrap();
    let kinds: BTreeMap<_, _> = description
        .schema
        .features
        .iter()
        .map(|f| (f.name.as_str(), f.kind()))
        .collect();
    assert_eq!(kinds["float_features[12]"], Kind::Dense);
    assert_eq!(kinds["id_list_features[112]"], Kind::IdList);
    assert_eq!(kinds["id_score_list_features[200]"], Kind::IdScoreList);
    assert_eq!(kinds.len(), 2 + 14 + 1, "{kinds:?}");
}

/// Text keys, and values that one reader gave for the flat table and we give for the map.
#[tokio::test]
async fn the_bandits_affinities() {
    let Some(path) = data("openbandit/openbandit_map.parquet") else {
        return;
    };
    let table = open(path.to_str().unwrap());
    let description = table.describe().await.unwrap();
    let file = &description.snapshot.files()[0];
    assert_eq!(file.row_group_rows, [20_000, 20_000]);
    let affinity = |feature: &&Feature| feature.name.starts_with("affinity_map[");
    let features = description.schema.features.iter().filter(affinity);
    let features: Arc<[Feature]> = features.cloned().collect();
    assert_eq!(features.len(), 46);
    let (mut values, mut total) = (0, 0.0);
    for rows in [0..20_000, 20_000..40_000] {
        let mut request = some(file, &features, rows, &[]);
        request.batch_rows = 8192;
        let (batches, io) = read_counted(&table, request).await.unwrap();
        assert!(io.requests <= 3, "one map column, read once: {io:?}");
        for column in batches.iter().flat_map(RecordBatch::columns) {
            let column = column.as_primitive::<Float32Type>();
            values += column.len() - column.null_count();
            total += column.iter().flatten().map(f64::from).sum::<f64>();
        }
    }
    assert_eq!((values, total), (2_105, 2_250.0));
}

fn maps_of_lists() -> ArrayRef {
    let mut maps = MapBuilder::new(
        None,
        StringBuilder::new(),
        ListBuilder::new(Int32Builder::new()),
    );
    maps.keys().append_value("liked");
    maps.values().append_value([Some(1), None, Some(2)]);
    maps.keys().append_value("a]b[c");
    maps.values().append_value([]);
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    maps.keys().append_value("liked");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.keys().append_value("seen");
    maps.values().append_value([Some(3)]);
    maps.append(true).unwrap();
    Arc::new(maps.finish())
}

#[tokio::test]
async fn lists_by_text_key_and_keys_nobody_saw() {
    let folder = Folder::new();
    folder.write_columns("part", vec![("lists", maps_of_lists())]);
    let table = folder.table();
    let wanted = [
        "lists[seen]",
        "lists[liked]",
        "lists[never]",
        "lists[a]b[c]",
        "other[x]",
        "lists[liked]",
    ];
    let wanted = wanted.map(|name| feature(name, Kind::IdList));
    let found: Vec<_> = columns(&table, &wanted)
        .await
        .iter()
        .map(id_lists)
        .collect();
    assert_eq!(found[0], [None, None, None, Some(vec![3])]);
    assert_eq!(found[1], [Some(vec![1, 2]), None, None, None]);
    assert_eq!(found[2], [None, None, None, None]);
    assert_eq!(found[3], [Some(vec![]), None, None, None]);
    assert_eq!(found[4], found[2]);
    assert_eq!(found[5], found[1]);
    let description = table.describe().await.unwrap();
    let names: Vec<_> = description
        .schema
        .features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(names, ["lists[a]b[c]", "lists[liked]", "lists[seen]"]);
}

#[tokio::test]
async fn a_map_is_also_one_feature_and_kinds_must_fit() {
    let folder = Folder::new();
    let mut maps = MapBuilder::new(None, Int32Builder::new(), Float32Builder::new());
    for (key, value) in [(7, 0.5), (8, 1.5)] {
        maps.keys().append_value(key);
        maps.values().append_value(value);
    }
    maps.append(true).unwrap();
    folder.write_columns("part", vec![("m", Arc::new(maps.finish()))]);
    let table = folder.table();
    let wanted = [
        feature("m[8]", Kind::Dense),
        feature("m", Kind::IdScoreList),
    ];
    let found = columns(&table, &wanted).await;
    assert_eq!(
        found[0].as_primitive::<Float32Type>().values().as_ref(),
        [1.5]
    );
    let pairs = found[1].as_list::<i32>().value(0);
    let ids = pairs
        .as_struct()
        .column(0)
        .as_primitive::<Int64Type>()
        .clone();
    assert_eq!(ids.values().as_ref(), [7, 8]);

    let file = table
        .describe()
        .await
        .unwrap()
        .snapshot
        .into_files()
        .remove(0);
    let wrong = whole(&file, &[feature("m[8]", Kind::IdList)]);
    let error = read_counted(&table, wrong).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid);
    assert!(error.to_string().contains("m[8] is dense"), "{error}");
}

/// Old files have maps, new ones columns: one name reads both.
#[tokio::test]
async fn tables_on_their_way_from_maps_to_columns() {
    let folder = Folder::new();
    let mut maps = MapBuilder::new(None, Int32Builder::new(), Float64Builder::new());
    maps.keys().append_value(1);
    maps.values().append_value(30.0);
    maps.append(true).unwrap();
    folder.write_columns("1", vec![("m", Arc::new(maps.finish()))]);
    let age: ArrayRef = Arc::new(Float32Array::from(vec![40.0]));
    folder.write_columns("2", vec![("age", age)]);
    let table = named(&folder.url(), &[("m", 1, "age"), ("m", 9, "level")]);
    let description = table.describe().await.unwrap();
    let names: Vec<_> = description
        .schema
        .features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(names, ["age", "level", "m"]);
    let mut ages = Vec::new();
    for file in description.snapshot.files() {
        let (batches, _) = read_counted(&table, whole(file, &[feature("age", Kind::Dense)]))
            .await
            .unwrap();
        ages.push(batches[0].column(0).as_primitive::<Float32Type>().value(0));
    }
    assert_eq!(ages, [30.0, 40.0]);

    let twice = [feature_name("m[1]", "x"), feature_name("m[1]", "y")];
    for wrong in [&[feature_name("age", "x")][..], &twice] {
        let mut source = source(&folder.url());
        source.feature_names = wrong.to_vec();
        let error = Table::open(&source).unwrap_err();
        assert_eq!(error.fault(), Fault::Invalid);
    }
}

#[tokio::test]
async fn maps_of_impala() {
    let Some(path) = data("parquet-testing/data/nullable.impala.parquet") else {
        return;
    };
    let table = open(path.to_str().unwrap());
    let found = column(&table, feature("int_map[k1]", Kind::Int)).await;
    let found: Vec<_> = found.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(found[..3], [Some(1), Some(2), None]);
}
