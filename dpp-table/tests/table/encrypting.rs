//! Files that an encryption plan locks, read again with its keys. What other readers make of them, Python's tests ask.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::*;
use arrow::datatypes::{Float32Type, Int32Type};
use async_trait::async_trait;
use dpp_proto::fault::message_with_causes;
use dpp_proto::v1::{Kind, TableSource};
use dpp_proto::{Fault, Faulty};
use dpp_table::{
    EncryptionPlan, EncryptionSettings, Error, KeyError, KeyProvider, KeyRing, PieceRequest,
    SecretKey, Table, TableOptions, key_material_name,
};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::file::properties::WriterProperties;

use crate::support::{Folder, columns, feature, id_lists};

/// Master keys that count how often they are asked.
#[derive(Debug)]
struct Counting {
    ring: KeyRing,
    wrapped: AtomicUsize,
}

#[async_trait]
impl KeyProvider for Counting {
    async fn unwrap_key(&self, master: &str, wrapped: &str) -> Result<SecretKey, KeyError> {
        self.ring.unwrap_key(master, wrapped).await
    }

    async fn wrap_key(&self, master: &str, key: &SecretKey) -> Result<String, KeyError> {
        self.wrapped.fetch_add(1, Ordering::Relaxed);
        self.ring.wrap_key(master, key).await
    }
}

fn masters() -> Arc<Counting> {
    let key = |byte| SecretKey::new([byte; 32]).unwrap();
    let ring = KeyRing::new().with_key("kf", key(1)).with_key("kc", key(2));
    Arc::new(Counting {
        ring,
        wrapped: AtomicUsize::new(0),
    })
}

fn rows() -> RecordBatch {
    let price: ArrayRef = Arc::new(Float32Array::from_iter((0..500).map(|row| row as f32)));
    let plain: ArrayRef = Arc::new(Int32Array::from_iter_values(0..500));
    let lists = (0..500).map(|row| Some((0..row % 3).map(Some).collect::<Vec<_>>()));
    let ids: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
    RecordBatch::try_from_iter([("price", price), ("plain", plain), ("ids", ids)]).unwrap()
}

async fn write(folder: &Folder, file: &str, plan: &EncryptionPlan) -> Result<(), Error> {
    let rows = rows();
    let schema = ArrowSchemaConverter::new().convert(&rows.schema()).unwrap();
    let encryption = plan.for_file(file, &schema).await?;
    if let Some(material) = encryption.key_material {
        std::fs::write(folder.path(&key_material_name(file)), material).unwrap();
    }
    let properties =
        WriterProperties::builder().with_file_encryption_properties(encryption.properties);
    let properties = Some(properties.build());
    let out = File::create(folder.path(file)).unwrap();
    let mut writer = ArrowWriter::try_new(out, rows.schema(), properties).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    Ok(())
}

fn opened(folder: &Folder, keys: Option<Arc<dyn KeyProvider>>) -> Table {
    let mut options = TableOptions::default();
    options.keys = keys;
    let source = TableSource {
        url: folder.url(),
        ..TableSource::default()
    };
    Table::open_with(&source, options).unwrap()
}

async fn check_rows(table: &Table) {
    let wanted = [
        feature("price", Kind::Dense),
        feature("ids", Kind::IdList),
        feature("plain", Kind::Int),
    ];
    let found = columns(table, &wanted).await;
    assert_eq!(found[0].as_primitive::<Float32Type>().value(499), 499.0);
    assert_eq!(id_lists(&found[1])[5], Some(vec![0, 1]));
    assert_eq!(found[2].len(), 500);
}

#[tokio::test]
async fn every_style_opens_with_its_keys() {
    for bits in 0..32 {
        let flag = |bit: u8| bits & (1 << bit) != 0;
        let mut settings = EncryptionSettings::uniform("kf");
        if flag(0) {
            settings = settings
                .with_column("price", "kc")
                .with_column("ids.list.element", "kc");
        }
        settings.style.plaintext_footer = flag(1);
        settings.style.double_wrapping = flag(2);
        settings.style.internal_key_material = flag(3);
        if flag(4) {
            settings.style.data_key_bits = 256.try_into().unwrap();
        }
        settings.aad_prefix = Some(b"shop".to_vec());
        let (folder, masters) = (Folder::new(), masters());
        let plan = EncryptionPlan::new(settings.clone(), Arc::clone(&masters) as _);
        for file in ["1", "2"] {
            write(&folder, file, &plan).await.unwrap();
        }
        let wrapped = masters.wrapped.load(Ordering::Relaxed);
        let expected = match (flag(0), flag(2)) {
            (true, true) => 2,  // a key-encryption key a master key
            (false, true) => 1, // only the footer's
            (true, false) => 2 * 3,
            (false, false) => 2,
        };
        assert_eq!(wrapped, expected, "{settings:?}");
        check_rows(&opened(&folder, Some(masters))).await;
        assert_ne!(
            std::fs::read(folder.path("1")).unwrap(),
            std::fs::read(folder.path("2")).unwrap(),
            "every file has keys of its own"
        );

        let bare = opened(&folder, None);
        let wanted = feature("price", Kind::Dense);
        let refused = match bare.describe().await {
            Err(error) => error,
            Ok(description) => {
                let file = &description.snapshot.files()[0];
                let request = crate::support::whole(file, &[wanted]);
                crate::support::read(&bare, request).await.unwrap_err()
            }
        };
        assert!(matches!(refused, Error::Encrypted { .. }), "{refused}");
    }
}

