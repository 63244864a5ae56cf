//! A file as a projection sees it: only the root columns it reads, of one row group. What follows the footer's own decode
//! then costs by the features that are read, not by the columns that are there.
//!
//! ```text
//! file    a b c d e … (20,000)   ─▶ NarrowSchema  b d          ─▶ metadata of row group 3 alone: chunks of b and d
//! ```
//!
//! Both are cut out of the stored footer, or of the decoded one if that was not outlined. Types come from the Parquet schema;
//! the Arrow schema that a writer embedded is decoded only where it is needed to tell a kind (fixed-size lists are lists to
//! Parquet).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{Field, Schema};
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::encode_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataOptions, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use crate::encryption::unlock::opener::Opener;
use crate::error::Error;
use crate::footer::cut::{Part, Uncut};
use crate::footer::outline::Outline;
use crate::footer::{Footer, arrow_metadata, options};
use crate::read::decode::guarded;

/// Some root columns of a file, in file order.
#[derive(Debug)]
pub(crate) struct NarrowSchema {
    roots: Vec<usize>,
    /// Their leaves, as the file counts them.
    pub(crate) leaves: Vec<usize>,
    parquet: SchemaDescPtr,
    /// The embedded Arrow schema, cut down as well, if it is used.
    hint: Option<String>,
    fields: HashMap<String, (usize, Field)>,
}

impl NarrowSchema {
    /// A column by name: its root in the file, and how it is read.
    pub(crate) fn column(&self, name: &str) -> Option<(usize, &Field)> {
        let (root, field) = self.fields.get(name)?;
        Some((*root, field))
    }

    /// Whether the embedded Arrow schema was used.
    pub(crate) fn is_hinted(&self) -> bool {
        self.hint.is_some()
    }

    /// The roots, ascending.
    pub(crate) fn roots(&self) -> &[usize] {
        &self.roots
    }

    fn new(name: &str, footer: &Footer, roots: &[usize], with_hint: bool) -> Result<Self, Error> {
        let leaves = footer.leaves_of(roots);
        let parquet = match footer.outline() {
            Some(outline) => {
                let part = Part {
                    roots,
                    leaves: &leaves,
                    row_groups: 0..0,
                    with_key_values: false,
                };
                let schema = decode(name, outline, &part, None, &options())?;
                schema.file_metadata().schema_descr_ptr()
            }
            None => cut_down(name, footer, roots)?,
        };
        let hint = match with_hint {
            true => Some(encode_arrow_schema(&embedded(name, footer, roots)?)),
            false => None,
        };
        let mut schema = NarrowSchema {
            roots: roots.to_vec(),
            leaves,
            parquet,
            hint,
            fields: HashMap::new(),
        };
        let arrow = schema.arrow(name, footer, Vec::new())?;
        for root in roots {
            let column = footer.roots.name(*root);
            if let Ok(field) = arrow.schema().field_with_name(column) {
                let found = (*root, field.clone());
                schema.fields.insert(column.to_owned(), found);
            }
        }
        Ok(schema)
    }

    /// The columns' metadata in one row group, which is row group 0 of it.
    pub(crate) fn of_row_group(
        &self,
        name: &str,
        footer: &Footer,
        row_group: usize,
    ) -> Result<ArrowReaderMetadata, Error> {
        if let Some(outline) = footer.outline() {
            let part = Part {
                roots: &self.roots,
                leaves: &self.leaves,
                row_groups: row_group..row_group + 1,
                with_key_values: false,
            };
            let cut = decode(name, outline, &part, footer.opener.as_ref(), &options())?;
            return self.arrow(name, footer, cut.into_builder().take_row_groups());
        }
        let whole = footer.metadata(name)?;
        let whole = whole.row_group(row_group);
        let columns = self.leaves.iter().map(|leaf| whole.column(*leaf).clone());
        let group = RowGroupMetaData::builder(Arc::clone(&self.parquet))
            .set_num_rows(whole.num_rows())
            .set_total_byte_size(whole.total_byte_size())
            .set_column_metadata(columns.collect())
            .build();
        let group = group.map_err(|error: ParquetError| Error::corrupt(name, error))?;
        self.arrow(name, footer, vec![group])
    }

