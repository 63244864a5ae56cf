//! Encrypted files: of the conformance corpus, and written here by the Parquet crate.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Folder, columns, data, feature, id_lists, read, whole};
use arrow::array::*;
use arrow::datatypes::{Float32Type, Int64Type};
use async_trait::async_trait;
use dpp_proto::fault::message_with_causes;
use dpp_proto::v1::{Kind, TableSource};
use dpp_proto::{Fault, Faulty};
use dpp_table::{Error, KeyError, KeyProvider, KeyRing, SecretKey, Table, TableOptions, WantedKey};
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::{EncryptionPropertiesBuilder, FileEncryptionProperties};
use parquet::file::properties::WriterProperties;

fn key(bytes: &[u8]) -> SecretKey {
    SecretKey::new(bytes).unwrap()
}

/// The conformance corpus's keys of 128 bits.
pub(crate) fn ring() -> KeyRing {
    KeyRing::new()
        .with_key("kf", key(b"0123456789012345"))
        .with_key("kc1", key(b"1234567890123450"))
        .with_key("kc2", key(b"1234567890123451"))
}

pub(crate) fn opened(url: &str, keys: impl KeyProvider + 'static) -> Table {
    let mut options = TableOptions::default();
    options.keys = Some(Arc::new(keys));
    let source = TableSource {
        url: url.to_owned(),
        ..TableSource::default()
    };
    Table::open_with(&source, options).unwrap()
}

fn corpus(name: &str) -> Option<String> {
    let path = data(&format!("parquet-testing/data/{name}.parquet.encrypted"))?;
    Some(path.to_str().unwrap().to_owned())
}

/// The corpus's 50 rows, by the formulas its README gives.
async fn check_corpus(table: &Table, int32: bool) {
    let mut wanted = vec![
        feature("double_field", Kind::Dense),
        feature("float_field", Kind::Dense),
        feature("boolean_field", Kind::Dense),
        feature("int64_field", Kind::IdList),
    ];
    if int32 {
        wanted.push(feature("int32_field", Kind::Int));
    }
    let found = columns(table, &wanted).await;
    assert_eq!(found[0].len(), 50);
    let float = |column: &ArrayRef, row| column.as_primitive::<Float32Type>().value(row);
    let lists = id_lists(&found[3]);
    for row in 0..50_u8 {
        let at = usize::from(row);
        assert_eq!(float(&found[0], at), (f64::from(row) * 1.111_111_1) as f32);
        assert_eq!(float(&found[1], at), f32::from(row) * 1.1);
        assert_eq!(float(&found[2], at), f32::from(row % 2 == 0));
        let list = [0, 1].map(|item| (2 * i64::from(row) + item) * 1_000_000_000_000);
        assert_eq!(lists[at].as_deref(), Some(&list[..]));
        if int32 {
            assert_eq!(
                found[4].as_primitive::<Int64Type>().value(at),
                i64::from(row)
            );
        }
    }
}

/// What reading everything, or describing before, fails with.
async fn failure(table: &Table, name: &str) -> Error {
    let description = match table.describe().await {
        Ok(description) => description,
        Err(error) => return error,
    };
    let file = &description.snapshot.files()[0];
    let features = description.schema.features;
    let feature = features.into_iter().find(|feature| feature.name == name);
    read(table, whole(file, &[feature.unwrap()]))
        .await
        .unwrap_err()
}

#[track_caller]
pub(crate) fn check(error: &Error, fault: Fault, says: &[&str]) {
    let text = message_with_causes(error);
    assert_eq!(error.fault(), fault, "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    for secret in ["0123456789012345", "1234567890123450", "1234567890123451"] {
        assert!(!format!("{text} {error:?}").contains(secret));
    }
}

#[tokio::test]
async fn the_corpus_with_128_bits() {
    for name in [
        "uniform_encryption",
        "encrypt_columns_and_footer",
        "encrypt_columns_and_footer_aad",
        "encrypt_columns_plaintext_footer",
    ] {
        let Some(path) = corpus(name) else { return };
        check_corpus(&opened(&path, ring()), true).await;
    }
    let Some(path) = corpus("encrypt_columns_and_footer_disable_aad_storage") else {
        return;
    };
    check_corpus(&opened(&path, ring().with_aad_prefix("tester")), true).await;
}

