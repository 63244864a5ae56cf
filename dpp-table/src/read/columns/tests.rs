//! Our decoding against the Parquet crate's: tables in every encoding that is known here, encrypted or not, and real ones.

mod tables;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float32Builder, Int32Builder, Int64Array, ListArray,
    MapBuilder, RecordBatch,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float32Type, Int64Type, Schema};
use dpp_proto::v1::{Feature, Kind, SnapshotFile, TableSource};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tables::{Case, case, ring, selection, small_ids, stored, write, write_locked};

use crate::options::TableOptions;
use crate::read::columns::shape::shapes;
use crate::read::fetch::{FetchedPiece, PieceRequest};
use crate::read::sparse::SparseFile;
use crate::read::stream::Stream;
use crate::read::value_map::ValueMap;
use crate::read::{hold, pages};
use crate::table::Table;

/// Shorter than most pages.
const STREAMED_WINDOW_BYTES: u64 = 700;

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
        prop_assert_eq!(&decoded_one_by_one(piece()), &theirs);
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

/// As `decoded`, where batches go as soon as they are copied, and their memory is filled again. Somebody still holds every other one.
fn decoded_one_by_one(piece: FetchedPiece) -> RecordBatch {
    let mut batches = piece.decode().unwrap();
    let (mut copies, mut held) = (Vec::new(), Vec::new());
    while let Some(batch) = batches.next().transpose().unwrap() {
        // of two parts, as one would be taken over without a copy
        let parts = [&batch, &batch.slice(0, 0)];
        copies.push(concat_batches(&batch.schema(), parts).unwrap());
        held.push((copies.len() % 2 == 0).then(|| batch.clone()));
    }
    for (held, copy) in held.iter().zip(&copies) {
        assert!(held.as_ref().is_none_or(|held| held == copy));
    }
    joined(copies)
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
