//! Where a stored footer describes each column and each column chunk: found by one walk that decodes nothing. Pure.
//!
//! ```text
//! stored footer   version │ schema: root a b c d … │ rows │ row group: chunks of a b c d … │ row group … │ created by …
//! outline                           where ^ ^ ^ ^                          ^ ^ ^ ^
//! cut to b, d     version │ schema: root b d       │ rows │ row group: chunks of b d       │ created by
//! ```
//!
//! The Parquet crate decodes what was cut out, so that the cost of a wide file follows the columns that are read. The field
//! numbers are those of parquet.thrift in the format's definition.

use std::ops::Range;

use bytes::Bytes;

use crate::encryption::unlock::algorithm::Algorithm;
use crate::encryption::unlock::opener::ChunkKey;
use crate::footer::roots::Roots;
use crate::thrift::{BINARY, I32, I64, LIST, MAX_DEPTH, STOP, STRUCT, Thrift};

/// Of a footer that is not encrypted, or was opened; what is said of its columns may be sealed.
pub(crate) struct Outline {
    pub(super) metadata: Bytes,
    pub(super) version: i64,
    pub(super) root_name: String,
    /// Where the schema describes each root column, in stored order, and where the last one ends.
    pub(super) columns: Vec<ColumnOutline>,
    pub(super) groups: Vec<GroupOutline>,
    pub(super) created_by: Option<String>,
    /// Where what the writer embedded lies: texts by key.
    pub(super) key_values: Option<Range<usize>>,
    /// Whether any column chunk is encrypted.
    pub(super) is_sealed: bool,
}

/// Of a root column: where its elements of the schema begin, and how many came before them.
pub(super) struct ColumnOutline {
    pub(super) start: u32,
    pub(super) elements: u32,
}

/// Of a row group.
#[derive(Default)]
pub(super) struct GroupOutline {
    pub(super) rows: u64,
    pub(super) total_byte_size: i64,
    /// Where each column chunk begins, by leaf, and where the last ends.
    pub(super) chunks: Vec<u32>,
}

impl Outline {
    /// Of stored metadata, with its root columns, and how columns are encrypted if it says so; `None` where it is not as most
    /// writers write it: the Parquet crate tells what is wrong with it, if anything is.
    pub(super) fn of(metadata: Bytes) -> Option<(Outline, Roots, Option<Algorithm>)> {
        let mut walk = Walk {
            whole: metadata.len(),
            thrift: Thrift(&metadata),
            is_sealed: false,
        };
        let (mut version, mut created_by, mut schema) = (None, None, None);
        let (mut algorithm, mut signing_key, mut key_values) = (None, None, None);
        let mut groups = Vec::new();
        let mut field = 0;
        loop {
            let (id, kind) = walk.thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (1, I32) => version = Some(walk.thrift.zigzag()?),
                (2, LIST) => schema = Some(walk.schema()?),
                (4, LIST) => groups = walk.groups(schema.as_ref()?)?,
                (5, LIST) => key_values = Some(walk.range(LIST)?),
                (6, BINARY) => created_by = Some(walk.text()?.to_owned()),
                (8, STRUCT) => algorithm = Some(walk.thrift.value(STRUCT)?),
                (9, BINARY) => signing_key = Some(walk.thrift.binary()?),
                _ => walk.thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        let algorithm = algorithm.and_then(|stored| Algorithm::parse(stored, signing_key));
        let schema = schema?;
        let outline = Outline {
            version: version?,
            root_name: schema.root_name,
            columns: schema.columns,
            groups,
            created_by,
            key_values,
            is_sealed: walk.is_sealed,
            metadata,
        };
        Some((outline, schema.roots, algorithm))
    }

    /// Rows per row group.
    pub(super) fn row_group_rows(&self) -> Vec<u64> {
        self.groups.iter().map(|group| group.rows).collect()
    }

    /// What is said of a column chunk.
    pub(super) fn chunk(&self, row_group: usize, leaf: usize) -> &[u8] {
        let chunks = &self.groups[row_group].chunks;
        &self.metadata[chunks[leaf] as usize..chunks[leaf + 1] as usize]
    }

    /// Whose key a column chunk is encrypted with, if it is.
    pub(super) fn key_of(&self, row_group: usize, leaf: usize) -> Option<ChunkKey> {
        if !self.is_sealed || row_group >= self.groups.len() {
            return None;
        }
        let mut thrift = Thrift(self.chunk(row_group, leaf));
        let mut field = 0;
        loop {
            match thrift.field(field)? {
                (_, STOP) => return None,
                (CRYPTO_METADATA, kind) => return ChunkKey::parse(thrift.value(kind)?),
                (id, kind) => {
                    thrift.skip(kind, MAX_DEPTH)?;
                    field = id;
                }
            }
        }
    }
}

/// The schema, as far as it was walked.
struct Schema {
    root_name: String,
    columns: Vec<ColumnOutline>,
    roots: Roots,
}

/// An element of the schema.
struct Element<'a> {
    name: &'a str,
    children: u64,
}