#[tokio::test]
async fn the_corpus_with_256_bits() {
    let names = [
        "double_field",
        "float_field",
        "boolean_field",
        "int32_field",
        "ba_field",
        "flba_field",
        "int64_field.list.element",
        "int96_field",
    ];
    let mut ring = KeyRing::new().with_key("kf", key(b"01234567890123456789012345678901"));
    for (column, name) in (2..).zip(names) {
        let bytes = format!("1234567890123456789012345678901{column}");
        ring = ring
            .with_key(name, key(bytes.as_bytes()))
            .with_column(name, name);
    }
    ring = ring.with_footer("kf");
    for name in [
        "uniform_encryption",
        "encrypt_columns_and_footer",
        "encrypt_columns_plaintext_footer",
    ] {
        let Some(path) = corpus(&format!("aes256/{name}")) else {
            return;
        };
        check_corpus(&opened(&path, ring.clone()), true).await;
    }
    let Some(path) = corpus("aes256/encrypt_columns_and_footer_disable_aad_storage") else {
        return;
    };
    check_corpus(&opened(&path, ring.with_aad_prefix("tester")), true).await;
}

/// Its pages have checksums, taken of the encrypted bytes.
#[tokio::test]
async fn encrypted_pages_with_checksums() {
    let Some(path) = corpus("encrypt_columns_and_footer_bloom_filter") else {
        return;
    };
    let table = opened(&path, ring());
    let features = table.describe().await.unwrap().schema.features;
    let found = columns(&table, &features).await;
    assert!(features.len() > 3 && found.iter().all(|column| column.len() == 2000));
}

/// Written by parquet-java, with keys wrapped twice in a file beside.
#[tokio::test]
async fn external_key_material_of_another_writer() {
    let Some(path) = corpus("external_key_material_java") else {
        return;
    };
    let table = opened(&path, ring());
    let description = table.describe().await.unwrap();
    let features = description.schema.features;
    assert!(!features.is_empty());
    let found = columns(&table, &features).await;
    assert!(!found[0].is_empty());
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_said() {
    let Some(path) = corpus("encrypt_columns_and_footer") else {
        return;
    };
    let bare = crate::support::open(&path);
    check(
        &failure(&bare, "float_field").await,
        Fault::Denied,
        &["encrypted (footer)", "no keys"],
    );
    let none = opened(&path, KeyRing::new());
    check(
        &failure(&none, "float_field").await,
        Fault::Denied,
        &["no key for footer", "\"kf\""],
    );
    let wrong = KeyRing::new().with_key("kf", key(b"5432109876543210"));
    check(
        &failure(&opened(&path, wrong), "float_field").await,
        Fault::Denied,
        &["key for footer", "is wrong"],
    );

    let footer = KeyRing::new().with_key("kf", key(b"0123456789012345"));
    let table = opened(&path, footer.clone());
    check(
        &failure(&table, "float_field").await,
        Fault::Denied,
        &["no key for column float_field", "kc2"],
    );
    let plain = columns(&table, &[feature("int32_field", Kind::Int)]).await;
    assert_eq!(plain[0].len(), 50, "a plain column needs no column key");
    let wrong = footer.with_key("kc2", key(b"5432109876543210"));
    check(
        &failure(&opened(&path, wrong), "float_field").await,
        Fault::Denied,
        &["key for column float_field", "is wrong"],
    );

    let swapped = opened(&path, ring().with_aad_prefix("another table"));
    check(
        &failure(&swapped, "float_field").await,
        Fault::Denied,
        &["key is right", "swapped"],
    );
    let Some(path) = corpus("encrypt_columns_and_footer_disable_aad_storage") else {
        return;
    };
    check(
        &failure(&opened(&path, ring()), "float_field").await,
        Fault::Denied,
        &["AAD prefix that it does not store"],
    );
    for name in [
        "encrypt_columns_and_footer_ctr",
        "aes256/encrypt_columns_and_footer_ctr",
    ] {
        let Some(path) = corpus(name) else { return };
        check(
            &failure(&opened(&path, ring()), "float_field").await,
            Fault::Invalid,
            &["AES_GCM_CTR_V1"],
        );
    }
}

#[tokio::test]
async fn plaintext_footers_hide_only_what_is_encrypted() {
    let Some(path) = corpus("encrypt_columns_plaintext_footer") else {
        return;
    };
    let bare = crate::support::open(&path);
    let plain = columns(&bare, &[feature("int32_field", Kind::Int)]).await;
    assert_eq!(plain[0].len(), 50);
    check(
        &failure(&bare, "float_field").await,
        Fault::Denied,
        &["encrypted (column float_field)", "no keys"],
    );
    let wrong = ring();
    let wrong = KeyRing::new()
        .with_key("kf", key(b"5432109876543210"))
        .with_key(
            "kc2",
            wrong
                .find_key(WantedKey {
                    metadata: Some(b"kc2"),
                    column: None,
                })
                .await
                .unwrap(),
        );
    check(
        &failure(&opened(&path, wrong), "float_field").await,
        Fault::Denied,
        &["signature"],
    );
}

/// A provider that counts what it is asked, and may be down.
#[derive(Debug)]
struct Service {
    ring: KeyRing,
    asked: AtomicUsize,
    down: Option<&'static str>,
}

#[async_trait]
impl KeyProvider for Service {
    async fn unwrap_key(&self, master_key_id: &str, wrapped: &str) -> Result<SecretKey, KeyError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.down {
            Some(down) if down == master_key_id => Err(KeyError::Unavailable {
                key: master_key_id.to_owned(),
                source: "connection refused".into(),
            }),
            _ => self.ring.unwrap_key(master_key_id, wrapped).await,
        }
    }
}

