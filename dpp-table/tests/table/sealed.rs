//! Encrypted pages: tied to their places, and found by them.

use std::fs;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::Int64Type;
use dpp_proto::Fault;
use dpp_proto::v1::Kind;
use dpp_table::PieceRequest;
use parquet::arrow::ArrowWriter;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::encrypted::{check, opened, ring};
use crate::support::{Folder, feature, read, whole};

/// Where the modules of a column chunk lie, its length (4 bytes) with each.
fn modules(bytes: &[u8], chunk: Range<usize>) -> Vec<Range<usize>> {
    let mut modules = Vec::new();
    let mut start = chunk.start;
    while start < chunk.end {
        let length = u32::from_le_bytes(*bytes[start..].first_chunk().unwrap());
        let end = start + 4 + length as usize;
        modules.push(start..end);
        start = end;
    }
    assert_eq!(start, chunk.end);
    modules
}

/// Two columns of equal floats in pages that are all of one length, under one key.
fn even_file() -> (Vec<u8>, Vec<Range<usize>>) {
    let column: ArrayRef = Arc::new(Float32Array::from_iter_values(
        (0..1200).map(|row| (row % 100) as f32),
    ));
    let batch = RecordBatch::try_from_iter([("a", Arc::clone(&column)), ("b", column)]).unwrap();
    let properties = FileEncryptionProperties::builder(b"0123456789012345".to_vec())
        .with_footer_key_metadata(b"kf".to_vec())
        .build();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .set_max_row_group_row_count(Some(600))
        .set_offset_index_disabled(true)
        .with_file_encryption_properties(properties.unwrap())
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let metadata = writer.close().unwrap();
    let groups = metadata.row_groups().iter();
    let chunk = |column: &ColumnChunkMetaData| {
        let (start, length) = column.byte_range();
        start as usize..(start + length) as usize
    };
    let chunks = groups
        .flat_map(|group| group.columns().iter().map(chunk))
        .collect();
    (file, chunks)
}

/// Every module is tied to its file, row group, column and page, and to whether it is a header.
#[tokio::test]
async fn nothing_that_was_moved_or_altered_is_read() {
    let (original, chunks) = even_file();
    let folder = Folder::new();
    fs::write(folder.path("part"), &original).unwrap();
    let wanted = [feature("a", Kind::Dense), feature("b", Kind::Dense)];
    let table = opened(&folder.url(), ring());
    let described = table.describe().await.unwrap();
    let file = described.snapshot.files()[0].clone();
    let request = |rows: Range<u64>| PieceRequest {
        rows,
        ..whole(&file, &wanted)
    };
    let found = read(&table, request(600..1200)).await.unwrap();
    assert_eq!(found[0].column(0), found[0].column(1));
    let [a, b, later, _] = &chunks[..] else {
        panic!("{} chunks", chunks.len());
    };
    let pages = modules(&original, a.clone());
    assert_eq!((pages.len(), a.len(), a.len()), (12, b.len(), later.len()));
    let exchanged = |one: &Range<usize>, other: &Range<usize>| {
        let mut bytes = original.clone();
        bytes[one.clone()].copy_from_slice(&original[other.clone()]);
        bytes[other.clone()].copy_from_slice(&original[one.clone()]);
        bytes
    };
    let two_pages = |first: usize| pages[first].start..pages[first + 1].end;
    let mut all = vec![
        ("columns", exchanged(a, b)),
        ("row groups", exchanged(a, later)),
        ("pages", exchanged(&two_pages(2), &two_pages(6))),
        ("headers", exchanged(&pages[2], &pages[6])),
        ("bodies", exchanged(&pages[3], &pages[7])),
    ];
    // in the middle of what is sealed, of a length, of a nonce, of a tag
    for module in [0, 1, 4, 11] {
        for place in [
            pages[module].start + 20,
            pages[module].start,
            pages[module].start + 6,
            pages[module].end - 1,
        ] {
            let mut bytes = original.clone();
            bytes[place] ^= 1;
            all.push(("a byte", bytes));
        }
    }
    for (what, bytes) in all {
        assert_ne!(bytes, original, "{what}");
        fs::write(folder.path("part"), &bytes).unwrap();
        let table = opened(&folder.url(), ring());
        for most_held_bytes in [u64::MAX, 1] {
            let request = PieceRequest {
                most_held_bytes,
                ..request(0..600)
            };
            let error = read(&table, request).await.unwrap_err();
            check(&error, Fault::Corrupt, &["altered, or belongs to another"]);
        }
    }
}

/// Pieces of a large row group read their own pages, whether the file has an index of them, which is sealed as well, or not.
#[tokio::test]
async fn pieces_of_encrypted_row_groups_read_their_own_pages() {
    for has_index in [true, false] {
        let rows = 0..300_000;
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(
            rows.clone().map(|row| row * 7919 % 1_000_003),
        ));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
            rows.map(|row| format!("text {row}")),
        ));
        let batch = RecordBatch::try_from_iter([("ids", ids), ("texts", texts)]).unwrap();
        let builder = FileEncryptionProperties::builder(b"0123456789012345".to_vec());
        let builder = builder.with_footer_key_metadata(b"kf".to_vec());
        let builder = builder.with_column_key_and_metadata(
            "ids",
            b"1234567890123450".to_vec(),
            b"kc1".to_vec(),
        );
        let builder = builder.with_column_key_and_metadata(
            "texts",
            b"1234567890123451".to_vec(),
            b"kc2".to_vec(),
        );
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(16 << 10)
            .set_offset_index_disabled(!has_index)
            .with_file_encryption_properties(builder.build().unwrap());
        let folder = Folder::new();
        folder.write("part", &batch, properties.build());
        let table = opened(&folder.url(), ring());
        let description = table.describe().await.unwrap();
        let file = description.snapshot.files()[0].clone();
        let features = description.schema.features;
        for (start, is_first) in [(150_000, true), (200_000, false), (10_000, false)] {
            let piece = PieceRequest {
                rows: start..start + 3000,
                ..whole(&file, &features)
            };
            let piece = table.fetch(piece).await.unwrap();
            if has_index || !is_first {
                assert!(
                    piece.io().wanted_bytes * 20 < file.size_bytes,
                    "{:?}",
                    piece.io()
                );
            }
            let mut row = start.cast_signed();
            for found in piece.decode().unwrap() {
                let found = found.unwrap();
                let ids = found
                    .column_by_name("ids")
                    .unwrap()
                    .as_primitive::<Int64Type>();
                for id in ids.values() {
                    assert_eq!(*id, row * 7919 % 1_000_003);
                    row += 1;
                }
            }
            assert_eq!(row.cast_unsigned(), start + 3000);
        }
    }
}
