//! Elastic determinism as MosaicML tests it, on the pure parts: 10,000 rows, global batch 960, 2 to 40 ranks.

use std::sync::Arc;

use dpp_client::{
    order::{Order, OrderSettings, Sequence, SplitShuffle},
    schedule::{Schedule, Share, steps},
};
use dpp_proto::v1::SnapshotFile;

const ROWS: u64 = 10_000;
const GLOBAL_BATCH: u64 = 960;

fn order(shuffle_splits: SplitShuffle, shuffle_rows: u64) -> Arc<Order> {
    let settings = OrderSettings {
        round_rows: GLOBAL_BATCH,
        lanes: 8,
        split_rows: 512,
        seed: 17,
        shuffle_splits,
        shuffle_rows,
    };
    let files: Vec<_> = (0..5)
        .map(|_| SnapshotFile {
            row_group_rows: vec![1_300, ROWS / 5 - 1_300],
            ..SnapshotFile::default()
        })
        .collect();
    Arc::new(Order::new(settings, &files).expect("these settings are meant"))
}

/// The next steps from `start` on, of all ranks together, as many as `most`.
fn global_batches(
    order: &Arc<Order>,
    sequence: &Arc<Sequence>,
    world_size: u64,
    start: u64,
    most: usize,
) -> Vec<Vec<u64>> {
    let mut batches = vec![Vec::new(); most.min(steps(ROWS, start, GLOBAL_BATCH, false) as usize)];
    for rank in 0..world_size {
        let share = Share {
            global_batch: GLOBAL_BATCH,
            rank,
            world_size,
            drop_last: false,
        };
        let mut schedule = Schedule::new(order.clone(), sequence.clone(), share, start);
        for batch in &mut batches {
            let step = schedule
                .next_step()
                .expect("every rank takes as many steps");
            let taken: u64 = step.takes.iter().map(|(_, rows)| rows).sum();
            assert_eq!(taken, step.part.end - step.part.start);
            batch.extend(order.snapshot_rows(sequence, 0, step.part));
        }
    }
    batches
}

#[test]
fn any_number_of_ranks_sees_the_same_batches() {
    for (splits, rows) in [
        (SplitShuffle::Off, 0),
        (SplitShuffle::Blocks(6), 64),
        (SplitShuffle::Epoch, 100),
    ] {
        let order = order(splits, rows);
        let sequence = Arc::new(order.sequence(0));
        let expected = global_batches(&order, &sequence, 1, 0, usize::MAX);
        assert_eq!(expected.len(), 11);
        let mut every: Vec<u64> = expected.concat();
        every.sort_unstable();
        assert!(every.into_iter().eq(0..ROWS));
        for world_size in 2..=40 {
            let batches = global_batches(&order, &sequence, world_size, 0, usize::MAX);
            assert_eq!(batches, expected, "{world_size} ranks");
        }
    }
}

#[test]
fn ranks_may_change_at_every_step() {
    let order = order(SplitShuffle::Epoch, 100);
    let sequence = Arc::new(order.sequence(0));
    let expected = global_batches(&order, &sequence, 1, 0, usize::MAX);
    for seed in 0..30 {
        let mut start = 0;
        for (step, batch) in expected.iter().enumerate() {
            let world_size = 2 + dpp_proto::shuffle::mix(&[seed, step as u64]) % 39;
            assert_eq!(
                global_batches(&order, &sequence, world_size, start, 1),
                std::slice::from_ref(batch)
            );
            start += batch.len() as u64;
        }
    }
}
