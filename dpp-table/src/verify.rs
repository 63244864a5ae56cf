//! Whether two tables hold the same rows, whatever their layout, row groups, codecs and order of features.
//!
//! Both are streamed in the order of their snapshots, a batch of each at a time, and compared feature by feature as plans
//! read them: bit by bit, a feature that a file lacks read as null. A list that is null equals an empty one unless asked
//! otherwise: both give no ids, and a map's row that lacks a key may mean either. Partition values count as text. Maps are
//! compared by their features.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use dpp_proto::v1::{Feature, Kind, SnapshotFile};
use serde::Serialize;

use crate::error::Error;
use crate::features::feature_map::{entry_name, shape_of};
use crate::features::map_keys::{self, Extent};
use crate::features::projection::entry_kind;
use crate::features::schema::{SchemaUnion, kind_name};
use crate::footer::blocking;
use crate::read::fetch::{self, PieceRequest, ReadCounters};
use crate::read::pieces::{Piece, pieces};
use crate::snapshot::discover::partitions;
use crate::table::Table;
use crate::write::rewrite::Watch;

/// What comparing two tables gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The same rows.
    Same {
        /// How many.
        rows: u64,
        /// Features and partition columns compared.
        features: u64,
    },
    /// Not the same.
    Different(Box<Difference>),
}

/// The first difference found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// One table has more rows.
    Rows {
        /// Rows of the first.
        first: u64,
        /// Rows of the second.
        second: u64,
    },
    /// A feature is of another kind.
    Kind {
        /// The feature.
        feature: String,
        /// Its kind in the first table.
        first: String,
        /// Its kind in the second.
        second: String,
    },
    /// A value differs.
    Value {
        /// The feature or partition column.
        feature: String,
        /// In the first table.
        first: Place,
        /// In the second table.
        second: Place,
    },
}

/// A value and where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// URL of the file.
    pub file: String,
    /// Row of the file, from 0.
    pub row: u64,
    /// The value as text; `null` if there is none.
    pub value: String,
}

/// Compares all rows that the tables' filters keep, within `memory_bytes` for both. `exact` tells null lists from empty ones.
/// `watch` hears of rows compared.
pub async fn verify(
    first: &Table,
    second: &Table,
    exact: bool,
    memory_bytes: u64,
    watch: &Watch,
) -> Result<Verdict, Error> {
    let (a, b) = (Side::open(first).await?, Side::open(second).await?);
    let compared = match compared(&a, &b, exact) {
        Ok(compared) => compared,
        Err(difference) => return Ok(Verdict::Different(difference)),
    };
    if a.num_rows != b.num_rows {
        let (first, second) = (a.num_rows, b.num_rows);
        let rows = Difference::Rows { first, second };
        return Ok(Verdict::Different(Box::new(rows)));
    }
    let columns = compared.partitions.len() + compared.features.len();
    let (mut a, mut b) = (
        Rows::new(a, &compared, memory_bytes / 2),
        Rows::new(b, &compared, memory_bytes / 2),
    );
    let mut rows = 0;
    loop {
        let (more_a, more_b) = futures::join!(a.fill(), b.fill());
        if !(more_a? && more_b?) {
            break;
        }
        let together = a.ready().min(b.ready());
        let (left, right) = (a.take(together), b.take(together));
        let difference = blocking(&a.side.name, move || difference(&left, &right)).await?;
        if let Some(difference) = difference {
            return Ok(Verdict::Different(Box::new(difference)));
        }
        rows += together as u64;
        watch(together as u64);
    }
    Ok(Verdict::Same {
        rows,
        features: columns as u64,
    })
}

/// One of the tables.
struct Side {
    table: Table,
    name: String,
    files: Vec<SnapshotFile>,
    num_rows: u64,
    features: BTreeMap<String, Feature>,
    partitions: Vec<String>,
    /// Maps that are features as a whole and key by key.
    maps: BTreeSet<String>,
}

/// What is compared.
struct Compared {
    features: Arc<[Feature]>,
    /// For each feature, whether a null list is an empty one.
    empty_is_null: Arc<[bool]>,
    partitions: Vec<String>,
}

