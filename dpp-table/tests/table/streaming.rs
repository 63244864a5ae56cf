//! Row groups that are larger than what may be held, and have no page index.

use std::fs::{self, File};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields};
use dpp_proto::v1::TableSource;
use dpp_table::{
    EncryptionPlan, EncryptionSettings, Error, FetchedPiece, KeyProvider, KeyRing, PieceRequest,
    ReadCounters, SecretKey, Table, TableOptions, TableSettings, write_table,
};
use futures::stream;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, GzipLevel};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use tokio::task::spawn_blocking;

use crate::s3::S3;
use crate::support::{Folder, some};

const ROWS: u64 = 100_000;
const MOST_HELD_BYTES: u64 = 1 << 20;

fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

/// A column of every way of reading: numbers and ids are decoded by our own code, the others by the Parquet crate.
fn rows() -> RecordBatch {
    let dense = (0..ROWS).map(|row| (row % 7 != 0).then(|| scattered(row) as f32));
    let lengths = |most: usize| (0..ROWS as usize).map(move |row| row * 31 % (most + 1));
    let ids = |most| lengths(most).sum::<usize>() as u64;
    let list = |most, item: Field, values: ArrayRef| -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(lengths(most));
        Arc::new(ListArray::new(Arc::new(item), offsets, values, None))
    };
    let numbers =
        |count| Int64Array::from_iter_values((0..count).map(|n| scattered(n).cast_signed()));
    let scored = Fields::from(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("score", DataType::Float32, false),
    ]);
    let scores = Float32Array::from_iter_values((0..ids(2)).map(|n| n as f32));
    let pairs: Vec<ArrayRef> = vec![Arc::new(numbers(ids(2))), Arc::new(scores)];
    let pairs = StructArray::new(scored.clone(), pairs, None);
    let text = (0..ROWS).map(|row| format!("{}-{row}", scattered(row)));
    let item = |kind| Field::new_list_field(kind, true);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("dense", Arc::new(Float32Array::from_iter(dense))),
        (
            "ids",
            list(5, item(DataType::Int64), Arc::new(numbers(ids(5)))),
        ),
        (
            "scored",
            list(2, item(DataType::Struct(scored)), Arc::new(pairs)),
        ),
        ("text", Arc::new(StringArray::from_iter_values(text))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

/// One row group without a page index, in short pages.
fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_offset_index_disabled(true)
        .set_dictionary_page_size_limit(50_000)
        .set_data_page_size_limit(20_000)
        .set_statistics_enabled(EnabledStatistics::None)
}

struct Decoded {
    rows: RecordBatch,
    held_bytes: u64,
    io: ReadCounters,
}

async fn decode(table: &Table, request: PieceRequest) -> Result<Decoded, Error> {
    let piece = table.fetch(request).await?;
    spawn_blocking(move || decoded(piece)).await.unwrap()
}

fn decoded(piece: FetchedPiece) -> Result<Decoded, Error> {
    let (held_bytes, mut io) = (piece.held_bytes(), piece.io());
    let mut batches = piece.decode()?;
    let rows = batches.by_ref().collect::<Result<Vec<_>, _>>()?;
    let streamed = batches.io();
    io.wanted_bytes += streamed.wanted_bytes;
    io.read_bytes += streamed.read_bytes;
    io.requests += streamed.requests;
    Ok(Decoded {
        rows: concat_batches(&rows[0].schema(), &rows).unwrap(),
        held_bytes,
        io,
    })
}

async fn request(table: &Table, rows: Range<u64>, most_held_bytes: u64) -> PieceRequest {
    let description = table.describe().await.unwrap();
    let features = description.schema.features.into();
    PieceRequest {
        batch_rows: 4096,
        most_held_bytes,
        ..some(&description.snapshot.files()[0], &features, rows, &[])
    }
}

/// Streamed, a table reads as it does when it is held, and holds little.
async fn check(table: &Table) -> Fetched {
    let whole = request(table, 0..ROWS, u64::MAX).await;
    let held = decode(table, whole.clone()).await.unwrap();
    assert!(held.held_bytes > 4 * MOST_HELD_BYTES, "{}", held.held_bytes);

    let little = PieceRequest {
        most_held_bytes: MOST_HELD_BYTES,
        ..whole
    };
    let (size, _) = table.size(&little).await.unwrap();
    let streamed = decode(table, little).await.unwrap();
    assert_eq!(streamed.rows, held.rows);
    let most = size.stored_bytes;
    assert!(streamed.held_bytes <= most && most <= MOST_HELD_BYTES);
    assert_eq!(streamed.io.wanted_bytes, held.io.wanted_bytes);
    assert!(streamed.io.requests > 10, "{:?}", streamed.io);

    let mut middle_bytes = Vec::new();
    for start in [20_000, 70_000, 40_000] {
        let middle = request(table, start..start + 5_000, MOST_HELD_BYTES).await;
        let middle = decode(table, middle).await.unwrap();
        assert_eq!(middle.rows, held.rows.slice(start as usize, 5_000));
        middle_bytes.push(middle.io.wanted_bytes);
    }
    Fetched {
        middle_bytes,
        all_bytes: held.io.wanted_bytes,
    }
}

/// Stored bytes that came for pieces in the middle, one after another, and for all rows.
struct Fetched {
    middle_bytes: Vec<u64>,
    all_bytes: u64,
}

impl Fetched {
    /// Its first piece looks for the pages once, the others read theirs.
    fn is_by_page(&self) {
        let (middle, all) = (&self.middle_bytes, self.all_bytes);
        assert!(middle[0] * 4 < all * 5, "{middle:?} of {all} bytes");
        assert!(
            middle[1].max(middle[2]) * 6 < all,
            "{middle:?} of {all} bytes"
        );
    }
}