fn service(ring: &KeyRing, down: Option<&'static str>) -> Arc<Service> {
    Arc::new(Service {
        ring: ring.clone(),
        asked: AtomicUsize::new(0),
        down,
    })
}

fn opened_by(folder: &Folder, service: &Arc<Service>) -> Table {
    let mut options = TableOptions::default();
    options.keys = Some(Arc::clone(service) as _);
    let source = TableSource {
        url: folder.url(),
        ..TableSource::default()
    };
    Table::open_with(&source, options).unwrap()
}

const COLUMNS: usize = 6;

fn column_name(index: usize) -> String {
    format!("column_{index}")
}

/// Key material as other writers store it, wrapped once or twice.
async fn material(ring: &KeyRing, master: &str, data_key: &SecretKey, double: bool) -> Vec<u8> {
    let wrapped = ring.wrap_key(master, data_key).await.unwrap();
    let json = match double {
        false => serde_json::json!({
            "keyMaterialType": "PKMT1", "internalStorage": true, "isFooterKey": false, "masterKeyID": master,
            "wrappedDEK": wrapped, "doubleWrapping": false,
        }),
        true => {
            // the ring wraps with a key's name as AAD: a name that is its own base64-decoded id
            let kek = key(b"kek kek kek kek ");
            let inner = KeyRing::new().with_key("AAAA", kek.clone());
            serde_json::json!({
                "keyMaterialType": "PKMT1", "internalStorage": true, "isFooterKey": false, "masterKeyID": master,
                "wrappedDEK": inner.wrap_key("AAAA", data_key).await.unwrap(), "doubleWrapping": true,
                "keyEncryptionKeyID": "QUFBQQ==", "wrappedKEK": ring.wrap_key(master, &kek).await.unwrap(),
            })
        }
    };
    serde_json::to_vec(&json).unwrap()
}

