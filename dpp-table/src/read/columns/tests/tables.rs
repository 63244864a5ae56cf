//! Tables of random rows in random encodings, and how they are read.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float32Builder, Float64Array, Int16Array, Int16Builder, Int32Array,
    Int32Builder, Int64Array, Int64Builder, ListBuilder, MapBuilder, RecordBatch,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::encryption::keys::{KeyRing, SecretKey};

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) rows: usize,
    pub(super) compression: Compression,
    pub(super) second_version: bool,
    pub(super) dictionary: bool,
    pub(super) packed: bool,
    pub(super) page_rows: usize,
    pub(super) page_index: bool,
    pub(super) batch_rows: usize,
    /// Lengths of rows left out and rows picked, in turns; none picks all.
    pub(super) turns: Vec<usize>,
    /// Of chunks that are streamed.
    pub(super) window_bytes: u64,
    pub(super) lock: Option<Lock>,
}

/// How a file is encrypted.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    /// Whether columns have a key of their own.
    pub(super) column_key: bool,
    pub(super) plaintext_footer: bool,
    pub(super) key_bytes: usize,
    /// Whether the AAD prefix is stored.
    pub(super) stores_prefix: bool,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let compression = prop_oneof![
        Just(Compression::UNCOMPRESSED),
        Just(Compression::ZSTD(ZstdLevel::default())),
        Just(Compression::LZ4_RAW),
        Just(Compression::SNAPPY),
    ];
    let turns = prop_oneof![Just(Vec::new()), prop::collection::vec(1_usize..400, 2..12)];
    let switches = any::<(bool, bool, bool, bool)>();
    let sizes = (1_usize..1500, 1_usize..600, 1_usize..700, 1_u64..3000);
    let lock = (any::<(bool, bool, bool, bool)>()).prop_map(|of| Lock {
        column_key: of.0,
        plaintext_footer: of.1,
        key_bytes: if of.2 { 16 } else { 32 },
        stores_prefix: of.3,
    });
    let lock = prop::option::of(lock);
    (any::<u64>(), compression, switches, sizes, turns, lock).prop_map(
        |(seed, compression, switches, sizes, turns, lock)| Case {
            lock,
            seed,
            rows: sizes.0,
            compression,
            second_version: switches.0,
            dictionary: switches.1,
            packed: switches.2,
            page_rows: sizes.1,
            page_index: switches.3,
            batch_rows: sizes.2,
            turns,
            window_bytes: sizes.3,
        },
    )
}

pub(super) fn selection(case: &Case) -> Vec<Range<u64>> {
    let (mut at, mut picked) = (0, Vec::new());
    for turn in case.turns.chunks_exact(2) {
        let start = at + turn[0];
        at = start + turn[1];
        if at <= case.rows {
            picked.push(start as u64..at as u64);
        }
    }
    picked
}