#[tokio::test]
async fn chunks_of_any_pages_are_streamed() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for long_pages in [false, true] {
            let folder = Folder::new();
            let mut properties = properties().set_writer_version(version);
            if long_pages {
                properties = properties.set_data_page_size_limit(1 << 20);
            }
            folder.write("part", &rows(), properties.build());
            let fetched = check(&folder.table()).await;
            if !long_pages {
                fetched.is_by_page();
            }
        }
    }
}

#[tokio::test]
async fn columns_that_no_walk_can_locate_leave_others_theirs() {
    let folder = Folder::new();
    let gzip = Compression::GZIP(GzipLevel::default());
    let ids = ColumnPath::new(["ids", "list", "item"].map(str::to_owned).to_vec());
    let properties = properties().set_column_compression(ids, gzip);
    folder.write("part", &rows(), properties.build());
    let table = folder.table();
    let description = table.describe().await.unwrap();
    for most_held_bytes in [MOST_HELD_BYTES, u64::MAX] {
        let wanted = async |name: &str, start: u64| {
            let features = description.schema.features.iter();
            let features: Vec<_> = features
                .filter(|feature| feature.name == name)
                .cloned()
                .collect();
            let middle = request(&table, start..start + 5_000, most_held_bytes).await;
            let middle = PieceRequest {
                features: features.into(),
                ..middle
            };
            decode(&table, middle).await.unwrap().io.wanted_bytes
        };
        let ids = wanted("ids", 20_000).await;
        assert!(ids > 600_000, "nothing says where its pages are: {ids}");
        let all = wanted("text", 20_000).await; // looks for the pages, if nobody did
        let text = wanted("text", 70_000).await;
        assert!(text < 300_000, "its own pages are read: {text} of {all}");
    }
}

#[tokio::test]
async fn encrypted_chunks_are_streamed() {
    let key = |byte| SecretKey::new([byte; 32]).unwrap();
    let keys = KeyRing::new().with_key("kf", key(1)).with_key("kc", key(2));
    let keys: Arc<dyn KeyProvider> = Arc::new(keys);
    let settings = EncryptionSettings::uniform("kf").with_column("ids", "kc");
    let plan = EncryptionPlan::new(settings, Arc::clone(&keys));
    let schema = ArrowSchemaConverter::new()
        .convert(&rows().schema())
        .unwrap();
    let encryption = plan.for_file("part", &schema).await.unwrap();
    let folder = Folder::new();
    let properties = properties().with_file_encryption_properties(encryption.properties);
    folder.write("part", &rows(), properties.build());
    let source = TableSource {
        url: folder.url(),
        ..TableSource::default()
    };
    let table = Table::open_with(&source, TableOptions::with_keys(keys)).unwrap();
    check(&table).await.is_by_page();
}

#[tokio::test]
async fn chunks_are_streamed_from_object_stores() {
    let (server, folder) = (S3::start(), Folder::new());
    folder.write("part", &rows(), properties().build());
    fs::create_dir(server.bucket().join("table")).unwrap();
    fs::copy(folder.path("part"), server.bucket().join("table/part")).unwrap();
    let source = TableSource {
        url: "s3://bucket/table".to_owned(),
        storage: server.options(),
        ..TableSource::default()
    };
    let table = Table::open(&source).unwrap();
    check(&table).await.is_by_page();
}

#[tokio::test]
async fn what_befalls_a_file_while_it_is_streamed_is_named() {
    let folder = Folder::new();
    folder.write("part", &rows(), properties().build());
    let table = folder.table();
    let little = request(&table, 0..ROWS, MOST_HELD_BYTES).await;

    let piece = table.fetch(little.clone()).await.unwrap();
    let file = File::options().append(true).open(folder.path("part"));
    let later = SystemTime::now() + Duration::from_secs(100);
    file.unwrap().set_modified(later).unwrap();
    let failed = spawn_blocking(|| decoded(piece)).await.unwrap().err();
    assert!(matches!(failed, Some(Error::Changed { .. })), "{failed:?}");

    let piece = table.fetch(little).await.unwrap();
    fs::remove_file(folder.path("part")).unwrap();
    let failed = spawn_blocking(|| decoded(piece)).await.unwrap().err();
    assert!(matches!(failed, Some(Error::FileGone { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_damaged_page_of_a_streamed_chunk_is_refused() {
    // our own files have checksums
    let folder = Folder::new();
    let destination = TableSource {
        url: folder.url(),
        ..TableSource::default()
    };
    let (rows, watch) = (rows(), Arc::new(|_: u64| ()));
    let (schema, settings) = (rows.schema(), TableSettings::default());
    let rows = stream::iter([Ok(rows)]);
    write_table(rows, schema, &destination, &settings, watch)
        .await
        .unwrap();
    let table = folder.table();
    let described = table.describe().await.unwrap();
    let path = folder.path(&described.snapshot.files()[0].path);
    let mut stored = fs::read(&path).unwrap();
    // in the last column, which the Parquet crate decodes
    let at = stored.len() - 200_000;
    stored[at] ^= 1;
    fs::write(&path, stored).unwrap();
    let table = folder.table();
    for most_held_bytes in [u64::MAX, MOST_HELD_BYTES] {
        let request = request(&table, 0..ROWS, most_held_bytes).await;
        let failed = decode(&table, request).await.err().unwrap().to_string();
        assert!(failed.contains("checksum"), "{most_held_bytes}: {failed}");
    }
}
