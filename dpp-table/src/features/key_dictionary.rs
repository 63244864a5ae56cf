//! The keys that a chunk's dictionary lists: all that its rows have, if every page refers to it. Pure.
//!
//! A map of features has few keys and many entries. Writers put into a dictionary what rows have, so nothing but its
//! page needs to be unpacked; a key that is in it and in no row is a feature that is always absent.

use std::ops::Range;

use bytes::{Buf as _, Bytes};
use parquet::basic::Type as PhysicalType;
use parquet::column::page::{Page, PageReader};

use crate::features::feature_map::MapKey;
use crate::read::pages;
use crate::read::pages::header::{PLAIN_DICTIONARY, PageKind, RLE_DICTIONARY};
use crate::read::sparse::SparseFile;

/// Whether the chunk, or the part of it that `range` is, begins with a dictionary that all its pages refer to.
pub(crate) fn is_complete(file: &SparseFile, range: Range<u64>) -> bool {
    let mut kinds = pages::headers(file, range).map(|(_, header)| header.kind);
    let refers = |kind| match kind {
        PageKind::Data(data) => [PLAIN_DICTIONARY, RLE_DICTIONARY].contains(&data.encoding),
        PageKind::Dictionary { .. } => false,
        PageKind::Other => true,
    };
    matches!(kinds.next(), Some(PageKind::Dictionary { .. })) && kinds.all(refers)
}

/// The keys of the dictionary that `pages` begin with; `None` when it can't be read. A text that is not UTF-8 is no key.
pub(crate) fn keys(physical: PhysicalType, pages: &mut dyn PageReader) -> Option<Vec<MapKey>> {
    let Page::DictionaryPage {
        mut buf,
        num_values,
        ..
    } = pages.get_next_page().ok()??
    else {
        return None;
    };
    let mut keys = Vec::new();
    for _ in 0..num_values {
        keys.extend(match physical {
            PhysicalType::INT32 => Some(MapKey::Integer(buf.try_get_i32_le().ok()?.into())),
            PhysicalType::INT64 => Some(MapKey::Integer(buf.try_get_i64_le().ok()?)),
            PhysicalType::BYTE_ARRAY => text(&mut buf)?,
            _ => return None,
        });
    }
    Some(keys)
}

/// The next text; `Some(None)` when it is not UTF-8.
fn text(buf: &mut Bytes) -> Option<Option<MapKey>> {
    let length = buf.try_get_u32_le().ok()? as usize;
    let text = (length <= buf.len()).then(|| buf.split_to(length))?;
    let text = std::str::from_utf8(&text).ok();
    Some(text.map(|text| MapKey::Text(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;

    /// Whether all is in the dictionary, and what is, of a file of one column.
    fn read(column: ArrayRef, dictionary_bytes: usize) -> (bool, Option<Vec<MapKey>>) {
        let properties = WriterProperties::builder()
            .set_dictionary_page_size_limit(dictionary_bytes)
            .set_write_batch_size(100)
            .set_data_page_row_count_limit(500)
            .build();
        let batch = RecordBatch::try_from_iter([("key", column)]).unwrap();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let stored = Bytes::from(writer.into_inner().unwrap());
        let reader = SerializedFileReader::new(stored.clone()).unwrap();
        let chunk = reader.metadata().row_group(0).column(0);
        let (start, length) = chunk.byte_range();
        let file_bytes = stored.len() as u64;
        let whole = 0..file_bytes;
        let file = SparseFile::new(std::slice::from_ref(&whole), vec![stored], file_bytes);
        let group = reader.get_row_group(0).unwrap();
        let mut pages = group.get_column_page_reader(0).unwrap();
        (
            is_complete(&file, start..start + length),
            keys(chunk.column_type(), &mut *pages),
        )
    }

    #[test]
    fn lists_what_rows_have() {
        let numbers = [7, -3, 1 << 30, 0, 5];
        let integers = |values: &[i64]| values.iter().copied().map(MapKey::Integer).collect();
        let expected: BTreeSet<MapKey> = integers(&numbers);
        let rows = (0..3_000).map(|row| numbers[row % 5]);
        let as_i32 = Int32Array::from_iter_values(rows.clone().map(|key| key as i32));
        let columns: [ArrayRef; 2] = [
            Arc::new(as_i32),
            Arc::new(Int64Array::from_iter_values(rows)),
        ];
        for column in columns {
            let (is_complete, keys) = read(column, 1 << 20);
            assert!(is_complete);
            assert_eq!(keys.unwrap().into_iter().collect::<BTreeSet<_>>(), expected);
        }
        let texts = StringArray::from_iter_values((0..3_000).map(|row| format!("é{}", row % 4)));
        let (is_complete, keys) = read(Arc::new(texts), 1 << 20);
        let texts = (0..4).map(|key| MapKey::Text(format!("é{key}")));
        assert!(is_complete);
        assert_eq!(keys, Some(texts.collect()));
    }

    #[test]
    fn is_not_complete_once_pages_do_without_it() {
        let many: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3_000));
        assert!(!read(many, 2_000).0);
    }
}