/// Numbers and lists, nullable and not, constant, few and many different.
pub(super) fn stored(case: &Case) -> RecordBatch {
    let mut rng = StdRng::seed_from_u64(case.seed);
    let rows = case.rows;
    let nulls = rng.random::<f64>();
    let distinct = rng.random_range(1..3000_i64);
    let mut int = || rng.random_range(-distinct..distinct) * (distinct % 7);
    let ints: Vec<i64> = (0..rows).map(|_| int()).collect();
    let mut rng = StdRng::seed_from_u64(case.seed + 1);
    let mut some = |value: i64| (rng.random::<f64>() >= nulls).then_some(value);
    let maybe: Vec<Option<i64>> = ints.iter().map(|value| some(*value)).collect();
    let mut rng = StdRng::seed_from_u64(case.seed + 2);
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        (
            "float",
            Arc::new(Float32Array::from_iter(
                ints.iter().map(|i| Some(*i as f32 / 3.0)),
            )),
            false,
        ),
        (
            "float?",
            Arc::new(Float32Array::from_iter(
                maybe.iter().map(|i| i.map(|i| i as f32 / 3.0)),
            )),
            true,
        ),
        (
            "double?",
            Arc::new(Float64Array::from_iter(
                maybe.iter().map(|i| i.map(|i| i as f64 / 3.0)),
            )),
            true,
        ),
        (
            "short?",
            Arc::new(Int16Array::from_iter(
                maybe.iter().map(|i| i.map(|i| i as i16)),
            )),
            true,
        ),
        (
            "int",
            Arc::new(Int32Array::from_iter(ints.iter().map(|i| Some(*i as i32)))),
            false,
        ),
        (
            "long",
            Arc::new(Int64Array::from(
                ints.iter().map(|i| i << 20).collect::<Vec<_>>(),
            )),
            false,
        ),
        ("long?", Arc::new(Int64Array::from(maybe.clone())), true),
        ("ids", ids(&mut rng, &maybe, (false, false)), false),
        ("ids?", ids(&mut rng, &maybe, (true, false)), true),
        ("ids of nulls?", ids(&mut rng, &maybe, (true, true)), true),
        ("small ids", small_ids(&mut rng, &ints), false),
        ("numbers by key?", numbers_by_key(&mut rng, &maybe), true),
        ("shorts by key", shorts_by_key(&mut rng, &ints), false),
        ("ids by key?", ids_by_key(&mut rng, &maybe), true),
    ];
    let fields = columns.iter();
    let fields = fields
        .map(|(name, array, nullable)| Field::new(*name, array.data_type().clone(), *nullable));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, array, _)| array).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn ids(rng: &mut StdRng, values: &[Option<i64>], nullable: (bool, bool)) -> ArrayRef {
    let item = Field::new_list_field(DataType::Int64, nullable.1);
    let mut lists = ListBuilder::new(Int64Builder::new()).with_field(item);
    let long = rng.random_range(1..20);
    for value in values {
        if nullable.0 && value.is_none() {
            lists.append_null();
            continue;
        }
        for _ in 0..rng.random_range(0..long) {
            let id = rng.random_range(0..50_i64) * value.unwrap_or(3);
            lists
                .values()
                .append_option((!nullable.1 || id % 5 != 0).then_some(id));
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

pub(super) fn small_ids(rng: &mut StdRng, values: &[i64]) -> ArrayRef {
    let item = Field::new_list_field(DataType::Int32, false);
    let mut lists = ListBuilder::new(Int32Builder::new()).with_field(item);
    for value in values {
        for _ in 0..rng.random_range(0..4) {
            lists.values().append_value(*value as i32);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

/// Null and empty maps, null values, keys more than once in a row.
fn numbers_by_key(rng: &mut StdRng, values: &[Option<i64>]) -> ArrayRef {
    let mut maps = MapBuilder::new(None, Int32Builder::new(), Float32Builder::new());
    let long = rng.random_range(1..12);
    for value in values {
        let entries = value.map_or(0, |_| rng.random_range(0..long));
        for _ in 0..entries {
            maps.keys().append_value(rng.random_range(-3..9));
            let is_null = rng.random_range(0..5) == 0;
            let value = value.map(|value| value as f32 / 7.0);
            maps.values().append_option(value.filter(|_| !is_null));
        }
        maps.append(value.is_some()).unwrap();
    }
    Arc::new(maps.finish())
}

fn shorts_by_key(rng: &mut StdRng, values: &[i64]) -> ArrayRef {
    let mut maps = MapBuilder::new(None, Int64Builder::new(), Int16Builder::new())
        .with_values_field(Field::new("values", DataType::Int16, false));
    for value in values {
        for key in 0..rng.random_range(0..4) {
            maps.keys().append_value(key << 40);
            maps.values().append_value((*value + key) as i16);
        }
        maps.append(true).unwrap();
    }
    Arc::new(maps.finish())
}

/// As numbers by key, with lists that are null, empty, and of null ids.
fn ids_by_key(rng: &mut StdRng, values: &[Option<i64>]) -> ArrayRef {
    let lists = ListBuilder::new(Int64Builder::new());
    let mut maps = MapBuilder::new(None, Int64Builder::new(), lists);
    let (long, many) = (rng.random_range(1..8), rng.random_range(1..30));
    for value in values {
        let entries = value.map_or(0, |_| rng.random_range(0..many));
        for _ in 0..entries {
            maps.keys().append_value(rng.random_range(0..20));
            let lists = maps.values();
            for _ in 0..rng.random_range(0..long) {
                let id = rng.random_range(0..1000);
                lists.values().append_option((id % 11 > 0).then_some(id));
            }
            lists.append(rng.random_range(0..6) > 0);
        }
        maps.append(value.is_some()).unwrap();
    }
    Arc::new(maps.finish())
}

/// Keys of both lengths.
pub(super) fn ring() -> KeyRing {
    let key = |byte, bytes| SecretKey::new(vec![byte; bytes]).unwrap();
    let names = [("footer", 1), ("column", 2)].into_iter();
    let keys = names.flat_map(|(name, byte)| {
        [16, 32].map(|bytes| (format!("{name} {bytes}"), key(byte, bytes)))
    });
    let ring = keys.fold(KeyRing::new(), |ring, (name, key)| {
        ring.with_key(&name, key)
    });
    ring.with_aad_prefix("shop")
}

pub(super) fn write_locked(path: &Path, stored: &RecordBatch, case: &Case, lock: &Lock) {
    let metadata = |name: &str| format!("{name} {}", lock.key_bytes).into_bytes();
    let mut builder = FileEncryptionProperties::builder(vec![1; lock.key_bytes])
        .with_footer_key_metadata(metadata("footer"))
        .with_plaintext_footer(lock.plaintext_footer)
        .with_aad_prefix(b"shop".to_vec())
        .with_aad_prefix_storage(lock.stores_prefix);
    if lock.column_key {
        let schema = ArrowSchemaConverter::new()
            .convert(&stored.schema())
            .unwrap();
        for leaf in schema.columns() {
            let leaf = leaf.path().string();
            builder = builder.with_column_key_and_metadata(
                &leaf,
                vec![2; lock.key_bytes],
                metadata("column"),
            );
        }
    }
    let properties = properties(case).with_file_encryption_properties(builder.build().unwrap());
    write_with(path, stored, properties.build());
}

pub(super) fn write(path: &Path, stored: &RecordBatch, case: &Case) {
    write_with(path, stored, properties(case).build());
}

fn write_with(path: &Path, stored: &RecordBatch, properties: WriterProperties) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, stored.schema(), Some(properties)).unwrap();
    writer.write(stored).unwrap();
    writer.close().unwrap();
}

fn properties(case: &Case) -> WriterPropertiesBuilder {
    let mut properties = WriterProperties::builder()
        .set_compression(case.compression)
        .set_dictionary_enabled(case.dictionary)
        .set_dictionary_page_size_limit(4 << 10)
        .set_data_page_row_count_limit(case.page_rows)
        .set_write_batch_size(64)
        .set_offset_index_disabled(!case.page_index)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_writer_version(match case.second_version {
            true => WriterVersion::PARQUET_2_0,
            false => WriterVersion::PARQUET_1_0,
        });
    if case.packed {
        for (name, encoding) in [
            ("float", Encoding::BYTE_STREAM_SPLIT),
            ("float?", Encoding::BYTE_STREAM_SPLIT),
            ("double?", Encoding::BYTE_STREAM_SPLIT),
            ("short?", Encoding::DELTA_BINARY_PACKED),
            ("int", Encoding::DELTA_BINARY_PACKED),
            ("long?", Encoding::DELTA_BINARY_PACKED),
        ] {
            properties = properties.set_column_encoding(ColumnPath::from(name), encoding);
        }
        let ids = ColumnPath::new(["ids?", "list", "item"].map(str::to_owned).to_vec());
        properties = properties.set_column_encoding(ids, Encoding::DELTA_BINARY_PACKED);
    }
    properties
}
