//! Lists as older writers nested them: Hive, two-level, Thrift, plain repeated fields.

use std::fs::File;
use std::sync::Arc;

use crate::support::{Folder, column, feature, id_lists};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Int64Type};
use dpp_proto::v1::Kind;
use parquet::data_type::{FloatType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// Writes one row group of a hand-made schema, leaf by leaf.
fn write(
    folder: &Folder,
    schema: &str,
    write: &mut [&mut dyn FnMut(&mut SerializedColumnWriter<'_>)],
) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(folder.path("part")).unwrap();
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for write in write {
        let mut column = group.next_column().unwrap().unwrap();
        write(&mut column);
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

async fn check_ids(
    schema: &str,
    values: &[i32],
    definition: &[i16],
    repetition: &[i16],
    expected: &[Option<&[i64]>],
) {
    let folder = Folder::new();
    write(
        &folder,
        schema,
        &mut [&mut |column| {
            let levels = (Some(definition), Some(repetition));
            column
                .typed::<Int32Type>()
                .write_batch(values, levels.0, levels.1)
                .unwrap();
        }],
    );
    let found = id_lists(&column(&folder.table(), feature("ids", Kind::IdList)).await);
    let expected: Vec<_> = expected
        .iter()
        .map(|ids| ids.map(<[i64]>::to_vec))
        .collect();
    assert_eq!(found, expected, "{schema}");
}

#[tokio::test]
async fn hive_lists() {
    let schema = "message hive { optional group ids (LIST) { repeated group bag { optional int32 array_element; } } }";
    let expected: &[Option<&[i64]>] = &[Some(&[1, 2]), Some(&[]), None, Some(&[3])];
    // the last list holds a null before its 3
    check_ids(
        schema,
        &[1, 2, 3],
        &[3, 3, 1, 0, 2, 3],
        &[0, 1, 0, 0, 0, 1],
        expected,
    )
    .await;
}

#[tokio::test]
async fn two_level_lists() {
    let expected: &[Option<&[i64]>] = &[Some(&[1, 2]), Some(&[]), None, Some(&[3])];
    for item in ["array", "element", "ids_tuple"] {
        let schema =
            format!("message avro {{ optional group ids (LIST) {{ repeated int32 {item}; }} }}");
        check_ids(
            &schema,
            &[1, 2, 3],
            &[2, 2, 1, 0, 2],
            &[0, 1, 0, 0, 0],
            expected,
        )
        .await;
    }
}

#[tokio::test]
async fn repeated_fields_without_annotation() {
    let expected: &[Option<&[i64]>] = &[Some(&[1, 2]), Some(&[]), Some(&[3])];
    check_ids(
        "message plain { repeated int32 ids; }",
        &[1, 2, 3],
        &[1, 1, 0, 1],
        &[0, 1, 0, 0],
        expected,
    )
    .await;
}

#[tokio::test]
async fn thrift_lists_of_pairs() {
    let schema = "message thrift { optional group scored (LIST) { repeated group scored_tuple {
        required int32 id; required float score; } } }";
    let (definition, repetition) = ([2, 2, 1, 0, 2], [0, 1, 0, 0, 0]);
    let folder = Folder::new();
    write(
        &folder,
        schema,
        &mut [
            &mut |column| {
                let ids = column.typed::<Int32Type>();
                ids.write_batch(&[1, 2, 3], Some(&definition), Some(&repetition))
                    .unwrap();
            },
            &mut |column| {
                let scores = column.typed::<FloatType>();
                scores
                    .write_batch(&[0.5, 1.5, 2.5], Some(&definition), Some(&repetition))
                    .unwrap();
            },
        ],
    );
    let found = column(&folder.table(), feature("scored", Kind::IdScoreList)).await;
    let lists = found.as_list::<i32>();
    assert_eq!(lists.offsets().as_ref(), [0, 2, 2, 2, 3]);
    assert!(lists.is_null(2) && lists.null_count() == 1);
    let pairs = lists.values().as_struct();
    assert_eq!(
        pairs
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .as_ref(),
        [1, 2, 3]
    );
    assert_eq!(
        pairs
            .column(1)
            .as_primitive::<Float32Type>()
            .values()
            .as_ref(),
        [0.5, 1.5, 2.5]
    );
}
