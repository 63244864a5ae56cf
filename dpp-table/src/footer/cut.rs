//! A footer cut down to some of its columns, as bytes: what the Parquet crate then decodes. Pure.

use std::ops::Range;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};

use crate::footer::outline::{GroupOutline, Outline};
use crate::thrift::{BINARY, I32, I64, LIST, STOP, STRUCT};

impl Outline {
    /// The metadata of root columns, which have these `leaves`, in some row groups.
    pub(super) fn decode(
        &self,
        roots: &[usize],
        leaves: &[usize],
        row_groups: Range<usize>,
        options: &ParquetMetaDataOptions,
    ) -> Result<ParquetMetaData, ParquetError> {
        let cut = self.cut(roots, leaves, &self.groups[row_groups]);
        ParquetMetaDataReader::decode_metadata_with_options(&cut, Some(options))
    }

    fn cut(&self, roots: &[usize], leaves: &[usize], groups: &[GroupOutline]) -> Vec<u8> {
        let rows: u64 = groups.iter().map(|group| group.rows).sum();
        let mut cut = Cut(Vec::new());
        cut.field(1, I32);
        cut.zigzag(self.version);
        cut.field(1, LIST);
        let elements = roots.iter().map(|root| self.elements(*root));
        cut.structs(1 + elements.sum::<usize>());
        cut.root(&self.root_name, roots.len());
        for root in roots {
            let (start, end) = (self.columns[*root].start, self.columns[*root + 1].start);
            self.copy(&mut cut, start, end);
        }
        cut.field(1, I64);
        cut.zigzag(rows.cast_signed());
        cut.field(1, LIST);
        cut.structs(groups.len());
        for group in groups {
            cut.field(1, LIST);
            cut.structs(leaves.len());
            for leaf in leaves {
                self.copy(&mut cut, group.chunks[*leaf], group.chunks[*leaf + 1]);
            }
            cut.field(1, I64);
            cut.zigzag(group.total_byte_size);
            cut.field(1, I64);
            cut.zigzag(group.rows.cast_signed());
            cut.0.push(STOP);
        }
        if let Some(created_by) = &self.created_by {
            cut.field(2, BINARY);
            cut.text(created_by);
        }
        cut.0.push(STOP);
        cut.0
    }

    /// How many elements of the schema describe a root column.
    fn elements(&self, root: usize) -> usize {
        (self.columns[root + 1].elements - self.columns[root].elements) as usize
    }

    fn copy(&self, cut: &mut Cut, start: u32, end: u32) {
        let copied = &self.metadata[start as usize..end as usize];
        cut.0.extend_from_slice(copied);
    }
}

/// Thrift's compact protocol, written.
struct Cut(Vec<u8>);

impl Cut {
    /// A field that comes `after` so many ids.
    fn field(&mut self, after: u8, kind: u8) {
        self.0.push((after << 4) | kind);
    }

    fn structs(&mut self, count: usize) {
        self.0.push(0xF0 | STRUCT);
        self.varint(count as u64);
    }

    /// The schema's root, of so many columns: its name and their number.
    fn root(&mut self, name: &str, columns: usize) {
        self.field(4, BINARY);
        self.text(name);
        self.field(1, I32);
        self.zigzag((columns as u64).cast_signed());
        self.0.push(STOP);
    }

    fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

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
        let (outline, roots) = Outline::of(stored).unwrap();
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
                let cut = outline
                    .decode(&wanted, &leaves, groups.clone(), &options())
                    .unwrap();
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
            if let Some((outline, roots)) = Outline::of(damaged.into()) {
                let all: Vec<usize> = (0..roots.len()).collect();
                let leaves: Vec<usize> = (0..roots.leaves()).collect();
                let groups = 0..outline.groups.len();
                let cut = outline.decode(&all, &leaves, groups, &options());
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