struct Walk<'a> {
    whole: usize,
    thrift: Thrift<'a>,
    is_sealed: bool,
}

impl<'a> Walk<'a> {
    /// How far the walk has come. A footer's length is stored in four bytes.
    fn position(&self) -> Option<u32> {
        u32::try_from(self.whole - self.thrift.0.len()).ok()
    }

    /// Where a value of this type lies.
    fn range(&mut self, kind: u8) -> Option<Range<usize>> {
        let start = self.whole - self.thrift.0.len();
        let bytes = self.thrift.value(kind)?.len();
        Some(start..start + bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.thrift.binary()?).ok()
    }

    /// Items of a list of structs, of which each takes a byte at least.
    fn structs(&mut self) -> Option<usize> {
        let (items, kind) = self.thrift.list()?;
        let items = usize::try_from(items).ok()?;
        (kind == STRUCT && items <= self.thrift.0.len()).then_some(items)
    }

    /// Elements come depth first: the root, then each of its columns with what is below it.
    fn schema(&mut self) -> Option<Schema> {
        let all = self.structs()?.checked_sub(1)?;
        let root = self.element()?;
        let count = usize::try_from(root.children).ok()?;
        if count > all {
            return None;
        }
        let mut roots = Roots::with_capacity(count);
        let mut columns = Vec::with_capacity(count + 1);
        let mut elements = 0;
        for _ in 0..count {
            let start = self.position()?;
            columns.push(ColumnOutline { start, elements });
            let column = self.element()?;
            elements += 1;
            let (mut below, mut leaves) = (column.children, u32::from(column.children == 0));
            while below > 0 {
                let element = self.element()?;
                elements += 1;
                leaves += u32::from(element.children == 0);
                below = (below - 1).checked_add(element.children)?;
            }
            roots.push(column.name, leaves);
        }
        let start = self.position()?;
        columns.push(ColumnOutline { start, elements });
        (elements as usize == all).then_some(Schema {
            root_name: root.name.to_owned(),
            columns,
            roots,
        })
    }

    fn element(&mut self) -> Option<Element<'a>> {
        let (mut name, mut children) = (None, 0);
        let mut field = 0;
        loop {
            let (id, kind) = self.thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (4, BINARY) => name = Some(self.text()?),
                (5, I32) => children = u64::try_from(self.thrift.zigzag()?).ok()?,
                _ => self.thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        let name = name?;
        Some(Element { name, children })
    }

    fn groups(&mut self, schema: &Schema) -> Option<Vec<GroupOutline>> {
        let count = self.structs()?;
        (0..count).map(|_| self.group(schema)).collect()
    }

    fn group(&mut self, schema: &Schema) -> Option<GroupOutline> {
        let mut group = GroupOutline::default();
        let mut rows = None;
        let mut field = 0;
        loop {
            let (id, kind) = self.thrift.field(field)?;
            match (id, kind) {
                (_, STOP) => break,
                (1, LIST) => group.chunks = self.chunks(schema.roots.leaves())?,
                (2, I64) => group.total_byte_size = self.thrift.zigzag()?,
                (3, I64) => rows = Some(u64::try_from(self.thrift.zigzag()?).ok()?),
                _ => self.thrift.skip(kind, MAX_DEPTH)?,
            }
            field = id;
        }
        group.rows = rows?;
        (group.chunks.len() == schema.roots.leaves() + 1).then_some(group)
    }

    fn chunks(&mut self, leaves: usize) -> Option<Vec<u32>> {
        if self.structs()? != leaves {
            return None;
        }
        let mut chunks = Vec::with_capacity(leaves + 1);
        for _ in 0..leaves {
            chunks.push(self.position()?);
            self.chunk()?;
        }
        chunks.push(self.position()?);
        Some(chunks)
    }

    fn chunk(&mut self) -> Option<()> {
        let mut field = 0;
        loop {
            match self.thrift.field(field)? {
                (_, STOP) => return Some(()),
                (id, kind) => {
                    self.thrift.skip(kind, MAX_DEPTH)?;
                    self.is_sealed |= id == CRYPTO_METADATA;
                    field = id;
                }
            }
        }
    }
}

/// Of a column chunk: whose key it is encrypted with.
const CRYPTO_METADATA: i64 = 8;
