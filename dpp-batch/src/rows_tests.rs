use proptest::{collection::vec, prelude::*};

use super::*;
use crate::arbitrary::{Row, layout, pack, table};

proptest! {
    /// However rows are cut into frames and taken again, the batch is the one packed at once.
    #[test]
    fn cutting_and_joining_changes_nothing((layout, rows) in table(30), frames in vec(1..8usize, 1..30), takes in vec(1..8usize, 1..60)) {
        let mut parts = Vec::new();
        let mut at = 0usize;
        for size in frames.into_iter().chain([usize::MAX]) {
            let end = at.max(rows.len().min(at.saturating_add(size)));
            parts.push(Rows::new(pack(&layout, &rows[at..end])));
            at = end;
        }
        let mut slices = Vec::new();
        let mut takes = takes.into_iter().cycle();
        for mut part in parts {
            while part.remaining() > 0 {
                slices.push(part.take(takes.next().unwrap()));
            }
            slices.push(part.take(1));
        }
        let (left, right) = slices.split_at(slices.len() / 2);
        let middle: usize = left.iter().map(Slice::rows).sum();
        prop_assert_eq!(concat(&layout, left), pack(&layout, &rows[..middle]));
        prop_assert_eq!(concat(&layout, right), pack(&layout, &rows[middle..]));
    }

    #[test]
    fn padding_is_rows_of_nothing(layout in layout(), count in 0..5usize) {
        let nothing = Row {
            dense: vec![0; layout.dense.len()],
            labels: vec![0; layout.labels.len()],
            ids: vec![Vec::new(); layout.sparse.len()],
            vectors: layout.vectors.iter().map(|vector| vec![0; vector.width]).collect(),
            extras: vec![None; layout.extras.len()],
        };
        let padded = concat(&layout, &[padding(&layout, count)]);
        prop_assert_eq!(padded, pack(&layout, &vec![nothing; count]));
    }
}

#[test]
fn a_whole_batch_is_handed_on_and_not_copied() {
    let layout = Arc::new(Layout {
        dense: vec!["d".into()],
        ..Layout::default()
    });
    let mut batch = Batch::padding(&layout, 3);
    batch.dense = Buffer::from_vec(vec![1_f32, 2.0, 3.0]);
    let (values, whole) = (batch.dense.as_ptr(), batch.clone());
    let joined = |batch: Batch| concat(&layout, &[Rows::new(batch).take(9)]);
    assert_eq!(joined(batch.clone()).dense.as_ptr(), values);
    let moved = [&[0_u8][..], &batch.dense].concat();
    batch.dense = Buffer::from_vec(moved).slice(1);
    let (misaligned, joined) = (batch.dense.as_ptr(), joined(batch));
    assert_ne!(misaligned.align_offset(4), 0);
    assert_eq!(joined.dense.as_ptr().align_offset(4), 0);
    assert_eq!(joined, whole);
}

#[test]
fn no_slices_are_an_empty_batch() {
    let layout = Arc::new(Layout {
        dense: vec!["d".into()],
        ..Layout::default()
    });
    let batch = concat(&layout, &[]);
    assert_eq!((batch.rows, batch.dense.len()), (0, 0));
    batch.check().unwrap();
}

#[test]
fn lengths_that_lie_are_refused() {
    let layout = Arc::new(Layout {
        sparse: vec![crate::SparseKey {
            name: "C1".into(),
            weighted: false,
        }],
        ..Layout::default()
    });
    let lying = |length: i32| Batch {
        sparse: Jagged {
            lengths: Buffer::from_vec(vec![length]),
            values: Buffer::from_vec(vec![5i64]),
            weights: None,
        },
        ..concat(&layout, &[])
    };
    let check = |length| {
        let batch = Batch {
            rows: 1,
            ..lying(length)
        };
        batch.check()
    };
    for length in [2, 0, -1, i32::MIN] {
        assert!(check(length).is_err(), "{length}");
    }
    check(1).unwrap();
}