/// Writes two row groups of nullable floats and lists, each column under a key of its own.
fn write(
    folder: &Folder,
    file: &str,
    build: impl FnOnce(EncryptionPropertiesBuilder) -> EncryptionPropertiesBuilder,
    footer: (&SecretKey, Vec<u8>),
) {
    let names: Vec<String> = (0..COLUMNS).map(column_name).collect();
    let column = |index: usize| -> ArrayRef {
        match index % 2 {
            0 => Arc::new(Float32Array::from_iter(
                (0..2000).map(|row| (row % 7 > 0).then_some((row + index) as f32)),
            )),
            _ => {
                let lists = (0..2000).map(|row| {
                    Some(
                        (0..row % 4)
                            .map(|item| Some(i64::try_from(row * index + item).unwrap()))
                            .collect::<Vec<_>>(),
                    )
                });
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
            }
        }
    };
    let batch = RecordBatch::try_from_iter_with_nullable(
        (0..COLUMNS).map(|index| (&names[index], column(index), true)),
    )
    .unwrap();
    let builder = FileEncryptionProperties::builder(footer.0.bytes().to_vec())
        .with_footer_key_metadata(footer.1);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .with_file_encryption_properties(build(builder).build().unwrap())
        .build();
    let writer = File::create(folder.path(file)).unwrap();
    let mut writer = ArrowWriter::try_new(writer, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Where the writer puts a column's leaf.
fn leaf(index: usize) -> String {
    match index % 2 {
        0 => column_name(index),
        _ => format!("{}.list.item", column_name(index)),
    }
}

async fn wrapped_table(double: bool, plaintext_footer: bool) -> (Folder, KeyRing) {
    let folder = Folder::new();
    let mut ring = KeyRing::new().with_key("footer", key(&[100; 16]));
    for index in 0..COLUMNS {
        ring = ring.with_key(&format!("master {index}"), key(&[index as u8; 16]));
    }
    for file in ["1", "2"] {
        let footer = key(&[50; 16]);
        let mut materials = Vec::new();
        for index in 0..COLUMNS {
            let data_key = key(&[60 + index as u8; 16]);
            let material = material(&ring, &format!("master {index}"), &data_key, double).await;
            materials.push((leaf(index), data_key, material));
        }
        let columns = |mut builder: EncryptionPropertiesBuilder| {
            for (leaf, data_key, material) in materials {
                let data_key = data_key.bytes().to_vec();
                builder = builder.with_column_key_and_metadata(&leaf, data_key, material);
            }
            builder
                .with_plaintext_footer(plaintext_footer)
                .with_aad_prefix(b"shop".to_vec())
                .with_aad_prefix_storage(true)
        };
        let footer_material = material(&ring, "footer", &footer, double).await;
        write(&folder, file, columns, (&footer, footer_material));
    }
    (folder, ring)
}

#[tokio::test]
async fn wrapped_keys_are_asked_for_by_projection() {
    for (double, plaintext) in [(false, false), (true, false), (false, true), (true, true)] {
        let (folder, ring) = wrapped_table(double, plaintext).await;
        let service = service(&ring, None);
        let asked = || service.asked.load(Ordering::Relaxed);
        let table = opened_by(&folder, &service);
        let description = table.describe().await.unwrap();
        assert_eq!(description.schema.features.len(), COLUMNS);
        // one footer key per file; plaintext footers need none yet
        assert_eq!(asked(), if plaintext { 0 } else { 2 });
        let wanted = [
            feature("column_2", Kind::Dense),
            feature("column_3", Kind::IdList),
        ];
        for file in description.snapshot.files() {
            for rows in [0..1000, 1000..2000] {
                let mut request = whole(file, &wanted);
                request.rows = rows.clone();
                let batches = read(&table, request).await.unwrap();
                let floats = batches[0].column(0).as_primitive::<Float32Type>();
                let row = rows.start as usize + 4;
                assert_eq!(floats.value(4), (row + 2) as f32);
                assert_eq!(
                    floats.null_count(),
                    (rows.start..rows.end).filter(|row| row % 7 == 0).count()
                );
                let lists = id_lists(batches[0].column(1));
                assert_eq!(lists[3].as_ref().unwrap().len(), 3);
            }
        }
        assert_eq!(asked(), 2 + 2 * 2, "double {double}, plaintext {plaintext}");
        // a second table of columns: one more key, nothing again
        let file = &description.snapshot.files()[0];
        read(
            &table,
            whole(
                file,
                &[
                    feature("column_4", Kind::Dense),
                    feature("column_2", Kind::Dense),
                ],
            ),
        )
        .await
        .unwrap();
        assert_eq!(asked(), 7);
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_no_missing_right() {
    let (folder, ring) = wrapped_table(true, false).await;
    let table = opened_by(&folder, &service(&ring, Some("master 2")));
    let error = failure(&table, "column_2").await;
    check(
        &error,
        Fault::Unavailable,
        &["no key for column column_2", "connection refused"],
    );
    let found = columns(&table, &[feature("column_0", Kind::Dense)]).await;
    assert_eq!(found[0].len(), 1000);
    let table = opened_by(&folder, &service(&ring, Some("footer")));
    check(
        &failure(&table, "column_0").await,
        Fault::Unavailable,
        &["footer"],
    );
}

#[tokio::test]
async fn altered_and_exchanged_bytes_are_noticed() {
    let (folder, ring) = wrapped_table(false, false).await;
    let table = opened(&folder.url(), ring.clone());
    let file = table
        .describe()
        .await
        .unwrap()
        .snapshot
        .into_files()
        .remove(0);
    let path = folder.path("1");
    let original = fs::read(&path).unwrap();
    // the same place of another file: same keys, same layout, another file's identity
    let other = fs::read(folder.path("2")).unwrap();
    let wanted = [feature("column_0", Kind::Dense)];
    for exchanged in [false, true] {
        let mut bytes = original.clone();
        match exchanged {
            true => bytes[4..500].copy_from_slice(&other[4..500]),
            false => bytes[300] ^= 1,
        }
        fs::write(&path, &bytes).unwrap();
        let table = opened(&folder.url(), ring.clone());
        let error = read(&table, whole(&file, &wanted)).await.unwrap_err();
        check(
            &error,
            Fault::Corrupt,
            &["/1 ", "altered, or belongs to another"],
        );
    }
    fs::write(&path, &original).unwrap();
    read(&opened(&folder.url(), ring), whole(&file, &wanted))
        .await
        .unwrap();
}

#[tokio::test]
async fn encrypted_maps_show_their_keys_to_those_who_may_read_them() {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Float32Builder::new());
    for (name, value) in [("age", 30.0), ("level", 2.0)] {
        maps.keys().append_value(name);
        maps.values().append_value(value);
    }
    maps.append(true).unwrap();
    let maps: ArrayRef = Arc::new(maps.finish());
    let plain: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let batch = RecordBatch::try_from_iter([("m", maps), ("plain", plain)]).unwrap();
    let folder = Folder::new();
    let builder = FileEncryptionProperties::builder(b"0123456789012345".to_vec());
    let builder = builder.with_footer_key_metadata(b"kf".to_vec());
    let builder =
        ["m.entries.key", "m.entries.value"]
            .into_iter()
            .fold(builder, |builder, leaf| {
                builder.with_column_key_and_metadata(
                    leaf,
                    b"1234567890123450".to_vec(),
                    b"kc1".to_vec(),
                )
            });
    let properties =
        WriterProperties::builder().with_file_encryption_properties(builder.build().unwrap());
    folder.write("part", &batch, properties.build());
    let names = async |keys: KeyRing| {
        let description = opened(&folder.url(), keys).describe().await.unwrap();
        let features = description.schema.features.into_iter();
        features.map(|feature| feature.name).collect::<Vec<_>>()
    };
    assert_eq!(names(ring()).await, ["m[age]", "m[level]", "plain"]);
    let footer_only = KeyRing::new().with_key("kf", key(b"0123456789012345"));
    assert_eq!(names(footer_only).await, ["plain"]);
    let found = columns(
        &opened(&folder.url(), ring()),
        &[feature("m[level]", Kind::Dense)],
    )
    .await;
    assert_eq!(found[0].as_primitive::<Float32Type>().value(0), 2.0);
}