#[tokio::test]
async fn what_is_not_named_stays_readable_beside_a_plaintext_footer() {
    let mut settings = EncryptionSettings::uniform("kf").with_column("price", "kc");
    settings.style.plaintext_footer = true;
    let folder = Folder::new();
    let plan = EncryptionPlan::new(settings, masters());
    write(&folder, "1", &plan).await.unwrap();
    let bare = opened(&folder, None);
    let found = columns(&bare, &[feature("plain", Kind::Int)]).await;
    assert_eq!(found[0].len(), 500);
}

#[tokio::test]
async fn a_slip_of_the_pen_leaves_nothing_readable() {
    let folder = Folder::new();
    let settings = EncryptionSettings::uniform("kf").with_column("prise", "kc");
    let error = write(&folder, "1", &EncryptionPlan::new(settings, masters()))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid);
    assert!(error.to_string().contains("no column prise"), "{error}");

    let settings = EncryptionSettings::uniform("kf").with_column("price", "kx");
    let error = write(&folder, "1", &EncryptionPlan::new(settings, masters()))
        .await
        .unwrap_err();
    let text = message_with_causes(&error);
    assert!(
        text.contains("column price") && text.contains("\"kx\""),
        "{text}"
    );
}

/// Row groups large enough that their page indexes are asked for; the index is encrypted as the pages are.
#[tokio::test]
async fn a_piece_of_a_large_encrypted_row_group_reads_its_own_pages() {
    const ROWS: u64 = 400_000;
    let values = |column: u64| {
        let noise = move |row: u64| (row * 2_654_435_761 + column) % 1_000_003;
        (0..2 * ROWS).map(move |row| noise(row) as f32)
    };
    let column = |index| Arc::new(Float32Array::from_iter_values(values(index))) as ArrayRef;
    let rows = RecordBatch::try_from_iter([("a", column(0)), ("b", column(1))]).unwrap();
    let schema = ArrowSchemaConverter::new().convert(&rows.schema()).unwrap();
    for plaintext_footer in [false, true] {
        let mut settings = EncryptionSettings::uniform("kf").with_column("b", "kc");
        settings.style.plaintext_footer = plaintext_footer;
        let plan = EncryptionPlan::new(settings, masters());
        let encryption = plan.for_file("1", &schema).await.unwrap();
        let folder = Folder::new();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(ROWS as usize))
            .set_dictionary_enabled(false)
            .set_data_page_row_count_limit(5000)
            .with_file_encryption_properties(encryption.properties);
        folder.write("1", &rows, properties.build());

        let table = opened(&folder, Some(masters()));
        let file = table
            .describe()
            .await
            .unwrap()
            .snapshot
            .into_files()
            .remove(0);
        // the second row group: its pages are bound to their place in the file
        let request = PieceRequest {
            rows: ROWS + 100_000..ROWS + 101_000,
            ..crate::support::whole(
                &file,
                &[feature("b", Kind::Dense), feature("a", Kind::Dense)],
            )
        };
        let (batches, io) = crate::support::read_counted(&table, request).await.unwrap();
        let found = batches.iter().flat_map(|batch| {
            let floats = batch.column(0).as_primitive::<Float32Type>();
            floats.values().to_vec()
        });
        let expected = values(1).skip((ROWS + 100_000) as usize).take(1000);
        assert!(found.eq(expected));
        assert!(
            io.wanted_bytes * 10 < ROWS * 8,
            "{} bytes for a thousand rows",
            io.wanted_bytes
        );
    }
}

#[tokio::test]
async fn nothing_shows_a_key() {
    let settings = EncryptionSettings::uniform("kf").with_column("price", "kc");
    let (masters, folder) = (masters(), Folder::new());
    let plan = EncryptionPlan::new(settings, Arc::clone(&masters) as _);
    let schema = ArrowSchemaConverter::new()
        .convert(&rows().schema())
        .unwrap();
    let encryption = plan.for_file("1", &schema).await.unwrap();
    let options = TableOptions::with_keys(Arc::clone(&masters) as _);
    write(&folder, "1", &plan).await.unwrap();
    let table = opened(&folder, Some(masters));
    let description = table.describe().await.unwrap();
    let shown = format!("{plan:?} {encryption:?} {options:?} {table:?} {description:?}");
    let mut keys = encryption.properties.column_keys().1;
    keys.push(encryption.properties.footer_key().clone());
    keys.extend([vec![1; 32], vec![2; 32]]);
    for key in keys {
        let list = format!("{key:?}");
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [list.trim_matches(['[', ']']), &hex] {
            assert!(!shown.contains(form), "a key is shown: {shown}");
        }
    }
}
