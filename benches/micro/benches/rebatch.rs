//! Frames into batches: the copy that every received byte goes through, against a plain copy of as many bytes.

use std::{hint::black_box, sync::Arc};

use arrow_buffer::Buffer;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dpp_batch::{Batch, Frame, Jagged, Layout, Rows, SparseKey, concat};

const DENSE: usize = 120;
const KEYS: usize = 60;
const IDS_PER_ROW: u8 = 8;
const ROWS: usize = 1024;

fn frame() -> Frame {
    let layout = Layout {
        dense: (0..DENSE).map(|i| format!("f{i}")).collect(),
        sparse: (0..KEYS)
            .map(|i| SparseKey {
                name: format!("s{i}"),
                weighted: false,
            })
            .collect(),
        ..Layout::default()
    };
    let batch = Batch {
        layout: Arc::new(layout),
        rows: ROWS,
        dense: Buffer::from_vec(vec![1f32; ROWS * DENSE]),
        labels: Buffer::from_vec(Vec::<f32>::new()),
        sparse: Jagged {
            lengths: Buffer::from_vec(vec![i32::from(IDS_PER_ROW); ROWS * KEYS]),
            values: Buffer::from_vec(vec![7i64; ROWS * KEYS * usize::from(IDS_PER_ROW)]),
            weights: None,
        },
        vectors: Vec::new(),
        extras: Vec::new(),
    };
    Frame {
        positions: 0..ROWS as u64,
        batch,
    }
}

fn rebatch(criterion: &mut Criterion) {
    let frame = frame();
    let layout = frame.batch.layout.clone();
    let bytes = frame.encode();
    let mut group = criterion.benchmark_group("rebatch");
    group.throughput(Throughput::Bytes(frame.batch.byte_size() as u64));
    group.bench_function("encode", |bench| bench.iter(|| black_box(&frame).encode()));
    group.bench_function("decode", |bench| {
        bench.iter(|| Frame::decode(black_box(bytes.clone()), &layout))
    });
    group.bench_function("take and concat", |bench| {
        bench.iter(|| {
            let mut rows = Rows::new(black_box(frame.batch.clone()));
            let slices = [rows.take(ROWS / 3), rows.take(ROWS)];
            concat(&layout, &slices)
        });
    });
    group.bench_function("plain copy", |bench| {
        bench.iter(|| black_box(&bytes).to_vec())
    });
    group.finish();
}

criterion_group!(benches, rebatch);
criterion_main!(benches);