impl Side {
    /// Describes a table, with every key of its maps.
    async fn open(table: &Table) -> Result<Side, Error> {
        let description = table.describe().await?;
        let mut schema = SchemaUnion::default();
        let mut maps = BTreeSet::new();
        for file in description.snapshot.files() {
            let footer =
                fetch::known_footer(&table.files, file, &mut ReadCounters::default()).await?;
            let stored = footer.arrow(&table.files.store.name(&file.path))?;
            let fields = stored.schema().fields();
            if !fields
                .iter()
                .any(|field| shape_of(field.data_type()).is_some())
            {
                continue;
            }
            let files = &table.files;
            let arrow = stored.schema();
            let (keys, _) =
                map_keys::read(files, &file.path, &footer, arrow, Extent::Whole).await?;
            for (column, keys) in keys {
                for key in keys {
                    let entry = entry_name(&column, &key);
                    if let Some((kind, width)) = entry_kind(&footer, stored.schema(), &entry) {
                        let name = files.names.shown(entry);
                        schema.add_feature(&file.path, &name, kind, width)?;
                    }
                }
                maps.insert(column);
            }
        }
        let entries = schema.finish(Vec::new()).features;
        let all = description.schema.features.into_iter().chain(entries);
        Ok(Side {
            table: table.clone(),
            name: table.url().to_owned(),
            num_rows: description.snapshot.num_rows(),
            files: description.snapshot.into_files(),
            features: all.map(|feature| (feature.name.clone(), feature)).collect(),
            partitions: description.schema.partition_columns,
            maps,
        })
    }
}

/// The features of both tables. Fails with the first whose kinds differ.
fn compared(a: &Side, b: &Side, exact: bool) -> Result<Compared, Box<Difference>> {
    let mut partitions: Vec<String> = a.partitions.iter().chain(&b.partitions).cloned().collect();
    partitions.sort();
    partitions.dedup();
    let mut features = Vec::new();
    let names: BTreeSet<&String> = a.features.keys().chain(b.features.keys()).collect();
    for name in names {
        let in_entries = a.maps.contains(name) || b.maps.contains(name);
        if in_entries || partitions.contains(name) {
            continue;
        }
        let (first, second) = (a.features.get(name), b.features.get(name));
        if let (Some(first), Some(second)) = (first, second)
            && (first.kind, first.width) != (second.kind, second.width)
        {
            let kinds = Difference::Kind {
                feature: name.clone(),
                first: kind_name(first.kind(), first.width),
                second: kind_name(second.kind(), second.width),
            };
            return Err(Box::new(kinds));
        }
        features.extend(first.or(second).cloned());
    }
    let lenient =
        |feature: &Feature| !exact && matches!(feature.kind(), Kind::IdList | Kind::IdScoreList);
    Ok(Compared {
        empty_is_null: features.iter().map(lenient).collect(),
        features: features.into(),
        partitions,
    })
}

/// A table's rows, streamed.
struct Rows {
    side: Side,
    features: Arc<[Feature]>,
    empty_is_null: Arc<[bool]>,
    partitions: Vec<String>,
    memory_bytes: u64,
    next_file: usize,
    pieces: VecDeque<Piece>,
    batches: Option<Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>>,
    current: Option<Part>,
}

/// Rows of one file, partition columns first.
struct Part {
    file: String,
    first_row: u64,
    rows: usize,
    columns: Vec<(String, ArrayRef)>,
}

impl Rows {
    fn new(side: Side, compared: &Compared, memory_bytes: u64) -> Rows {
        Rows {
            side,
            features: Arc::clone(&compared.features),
            empty_is_null: Arc::clone(&compared.empty_is_null),
            partitions: compared.partitions.clone(),
            memory_bytes,
            next_file: 0,
            pieces: VecDeque::new(),
            batches: None,
            current: None,
        }
    }

    /// Rows in hand.
    fn ready(&self) -> usize {
        self.current.as_ref().map_or(0, |part| part.rows)
    }

    fn take(&mut self, rows: usize) -> Part {
        let part = self.current.take().expect("rows were filled");
        let left = part.rows - rows;
        if left > 0 {
            self.current = Some(part.slice(rows, left));
        }
        part.slice(0, rows)
    }

    /// Makes sure that rows are in hand; `false` at the table's end.
    async fn fill(&mut self) -> Result<bool, Error> {
        while self.ready() == 0 {
            if let Some(mut batches) = self.batches.take() {
                let next = move || Ok((batches.next().transpose()?, batches));
                let (rows, batches) = blocking(&self.side.name, next).await?;
                if let Some(rows) = rows {
                    self.batches = Some(batches);
                    self.current = Some(self.part(rows)?);
                }
                continue;
            }
            self.pieces.pop_front();
            if self.pieces.is_empty() && !self.open_file().await? {
                return Ok(false);
            }
            self.open_piece().await?;
        }
        Ok(true)
    }

    async fn open_file(&mut self) -> Result<bool, Error> {
        while self.pieces.is_empty() {
            let Some(file) = self.side.files.get(self.next_file) else {
                return Ok(false);
            };
            let files = &self.side.table.files;
            let footer = fetch::known_footer(files, file, &mut ReadCounters::default()).await?;
            let row_bytes = self.features.len() as u64 * FEATURE_BYTES;
            let name = files.store.name(&file.path);
            self.pieces = pieces(&name, &footer, self.memory_bytes, row_bytes)?.into();
            self.next_file += 1;
        }
        Ok(true)
    }

