//! Random batches for property tests, made from plain rows so that tests have something naive to compare with.

use std::sync::Arc;

use arrow_buffer::Buffer;
use proptest::{collection::vec, prelude::*};

use crate::{Batch, Extra, ExtraData, ExtraKind, ExtraSpec, Jagged, Layout, SparseKey, VectorSpec};

/// One row, plainly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) dense: Vec<u32>, // bits, so that NaN equals itself
    pub(crate) labels: Vec<u32>,
    pub(crate) ids: Vec<Vec<(i64, u32)>>,
    pub(crate) vectors: Vec<Vec<u32>>,
    pub(crate) extras: Vec<Option<Vec<u8>>>,
}

pub(crate) fn layout() -> impl Strategy<Value = Arc<Layout>> {
    let kind = prop_oneof![
        Just(ExtraKind::Int),
        Just(ExtraKind::Dense),
        Just(ExtraKind::Bytes),
        Just(ExtraKind::Text)
    ];
    (
        0..4usize,
        0..3usize,
        vec(any::<bool>(), 0..4),
        vec(1..4usize, 0..3),
        vec(kind, 0..4),
    )
        .prop_map(|(dense, labels, sparse, vectors, extras)| {
            let name = |prefix: &str, i: usize| format!("{prefix}{i}");
            Arc::new(Layout {
                dense: (0..dense).map(|i| name("d", i)).collect(),
                labels: (0..labels).map(|i| name("l", i)).collect(),
                sparse: sparse
                    .into_iter()
                    .enumerate()
                    .map(|(i, weighted)| SparseKey {
                        name: name("s", i),
                        weighted,
                    })
                    .collect(),
                vectors: vectors
                    .into_iter()
                    .enumerate()
                    .map(|(i, width)| VectorSpec::plain(name("v", i), width))
                    .collect(),
                extras: extras
                    .into_iter()
                    .enumerate()
                    .map(|(i, kind)| ExtraSpec {
                        name: name("e", i),
                        kind,
                    })
                    .collect(),
            })
        })
}

pub(crate) fn rows(layout: &Layout, most: usize) -> impl Strategy<Value = Vec<Row>> + use<> {
    let weighted = layout.is_weighted();
    let ids = (any::<i64>(), any::<u32>())
        .prop_map(move |(id, weight)| (id, if weighted { weight } else { 0 }));
    let extras: Vec<_> = layout
        .extras
        .iter()
        .map(|extra| match extra.kind.fixed_width() {
            Some(width) => proptest::option::of(vec(any::<u8>(), width..=width)).boxed(),
            None => proptest::option::of(vec(0..128u8, 0..5)).boxed(),
        })
        .collect();
    let row = (
        vec(any::<u32>(), layout.dense.len()),
        vec(any::<u32>(), layout.labels.len()),
        vec(vec(ids, 0..4), layout.sparse.len()),
        layout
            .vectors
            .iter()
            .map(|v| vec(any::<u32>(), v.width))
            .collect::<Vec<_>>(),
        extras,
    )
        .prop_map(|(dense, labels, ids, vectors, extras)| Row {
            dense,
            labels,
            ids,
            vectors,
            extras,
        });
    vec(row, 0..=most)
}

/// Packs rows the plain way.
pub(crate) fn pack(layout: &Arc<Layout>, rows: &[Row]) -> Batch {
    let bits = |values: &mut dyn Iterator<Item = u32>| {
        Buffer::from_vec(values.flat_map(u32::to_le_bytes).collect())
    };
    let keys = 0..layout.sparse.len();
    let cells: Vec<&Vec<(i64, u32)>> = keys
        .flat_map(|key| rows.iter().map(move |row| &row.ids[key]))
        .collect();
    let ids = || cells.iter().flat_map(|cell| cell.iter());
    let lengths =
        |lengths: &mut dyn Iterator<Item = usize>| bits(&mut lengths.map(|length| length as u32));
    Batch {
        rows: rows.len(),
        dense: bits(&mut rows.iter().flat_map(|row| row.dense.clone())),
        labels: bits(&mut rows.iter().flat_map(|row| row.labels.clone())),
        sparse: Jagged {
            lengths: lengths(&mut cells.iter().map(|cell| cell.len())),
            values: Buffer::from_vec(
                ids()
                    .flat_map(|(id, _)| id.to_le_bytes())
                    .collect::<Vec<u8>>(),
            ),
            weights: layout
                .is_weighted()
                .then(|| bits(&mut ids().map(|(_, weight)| *weight))),
        },
        vectors: (0..layout.vectors.len())
            .map(|i| bits(&mut rows.iter().flat_map(|row| row.vectors[i].clone())))
            .collect(),
        extras: layout
            .extras
            .iter()
            .enumerate()
            .map(|(i, spec)| {
                let cells = || rows.iter().map(move |row| row.extras[i].as_ref());
                let has_null = cells().any(|cell| cell.is_none());
                let zero = vec![0; spec.kind.fixed_width().unwrap_or(0)];
                let bytes = Buffer::from_vec(
                    cells()
                        .flat_map(|cell| cell.unwrap_or(&zero).clone())
                        .collect::<Vec<u8>>(),
                );
                Extra {
                    validity: has_null.then(|| {
                        Buffer::from_vec(
                            cells()
                                .map(|cell| u8::from(cell.is_some()))
                                .collect::<Vec<u8>>(),
                        )
                    }),
                    data: match spec.kind.fixed_width() {
                        Some(_) => ExtraData::Fixed(bytes),
                        None => ExtraData::Variable {
                            lengths: lengths(&mut cells().map(|cell| cell.map_or(0, Vec::len))),
                            bytes,
                        },
                    },
                }
            })
            .collect(),
        layout: layout.clone(),
    }
}

/// A layout and rows of it.
pub(crate) fn table(most: usize) -> impl Strategy<Value = (Arc<Layout>, Vec<Row>)> {
    layout().prop_flat_map(move |layout| (Just(layout.clone()), rows(&layout, most)))
}
