//! Our decoding against the Parquet crate's: tables in every encoding that is known here, encrypted or not, and real ones.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float32Builder, Float64Array, Int16Array, Int16Builder,
    Int32Array, Int32Builder, Int64Array, Int64Builder, ListArray, ListBuilder, MapBuilder,
    RecordBatch,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type, Schema};
use dpp_proto::v1::{Feature, Kind, SnapshotFile, TableSource};
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
use crate::options::TableOptions;
use crate::read::columns::shape::shapes;
use crate::read::fetch::{FetchedPiece, PieceRequest};
use crate::read::sparse::SparseFile;
use crate::read::stream::Stream;
use crate::read::value_map::ValueMap;
use crate::read::{hold, pages};
use crate::table::Table;

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    rows: usize,
    compression: Compression,
    second_version: bool,
    dictionary: bool,
    packed: bool,
    page_rows: usize,
    page_index: bool,
    batch_rows: usize,
    /// Lengths of rows left out and rows picked, in turns; none picks all.
    turns: Vec<usize>,
    /// Of chunks that are streamed.
    window_bytes: u64,
    lock: Option<Lock>,
}

/// How a file is encrypted.
#[derive(Clone, Debug)]
struct Lock {
    /// Whether columns have a key of their own.
    column_key: bool,
    plaintext_footer: bool,
    key_bytes: usize,
    /// Whether the AAD prefix is stored.
    stores_prefix: bool,
}

fn case() -> impl Strategy<Value = Case> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_of_every_encoding_decode_as_the_crate_decodes_them(case in case()) {
        let folder = tempfile::tempdir().unwrap();
        let stored = stored(&case);
        write(&folder.path().join("part.parquet"), &stored, &case);
        let table = Opened::new(folder.path()).without_whole_maps();
        let rows = 0..case.rows as u64;
        let plain = table.piece(0, rows.clone(), selection(&case), case.batch_rows);
        let theirs = by_crate(plain);
        let locked = tempfile::tempdir().unwrap();
        let table = match &case.lock {
            None => table,
            Some(lock) => {
                write_locked(&locked.path().join("part.parquet"), &stored, &case, lock);
                let locked = Opened::new(locked.path()).without_whole_maps();
                prop_assert_eq!(&locked.features, &table.features);
                locked
            }
        };
        let piece = || table.piece(0, rows.clone(), selection(&case), case.batch_rows);
        let ours = shapes(&piece()).unwrap();
        let wanted: HashSet<&str> = table.features.iter().map(column_of).collect();
        prop_assert!(wanted.len() + 3 >= stored.num_columns(), "maps may be empty");
        prop_assert_eq!(ours.len(), wanted.len());
        prop_assert_eq!(&by_crate(piece()), &theirs);
        prop_assert_eq!(&decoded(piece()), &theirs);
        let streamed = || table.streamed(0, piece(), case.window_bytes);
        prop_assert_eq!(&decoded(streamed()), &theirs);
        prop_assert_eq!(&by_crate(streamed()), &theirs);
        check_mapped(&table.features, piece);
    }
}

/// The column that has the feature.
fn column_of(feature: &Feature) -> &str {
    let name = feature.name.as_str();
    name.split_once('[').map_or(name, |(column, _)| column)
}

/// Mapped values are what the map makes of those decoded without it.
fn check_mapped(features: &[Feature], piece: impl Fn() -> FetchedPiece) {
    let maps: Vec<Option<ValueMap>> = features
        .iter()
        .map(|feature| match feature.kind() {
            Kind::Dense => Some(ValueMap::Dense(Arc::new(map_dense))),
            Kind::Int | Kind::IdList => Some(ValueMap::Ids(Arc::new(map_ids))),
            _ => None,
        })
        .collect();
    let batches = piece().decode_mapped(&maps).unwrap();
    let is_mapped = batches.is_mapped().to_vec();
    let found = joined(batches.collect::<Result<_, _>>().unwrap());
    let plain = decoded(piece());
    assert_eq!(found.num_rows(), plain.num_rows());
    for ((found, plain), is_mapped) in found.columns().iter().zip(plain.columns()).zip(is_mapped) {
        match is_mapped {
            true => assert_eq!(found, &mapped(plain)),
            false => assert_eq!(found, plain),
        }
    }
}