    async fn open_piece(&mut self) -> Result<(), Error> {
        let Some(piece) = self.pieces.front() else {
            return Ok(());
        };
        let request = PieceRequest {
            file: self.file().clone(),
            rows: piece.group.clone(),
            selection: vec![piece.rows.clone()],
            features: Arc::clone(&self.features),
            batch_rows: piece.batch_rows,
            most_held_bytes: piece.most_held_bytes,
        };
        let fetched = self.side.table.fetch(request).await?;
        self.current = None;
        self.batches = Some(Box::new(fetched.decode()?));
        Ok(())
    }

    fn file(&self) -> &SnapshotFile {
        &self.side.files[self.next_file - 1]
    }

    /// Decoded rows with the columns that they are compared by, and where they are.
    fn part(&mut self, rows: RecordBatch) -> Result<Part, Error> {
        let path = self.file().path.clone();
        let file = self.side.table.files.store.name(&path);
        let values: BTreeMap<_, _> = partitions(&path).into_iter().collect();
        let piece = self.pieces.front_mut().expect("a batch belongs to a piece");
        let first_row = piece.rows.start;
        piece.rows.start += rows.num_rows() as u64;
        let partition = |name: &String| {
            let value = values.get(name).cloned().flatten();
            let texts: StringArray = std::iter::repeat_n(value, rows.num_rows()).collect();
            (name.clone(), Arc::new(texts) as ArrayRef)
        };
        let feature = |((feature, empty_is_null), column): ((&Feature, &bool), &ArrayRef)| {
            let column = match empty_is_null {
                true => without_nulls(column),
                false => Arc::clone(column),
            };
            (feature.name.clone(), column)
        };
        let features = self.features.iter().zip(&*self.empty_is_null);
        let features = features.zip(rows.columns()).map(feature);
        Ok(Part {
            columns: self
                .partitions
                .iter()
                .map(partition)
                .chain(features)
                .collect(),
            rows: rows.num_rows(),
            first_row,
            file,
        })
    }
}

/// Null lists as empty ones; they cover no values.
fn without_nulls(lists: &ArrayRef) -> ArrayRef {
    let lists = lists.as_list::<i32>();
    let (field, offsets, values, _) = lists.clone().into_parts();
    Arc::new(ListArray::new(field, offsets, values, None))
}

impl Part {
    fn slice(&self, first: usize, rows: usize) -> Part {
        let cut = |(name, values): &(String, ArrayRef)| (name.clone(), values.slice(first, rows));
        Part {
            file: self.file.clone(),
            first_row: self.first_row + first as u64,
            rows,
            columns: self.columns.iter().map(cut).collect(),
        }
    }

    fn place(&self, column: &ArrayRef, row: usize) -> Place {
        let value = match column.is_null(row) {
            true => Ok("null".to_owned()),
            false => array_value_to_string(column, row),
        };
        Place {
            file: self.file.clone(),
            row: self.first_row + row as u64,
            value: value.unwrap_or_else(|error| format!("a value that can't be shown: {error}")),
        }
    }
}

/// The first row, and in it the first feature, that is not the same; both parts have the same columns and rows.
fn difference(left: &Part, right: &Part) -> Result<Option<Difference>, Error> {
    let mut first: Option<(usize, &str, &ArrayRef, &ArrayRef)> = None;
    for ((name, a), (_, b)) in left.columns.iter().zip(&right.columns) {
        let row = first_difference(a, b);
        if let Some(row) = row
            && first.is_none_or(|(known, ..)| row < known)
        {
            first = Some((row, name, a, b));
        }
    }
    Ok(first.map(|(row, name, a, b)| Difference::Value {
        feature: name.to_owned(),
        first: left.place(a, row),
        second: right.place(b, row),
    }))
}

/// By halves: what is equal as a whole is not looked into.
fn first_difference(a: &ArrayRef, b: &ArrayRef) -> Option<usize> {
    if same(a, b) {
        return None;
    }
    let (mut start, mut rows) = (0, a.len());
    while rows > 1 {
        let half = rows / 2;
        if same(&a.slice(start, half), &b.slice(start, half)) {
            start += half;
            rows -= half;
        } else {
            rows = half;
        }
    }
    Some(start)
}

fn same(a: &ArrayRef, b: &ArrayRef) -> bool {
    a.to_data() == b.to_data()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Rows { first, second } => {
                write!(f, "the first has {first} rows, the second {second}")
            }
            Difference::Kind {
                feature,
                first,
                second,
            } => write!(
                f,
                "feature {feature} is {first} in the first, {second} in the second"
            ),
            Difference::Value {
                feature,
                first,
                second,
            } => write!(f, "feature {feature}: {first}, but {second}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in row {} of {}", self.value, self.row, self.file)
    }
}

/// What a feature takes in a row beside what is stored: as null.
const FEATURE_BYTES: u64 = 9;
