//! A footer cut down to some of its columns, and these opened, as bytes: what the Parquet crate then decodes. Pure.

use std::ops::Range;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};

use crate::encryption::module::{ChunkPlace, Module};
use crate::encryption::unlock::opener::{ChunkKey, Opener};
use crate::footer::outline::Outline;
use crate::thrift::{BINARY, I32, I64, LIST, STOP, STRUCT, Thrift, Written};

/// What of a footer is wanted.
pub(super) struct Part<'a> {
    /// Root columns, ascending, and their leaves.
    pub(super) roots: &'a [usize],
    pub(super) leaves: &'a [usize],
    pub(super) row_groups: Range<usize>,
    /// Whether to have what the writer embedded, too.
    pub(super) with_key_values: bool,
}

/// Why part of a footer can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Uncut {
    #[error(
        "what it says of column {0} does not fit its tag: it was altered, or belongs to another place or file"
    )]
    Altered(usize),
    /// Of the column of this path.
    #[error("the key of column {0} is wrong")]
    Key(String),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

impl Outline {
    /// The metadata of some root columns in some row groups. Sealed columns are described as far as `opener` has their keys,
    /// and then as if they had been stored plain.
    pub(super) fn decode(
        &self,
        part: &Part<'_>,
        opener: Option<&Opener>,
        options: &ParquetMetaDataOptions,
    ) -> Result<ParquetMetaData, Uncut> {
        let cut = self.cut(part, opener)?;
        Ok(ParquetMetaDataReader::decode_metadata_with_options(
            &cut,
            Some(options),
        )?)
    }

    fn cut(&self, part: &Part<'_>, opener: Option<&Opener>) -> Result<Vec<u8>, Uncut> {
        let groups = &self.groups[part.row_groups.clone()];
        let rows: u64 = groups.iter().map(|group| group.rows).sum();
        let mut cut = Written::default();
        cut.field(1, I32);
        cut.zigzag(self.version);
        cut.field(1, LIST);
        let elements = part.roots.iter().map(|root| self.elements(*root));
        cut.structs(1 + elements.sum::<usize>());
        root_element(&mut cut, &self.root_name, part.roots.len());
        for root in part.roots {
            let (start, end) = (self.columns[*root].start, self.columns[*root + 1].start);
            cut.0
                .extend_from_slice(&self.metadata[start as usize..end as usize]);
        }
        cut.field(1, I64);
        cut.zigzag(rows.cast_signed());
        cut.field(1, LIST);
        cut.structs(groups.len());
        for (row_group, group) in part.row_groups.clone().zip(groups) {
            cut.field(1, LIST);
            cut.structs(part.leaves.len());
            for column in part.leaves {
                let place = ChunkPlace {
                    row_group,
                    column: *column,
                };
                self.chunk_opened(&mut cut, place, opener)?;
            }
            cut.field(1, I64);
            cut.zigzag(group.total_byte_size);
            cut.field(1, I64);
            cut.zigzag(group.rows.cast_signed());
            cut.0.push(STOP);
        }
        if let Some(key_values) = self.key_values.clone().filter(|_| part.with_key_values) {
            cut.field_of_id(5, LIST);
            cut.0.extend_from_slice(&self.metadata[key_values]);
        }
        if let Some(created_by) = &self.created_by {
            cut.field_of_id(6, BINARY);
            cut.text(created_by);
        }
        cut.0.push(STOP);
        Ok(cut.0)
    }

    /// How many elements of the schema describe a root column.
    fn elements(&self, root: usize) -> usize {
        (self.columns[root + 1].elements - self.columns[root].elements) as usize
    }

    /// A column chunk, with what is said of it opened if that is sealed and can be.
    fn chunk_opened(
        &self,
        cut: &mut Written,
        place: ChunkPlace,
        opener: Option<&Opener>,
    ) -> Result<(), Uncut> {
        let stored = self.chunk(place.row_group, place.column);
        let opened = opener.and_then(|opener| {
            let key = self.key_of(place.row_group, place.column)?;
            plain(stored, place, opener, &key)
        });
        match opened.transpose()? {
            Some(plain) => cut.0.extend_from_slice(&plain),
            None => cut.0.extend_from_slice(stored),
        }
        Ok(())
    }
}

/// A column chunk as it would be described were it not encrypted; `None` if its key is not there.
fn plain(
    stored: &[u8],
    place: ChunkPlace,
    opener: &Opener,
    key: &ChunkKey,
) -> Option<Result<Vec<u8>, Uncut>> {
    opener.cipher(key)?;
    let wrong = || match key {
        ChunkKey::Footer => Uncut::Altered(place.column),
        ChunkKey::Own { column, .. } => Uncut::Key(column.clone()),
    };
    let (mut plain, mut description) = (Written::default(), None);
    let (mut thrift, mut field) = (Thrift(stored), 0);
    loop {
        let (id, kind) = thrift.field(field)?;
        match (id, kind) {
            (_, STOP) => break,
            (DESCRIPTION, STRUCT) => {
                let value = thrift.value(kind)?;
                description.get_or_insert_with(|| value.to_vec());
            }
            (KEY, _) => thrift.value(kind).map(drop)?,
            (SEALED_DESCRIPTION, BINARY) => {
                let (sealed, module) = (thrift.binary()?, Module::ColumnMetaData(place));
                let Some(opened) = opener.open(key, sealed, module) else {
                    return Some(Err(wrong()));
                };
                // some writers have something after it
                description = Some(Thrift(&opened).value(STRUCT)?.to_vec());
            }
            _ => {
                plain.field_of_id(id, kind);
                plain.0.extend_from_slice(thrift.value(kind)?);
            }
        }
        field = id;
    }
    plain.field_of_id(DESCRIPTION, STRUCT);
    plain.0.extend_from_slice(&description?);
    plain.0.push(STOP);
    Some(Ok(plain.0))
}