/// Of a file whose first entry of a map's values goes on with a row, though none has begun, one learns what is wrong.
#[test]
fn values_that_belong_to_no_row_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    let mut maps = MapBuilder::new(None, Int32Builder::new(), Float32Builder::new());
    for row in 0..16 {
        maps.keys().append_value(7);
        maps.values().append_value(row as f32);
        maps.append(true).unwrap();
    }
    let maps: ArrayRef = Arc::new(maps.finish());
    let stored = RecordBatch::try_from_iter([("by key", maps)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, stored.schema(), Some(properties)).unwrap();
    writer.write(&stored).unwrap();
    let metadata = writer.close().unwrap();
    let (start, length) = metadata.row_group(0).column(1).byte_range();
    let whole = 0..bytes.len() as u64;
    let file = SparseFile::new(
        std::slice::from_ref(&whole),
        vec![bytes.clone().into()],
        whole.end,
    );
    let (position, header) = pages::headers(&file, start..start + length).next().unwrap();
    // its levels of repetition: one run of sixteen zeros
    let levels = (position + header.bytes) as usize;
    assert_eq!(bytes[levels..levels + 2], [16 << 1, 0]);
    std::fs::write(&path, &bytes).unwrap();
    let read = || {
        let table = Opened::new(folder.path()).without_whole_maps();
        let batches = table.piece(0, 0..16, Vec::new(), 16).decode().unwrap();
        batches.collect::<Result<Vec<_>, _>>()
    };
    assert!(read().is_ok());
    bytes[levels + 1] = 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = read().unwrap_err().to_string();
    assert!(
        refused.contains("column by key") && !refused.contains("panicked"),
        "{refused}"
    );
}

fn map_dense(values: &mut [f32]) {
    values
        .iter_mut()
        .for_each(|value| *value = *value * 2.0 - 1.0);
}

fn map_ids(values: &mut [i64]) {
    let map = |value: &mut i64| *value = value.wrapping_mul(31) ^ 7;
    values.iter_mut().for_each(map);
}

fn mapped(column: &ArrayRef) -> ArrayRef {
    if let Some(lists) = column.as_list_opt::<i32>() {
        let (field, offsets, ids, nulls) = lists.clone().into_parts();
        return Arc::new(ListArray::new(field, offsets, mapped(&ids), nulls));
    }
    let nulls = column.nulls().cloned();
    if let Some(values) = column.as_primitive_opt::<Float32Type>() {
        let mut values = values.values().to_vec();
        map_dense(&mut values);
        return Arc::new(Float32Array::new(values.into(), nulls));
    }
    let mut values = column.as_primitive::<Int64Type>().values().to_vec();
    map_ids(&mut values);
    Arc::new(Int64Array::new(values.into(), nulls))
}

#[test]
fn small_dictionaries_are_mapped_and_large_ones_are_not() {
    let rows = 4000;
    let mut rng = StdRng::seed_from_u64(7);
    let mut ints = |distinct| {
        let values = (0..rows).map(|_| rng.random_range(0..distinct));
        Arc::new(Int64Array::from_iter_values(values)) as ArrayRef
    };
    let few = ints(50);
    let lists = small_ids(
        &mut StdRng::seed_from_u64(8),
        few.as_primitive::<Int64Type>().values(),
    );
    let columns = [("few", few), ("lists", lists), ("many", ints(1 << 40))];
    let stored = RecordBatch::try_from_iter(columns).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("part.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, stored.schema(), None).unwrap();
    writer.write(&stored).unwrap();
    writer.close().unwrap();
    let table = Opened::new(folder.path());
    let maps = vec![Some(ValueMap::Ids(Arc::new(map_ids))); 3];
    let is_mapped = |selected: Range<u64>| {
        let piece = table.piece(0, 0..rows as u64, vec![selected], 512);
        piece.decode_mapped(&maps).unwrap().is_mapped().to_vec()
    };
    assert_eq!(is_mapped(0..rows as u64), [true, true, false]);
    // of 40 rows a dictionary of 50 is too large
    assert_eq!(is_mapped(100..140), [false, false, false]);
    check_mapped(&table.features, || {
        table.piece(0, 0..rows as u64, Vec::new(), 512)
    });
}

#[test]
fn real_files_decode_as_the_crate_decodes_them() {
    let Some(data) = std::env::var_os("DPP_TEST_DATA").map(PathBuf::from) else {
        println!("NOT TESTED: real files. DPP_TEST_DATA is not set");
        return;
    };
    let mut compared = Compared::default();
    for table in ["jd/flat", "jd/map", "openbandit", "wide"] {
        compared.table(&data.join(table), 4);
    }
    for file in std::fs::read_dir(data.join("parquet-testing/data")).unwrap() {
        let file = file.unwrap().path();
        if file
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            let alone = tempfile::tempdir().unwrap();
            std::fs::copy(&file, alone.path().join("part.parquet")).unwrap();
            compared.table(alone.path(), 1);
        }
    }
    let Compared { groups, columns } = compared;
    assert!(
        groups > 50 && columns > 500,
        "{groups} row groups, {columns} columns"
    );
}

