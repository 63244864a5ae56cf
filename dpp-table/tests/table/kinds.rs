//! Files of other writers, from the folder that DPP_TEST_DATA names, against values that another reader gave.

use std::sync::Arc;

use crate::support::{Folder, column, columns, data, feature, id_lists, open};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Time64MicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Float32Type, Int64Type};
use dpp_proto::v1::Kind;
use dpp_table::{Table, text_id};

fn table(relative: &str) -> Option<Table> {
    data(relative).map(|path| open(path.to_str().unwrap()))
}

fn conformance(name: &str) -> Option<Table> {
    table(&format!("parquet-testing/data/{name}.parquet"))
}

fn floats(array: &ArrayRef) -> Vec<Option<f32>> {
    array.as_primitive::<Float32Type>().iter().collect()
}

fn ints(array: &ArrayRef) -> Vec<Option<i64>> {
    array.as_primitive::<Int64Type>().iter().collect()
}

fn sum(array: &ArrayRef) -> f64 {
    floats(array).into_iter().flatten().map(f64::from).sum()
}

#[tokio::test]
async fn decimals_of_every_storage_are_dense() {
    for (name, rows) in [
        ("byte_array_decimal", 24),
        ("fixed_length_decimal", 24),
        ("fixed_length_decimal_legacy", 24),
        ("int32_decimal", 24),
        ("int64_decimal", 24),
    ] {
        let Some(table) = conformance(name) else {
            return;
        };
        let found = floats(&column(&table, feature("value", Kind::Dense)).await);
        let expected: Vec<_> = (1..=rows).map(|value| Some(value as f32)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn booleans_and_half_floats_are_dense() {
    let Some(table) = conformance("rle_boolean_encoding") else {
        return;
    };
    let found = floats(&column(&table, feature("datatype_boolean", Kind::Dense)).await);
    assert_eq!(found[..4], [Some(1.0), Some(0.0), None, Some(1.0)]);
    let Some(table) = conformance("float16_nonzeros_and_nans") else {
        return;
    };
    let found = floats(&column(&table, feature("x", Kind::Dense)).await);
    assert_eq!(found[..3], [None, Some(1.0), Some(-2.0)]);
}

/// Years that nanoseconds can't hold are kept.
#[tokio::test]
async fn int96_is_microseconds() {
    let Some(table) = conformance("int96_from_spark") else {
        return;
    };
    let found = ints(&column(&table, feature("a", Kind::Int)).await);
    let expected = [
        Some(1_704_141_296_123_456),
        Some(1_704_070_800_000_000),
        Some(253_402_225_200_000_000),
        Some(1_735_599_600_000_000),
        None,
        Some(9_089_380_393_200_000_000),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_wide_table_of_spark() {
    let Some(table) = table("wide/fengdian.parquet") else {
        return;
    };
    let wanted = [
        feature("eventTime", Kind::Int),
        feature("col_3", Kind::Dense),
        feature("cft_col_332", Kind::Dense),
    ];
    let found = columns(&table, &wanted).await;
    let times = found[0].as_primitive::<Int64Type>();
    assert_eq!(
        times.values()[..2],
        [1_483_257_600_000_000, 1_483_260_000_000_000]
    );
    assert_eq!(
        times.values().iter().sum::<i64>(),
        1_489_821_041_400_000_000
    );
    assert!((sum(&found[1]) - -2.129_999_952_390_79).abs() < 1e-9);
    assert_eq!(found[1].null_count(), 2);
    assert!((sum(&found[2]) - -325.659_988_403_320_3).abs() < 1e-9);

    let description = table.describe().await.unwrap();
    let of = |kind| move |feature: &&dpp_proto::v1::Feature| feature.kind() == kind;
    let features = description.schema.features;
    let dense: Vec<_> = features.iter().filter(of(Kind::Dense)).cloned().collect();
    assert_eq!(dense.len(), 212);
    let found = columns(&table, &dense).await;
    assert_eq!(
        found
            .iter()
            .map(|column| column.null_count())
            .sum::<usize>(),
        4_400
    );
    let text: Vec<_> = features.iter().filter(of(Kind::Text)).cloned().collect();
    assert_eq!(text.len(), 621);
    let found = columns(&table, &text).await;
    let bytes = |column: &ArrayRef| column.as_string::<i64>().value_data().len();
    assert_eq!(found.iter().map(bytes).sum::<usize>(), 1_868_475);
}

#[tokio::test]
async fn doubles_of_the_bandit_are_dense() {
    let Some(table) = table("openbandit/openbandit_flat.parquet") else {
        return;
    };
    let description = table.describe().await.unwrap();
    let count = |kind| {
        let features = description.schema.features.iter();
        features.filter(|feature| feature.kind() == kind).count()
    };
    assert_eq!(
        (count(Kind::Dense), count(Kind::Int), count(Kind::Text)),
        (47, 3, 7)
    );
    let found = column(&table, feature("user_feature_0", Kind::Text)).await;
    assert_eq!(found.as_string::<i64>().value_data().len(), 640_000);
}

#[tokio::test]
async fn old_lists_of_other_writers() {
    let Some(table) = conformance("repeated_primitive_no_list") else {
        return;
    };
    let wanted = [
        feature("Int32_list", Kind::IdList),
        feature("String_list", Kind::IdList),
    ];
    let found = columns(&table, &wanted).await;
    let expected = [vec![0, 1, 2, 3], vec![], vec![4], vec![5, 6, 7, 8]];
    assert_eq!(id_lists(&found[0]), expected.map(Some));
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| text_id(text)).collect::<Vec<_>>());
    let expected = [
        texts(&["foo", "zero", "one", "two"]),
        texts(&["three"]),
        texts(&["four"]),
        texts(&["five", "six", "seven", "eight"]),
    ];
    assert_eq!(id_lists(&found[1]), expected);

    let Some(table) = conformance("list_columns") else {
        return;
    };
    let wanted = [
        feature("int64_list", Kind::IdList),
        feature("utf8_list", Kind::IdList),
    ];
    let found = columns(&table, &wanted).await;
    assert_eq!(
        id_lists(&found[0]),
        [vec![1, 2, 3], vec![1], vec![4]].map(Some)
    );
    let expected = [
        texts(&["abc", "efg", "hij"]),
        None,
        texts(&["efg", "hij", "xyz"]),
    ];
    assert_eq!(id_lists(&found[1]), expected);

    let Some(table) = conformance("nullable.impala") else {
        return;
    };
    let found = id_lists(&column(&table, feature("int_array", Kind::IdList)).await);
    let expected = [
        Some(vec![1, 2, 3]),
        Some(vec![1, 2, 3]),
        Some(vec![]),
        None,
        None,
        None,
        None,
    ];
    assert_eq!(found, expected);
    let Some(table) = conformance("nonnullable.impala") else {
        return;
    };
    let found = id_lists(&column(&table, feature("Int_Array", Kind::IdList)).await);
    assert_eq!(found, [Some(vec![-1])]);
}

#[tokio::test]
async fn times_keep_their_unit() {
    let folder = Folder::new();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![7]))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![-7]))),
        ("day", Arc::new(Date32Array::from(vec![16_832]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![5]))),
        ("flag", Arc::new(BooleanArray::from(vec![true]))),
    ];
    folder.write_columns("part", columns);
    let wanted = ["ns", "ms", "day", "time"].map(|name| feature(name, Kind::Int));
    let found = crate::support::columns(&folder.table(), &wanted).await;
    assert_eq!(
        found.iter().flat_map(ints).collect::<Vec<_>>(),
        [Some(7), Some(-7), Some(16_832), Some(5)]
    );
}