    fn arrow(
        &self,
        name: &str,
        footer: &Footer,
        groups: Vec<RowGroupMetaData>,
    ) -> Result<ArrowReaderMetadata, Error> {
        let hint = self.hint.clone();
        let hint = hint.map(|hint| vec![KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), hint)]);
        let rows = groups.iter().map(RowGroupMetaData::num_rows).sum();
        let file = FileMetaData::new(
            footer.version,
            rows,
            footer.created_by.clone(),
            hint,
            Arc::clone(&self.parquet),
            None,
        );
        arrow_metadata(name, Arc::new(ParquetMetaData::new(file, groups)))
    }
}

/// What the writer embedded about some columns.
fn embedded(name: &str, footer: &Footer, roots: &[usize]) -> Result<Schema, Error> {
    let arrow = footer.arrow(name)?;
    let arrow = arrow.schema();
    let column = |root: &usize| arrow.field_with_name(footer.roots.name(*root));
    let fields = roots.iter().filter_map(|root| column(root).ok().cloned());
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// What an outline says of some columns, in some row groups.
pub(super) fn decode(
    name: &str,
    outline: &Outline,
    part: &Part<'_>,
    opener: Option<&Opener>,
    options: &ParquetMetaDataOptions,
) -> Result<ParquetMetaData, Error> {
    let decoded = guarded(name, || outline.decode(part, opener, options))?;
    decoded.map_err(|uncut| match uncut {
        Uncut::Key(column) => Error::WrongKey {
            path: name.to_owned(),
            part: format!("column {column}"),
        },
        other => Error::corrupt(name, other),
    })
}

/// A schema of fewer columns.
fn cut_down(name: &str, footer: &Footer, roots: &[usize]) -> Result<SchemaDescPtr, Error> {
    let whole = footer.metadata(name)?;
    let whole = whole.file_metadata().schema_descr();
    let all = whole.root_schema().get_fields();
    let fields = roots.iter().map(|root| Arc::clone(&all[*root]));
    let narrow = Type::group_type_builder(whole.root_schema().name())
        .with_fields(fields.collect())
        .build();
    let narrow = narrow.map_err(|error| Error::corrupt(name, error))?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(narrow))))
}

/// Things made of a footer lately, the last few: a table's pieces are read one soon after the other, by few projections.
pub(crate) struct Recent<K, T, const KEPT: usize = 4> {
    entries: Mutex<Vec<(K, Arc<T>)>>,
}

impl<K: PartialEq, T, const KEPT: usize> Recent<K, T, KEPT> {
    /// The entry for `key`, made now if it is not there.
    pub(crate) fn get_or_try<E>(
        &self,
        key: K,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(known) = self.get(&key) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        self.insert(key, Arc::clone(&made));
        Ok(made)
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<T>> {
        let entries = self.lock();
        let found = entries.iter().find(|(known, _)| known == key);
        found.map(|(_, entry)| Arc::clone(entry))
    }

    /// Whether the next one drives out another.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().len() == KEPT
    }

    pub(crate) fn insert(&self, key: K, entry: Arc<T>) {
        let mut entries = self.lock();
        if entries.len() == KEPT {
            entries.remove(0);
        }
        entries.push((key, entry));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(K, Arc<T>)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T, const KEPT: usize> Default for Recent<K, T, KEPT> {
    fn default() -> Self {
        Recent {
            entries: Mutex::default(),
        }
    }
}

impl Footer {
    /// The file's columns at `roots`, which ascend. With `hint`, as the embedded Arrow schema has them.
    pub(crate) fn narrow(
        &self,
        name: &str,
        roots: &[usize],
        hint: bool,
    ) -> Result<Arc<NarrowSchema>, Error> {
        let key = (roots.to_vec(), hint);
        let make = || NarrowSchema::new(name, self, roots, hint);
        self.narrows.get_or_try(key, make)
    }

    /// Metadata of one row group, as a narrow schema sees it.
    pub(crate) fn narrow_group(
        &self,
        name: &str,
        schema: &NarrowSchema,
        row_group: usize,
    ) -> Result<ArrowReaderMetadata, Error> {
        let key = (schema.roots.clone(), schema.hint.is_some(), row_group);
        let make = || schema.of_row_group(name, self, row_group);
        let metadata = self.narrow_groups.get_or_try(key, make)?;
        Ok(ArrowReaderMetadata::clone(&metadata))
    }
}