/// Row groups, and columns of ours, that were equal to what the crate reads. What it does not read is left out.
#[derive(Default)]
struct Compared {
    groups: usize,
    columns: usize,
}

impl Compared {
    fn table(&mut self, folder: &Path, files: usize) {
        let Some(table) = Opened::open(folder) else {
            return;
        };
        let features = table.features.len();
        self.files(&table, files);
        let table = table.without_whole_maps();
        if table.features.len() < features {
            self.files(&table, files);
        }
    }

    fn files(&mut self, table: &Opened, files: usize) {
        for (index, file) in table.files.iter().enumerate().take(files) {
            let mut first = 0;
            for rows in file.row_group_rows.iter().filter(|rows| **rows > 0) {
                self.group(table, index, first..first + rows);
                first += rows;
            }
        }
    }

    fn group(&mut self, table: &Opened, file: usize, group: Range<u64>) {
        let whole = || table.try_piece(file, group.clone(), Vec::new(), 1000);
        let theirs = whole().map(|piece| piece.decode_by_crate().and_then(Iterator::collect));
        let Some(Ok(theirs)) = theirs else {
            return;
        };
        let path = &table.files[file].path;
        self.columns += shapes(&whole().unwrap()).unwrap().len();
        let theirs = joined(theirs);
        assert_eq!(decoded(whole().unwrap()), theirs, "{path}");
        let streamed = table.streamed(file, whole().unwrap(), STREAMED_WINDOW_BYTES);
        assert_eq!(decoded(streamed), theirs, "{path}, streamed");
        // some rows here and there
        let step = (group.end - group.start).div_ceil(7) as usize;
        let picked: Vec<_> = group
            .clone()
            .step_by(step)
            .map(|row| row..row + 1)
            .collect();
        let some = || table.piece(file, group.clone(), picked.clone(), 3);
        assert_eq!(decoded(some()), by_crate(some()), "{path}");
        self.groups += 1;
    }
}

/// A table, and the features of all its files.
struct Opened {
    runtime: tokio::runtime::Runtime,
    table: Table,
    files: Vec<SnapshotFile>,
    features: Arc<[Feature]>,
}

impl Opened {
    fn new(folder: &Path) -> Opened {
        Opened::open(folder).unwrap()
    }