/// The schema's root, of so many columns: its name and their number.
fn root_element(cut: &mut Written, name: &str, columns: usize) {
    cut.field(4, BINARY);
    cut.text(name);
    cut.field(1, I32);
    cut.zigzag((columns as u64).cast_signed());
    cut.0.push(STOP);
}

/// Fields of a column chunk: what is said of it, whose key it is encrypted with, and what is said of it, sealed.
const DESCRIPTION: i64 = 3;
const KEY: i64 = 8;
const SEALED_DESCRIPTION: i64 = 9;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, Int64Array, ListArray, MapArray, RecordBatch};
    use arrow::array::{Int64Builder, MapBuilder, StringBuilder, StructArray};
    use arrow::datatypes::{DataType, Field, Int64Type};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use crate::footer::options;

    use super::*;

    /// Columns of every depth, in row groups of two rows.
    fn stored() -> Bytes {
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0]));
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(-2), Some(7), None, None]));
        let lists = [Some(vec![Some(1), None]), None, Some(vec![]), None, None];
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let pairs: ArrayRef = Arc::new(StructArray::from(vec![
            (
                Arc::new(Field::new("x", DataType::Float32, true)),
                floats.clone(),
            ),
            (
                Arc::new(Field::new("y", lists.data_type().clone(), true)),
                lists.clone(),
            ),
        ]));
        let columns = [
            ("a", floats),
            ("b", lists),
            ("c", pairs),
            ("d", maps()),
            ("ü", ints),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        );
        let batch = batch.unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2));
        let mut file = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut file, batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let end = file.len() - 8;
        let length: [u8; 4] = file[end..end + 4].try_into().unwrap();
        Bytes::from(file).slice(end - u32::from_le_bytes(length) as usize..end)
    }

    fn maps() -> ArrayRef {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for row in 0..5 {
            maps.keys().append_value(format!("key {row}"));
            maps.values().append_value(row);
            maps.append(true).unwrap();
        }
        let maps: MapArray = maps.finish();
        Arc::new(maps)
    }

    fn whole(stored: &[u8]) -> Result<ParquetMetaData, ParquetError> {
        ParquetMetaDataReader::decode_metadata_with_options(stored, Some(&options()))
    }

    fn chosen(subset: u32, of: usize) -> Vec<usize> {
        (0..of).filter(|index| subset >> index & 1 == 1).collect()
    }

    #[test]
    fn any_columns_of_any_row_groups_are_decoded_as_the_whole_has_them() {
        let stored = stored();
        let whole = whole(&stored).unwrap();
        let (outline, roots, _) = Outline::of(stored).unwrap();
        let names: Vec<_> = (0..roots.len()).map(|root| roots.name(root)).collect();
        assert_eq!(names, ["a", "b", "c", "d", "ü"]);
        assert_eq!(outline.row_group_rows(), [2, 2, 1]);
        let schema = whole.file_metadata().schema_descr();
        for subset in 0..1 << roots.len() {
            let wanted = chosen(subset, roots.len());
            let leaves: Vec<usize> = wanted
                .iter()
                .flat_map(|root| roots.leaves_of(*root))
                .collect();
            for groups in [0..3, 1..2, 2..2] {
                let part = Part {
                    roots: &wanted,
                    leaves: &leaves,
                    row_groups: groups.clone(),
                    with_key_values: false,
                };
                let cut = outline.decode(&part, None, &options()).unwrap();
                let file = cut.file_metadata();
                assert_eq!(file.created_by(), whole.file_metadata().created_by());
                assert_eq!(file.version(), whole.file_metadata().version());
                for (column, leaf) in leaves.iter().enumerate() {
                    assert_eq!(file.schema_descr().column(column), schema.column(*leaf));
                }
                for (group, of) in cut.row_groups().iter().zip(&whole.row_groups()[groups]) {
                    assert_eq!(group.num_rows(), of.num_rows());
                    assert_eq!(group.total_byte_size(), of.total_byte_size());
                    let columns: Vec<_> = leaves.iter().map(|leaf| of.column(*leaf)).collect();
                    assert_eq!(group.columns().iter().collect::<Vec<_>>(), columns);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// What the crate decodes is never outlined otherwise, and nothing panics.
        #[test]
        fn a_damaged_footer_is_outlined_as_it_reads_or_not_at_all(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            end in any::<prop::sample::Index>(),
            cut_short in any::<bool>(),
        ) {
            let mut damaged = stored().to_vec();
            for (place, byte) in damage {
                let place = place.index(damaged.len());
                damaged[place] = byte;
            }
            if cut_short {
                damaged.truncate(end.index(damaged.len()));
            }
            let whole = whole(&damaged);
            if let Some((outline, roots, _)) = Outline::of(damaged.into()) {
                let all: Vec<usize> = (0..roots.len()).collect();
                let leaves: Vec<usize> = (0..roots.leaves()).collect();
                let part = Part {
                    roots: &all,
                    leaves: &leaves,
                    row_groups: 0..outline.groups.len(),
                    with_key_values: true,
                };
                let cut = outline.decode(&part, None, &options());
                if let (Ok(whole), Ok(cut)) = (&whole, &cut) {
                    let columns = |metadata: &ParquetMetaData| -> Vec<_> {
                        let groups = metadata.row_groups().iter();
                        groups.flat_map(|group| group.columns().to_vec()).collect()
                    };
                    prop_assert_eq!(columns(whole), columns(cut));
                }
            }
        }
    }
}