    fn open(folder: &Path) -> Option<Opened> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let source = TableSource {
            url: folder.to_str().unwrap().to_owned(),
            ..TableSource::default()
        };
        let options = TableOptions::with_keys(Arc::new(ring()));
        let table = Table::open_with(&source, options).unwrap();
        let described = runtime.block_on(table.describe()).ok()?;
        Some(Opened {
            table,
            files: described.snapshot.files().to_vec(),
            features: described.schema.features.into(),
            runtime,
        })
    }

    /// With keys of maps as features and no map as one: of those that are read whole the crate decodes all.
    fn without_whole_maps(mut self) -> Opened {
        let is_no_map = |feature: &&Feature| feature.kind() != Kind::IdScoreList;
        self.features = self.features.iter().filter(is_no_map).cloned().collect();
        self
    }

    fn piece(
        &self,
        file: usize,
        rows: Range<u64>,
        selection: Vec<Range<u64>>,
        batch_rows: usize,
    ) -> FetchedPiece {
        self.try_piece(file, rows, selection, batch_rows).unwrap()
    }

    fn try_piece(
        &self,
        file: usize,
        rows: Range<u64>,
        selection: Vec<Range<u64>>,
        batch_rows: usize,
    ) -> Option<FetchedPiece> {
        let request = PieceRequest {
            file: self.files[file].clone(),
            rows,
            selection,
            features: self.features.clone(),
            batch_rows,
            most_held_bytes: u64::MAX,
        };
        self.runtime.block_on(self.table.fetch(request)).ok()
    }

    /// A piece whose chunks are fetched again, window by window.
    fn streamed(&self, file: usize, mut piece: FetchedPiece, window_bytes: u64) -> FetchedPiece {
        let file = &self.files[file];
        let ranges = &piece.plan.ranges;
        let of_chunk = |chunk: Range<u64>| {
            let within = |range: &&Range<u64>| chunk.contains(&range.start);
            let wanted: Vec<_> = ranges.iter().filter(within).cloned().collect();
            hold::joined(&wanted)
        };
        let chunks = piece.plan.chunks().into_iter().map(of_chunk);
        let chunks = chunks.filter(|wanted| !wanted.is_empty()).collect();
        let _runtime = self.runtime.enter();
        let store = &self.table.files.store;
        let stream = Stream::new(store, &file.path, None, chunks, window_bytes);
        let sealed = piece.bytes.sealed.take();
        piece.bytes = SparseFile::new(&[], Vec::new(), file.size_bytes)
            .with_stream(stream)
            .with_sealed(sealed);
        piece
    }
}

fn decoded(piece: FetchedPiece) -> RecordBatch {
    joined(piece.decode().unwrap().collect::<Result<_, _>>().unwrap())
}

fn by_crate(piece: FetchedPiece) -> RecordBatch {
    let batches = piece.decode_by_crate().unwrap();
    joined(batches.collect::<Result<_, _>>().unwrap())
}

/// One batch, with its parts' row counts as metadata: they must agree as well.
fn joined(batches: Vec<RecordBatch>) -> RecordBatch {
    let counts: Vec<String> = batches
        .iter()
        .map(|batch| batch.num_rows().to_string())
        .collect();
    let Some(first) = batches.first() else {
        return RecordBatch::new_empty(Arc::new(Schema::empty()));
    };
    let whole = concat_batches(&first.schema(), &batches).unwrap();
    let metadata: HashMap<_, _> = [("rows".to_owned(), counts.join(" "))].into();
    let schema = Schema::clone(&whole.schema()).with_metadata(metadata);
    whole.with_schema(Arc::new(schema)).unwrap()
}

fn selection(case: &Case) -> Vec<Range<u64>> {
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
fn stored(case: &Case) -> RecordBatch {
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

fn small_ids(rng: &mut StdRng, values: &[i64]) -> ArrayRef {
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
fn ring() -> KeyRing {
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

fn write_locked(path: &Path, stored: &RecordBatch, case: &Case, lock: &Lock) {
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

fn write(path: &Path, stored: &RecordBatch, case: &Case) {
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

#[test]
fn kinds_of_the_columns_are_those_described() {
    let case = Case {
        seed: 1,
        rows: 10,
        compression: Compression::SNAPPY,
        second_version: false,
        dictionary: true,
        packed: false,
        page_rows: 3,
        page_index: true,
        batch_rows: 4,
        turns: Vec::new(),
        window_bytes: 1,
        lock: None,
    };
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("part.parquet"), &stored(&case), &case);
    let table = Opened::new(folder.path());
    let flat = |feature: &&Feature| !feature.name.contains('[');
    let of = |kind: Kind| {
        (table.features.iter().filter(flat))
            .filter(|it| it.kind() == kind)
            .count()
    };
    assert_eq!(
        (of(Kind::Dense), of(Kind::Int), of(Kind::IdList)),
        (3, 4, 4)
    );
}

/// Shorter than most pages.
const STREAMED_WINDOW_BYTES: u64 = 700;
