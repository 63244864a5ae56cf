//! Sizes before anything has been seen: from the layout and the order's geometry. Pure.

use dpp_batch::{ExtraKind, Layout, VectorSpec};

use super::Sizes;
use crate::{assemble::Gathers, order::OrderSettings, schedule::Share};

/// Guesses what a pass needs: a worker packs about 2 MiB a frame, of at least 256 rows and at most a split's; frames that are whole
/// batches have up to twice that, and are joined with no others. `gathers`
/// says how it takes survivors, if a row filter makes some.
pub(crate) fn estimate(
    layout: &Layout,
    order: &OrderSettings,
    share: &Share,
    gathers: Option<Gathers>,
    window: u64,
) -> Sizes {
    let row = row_bytes(layout);
    let frame_rows = (FRAME_BYTES / row).clamp(256, 16_384).min(order.split_rows);
    Sizes {
        lanes: match gathers {
            None => lanes(order, share),
            Some(Gathers::AllLanes) => order.lanes,
            Some(Gathers::OwnLanes) => order.lanes / share.world_size,
        },
        frame: frame_rows.saturating_mul(row),
        window,
        batch: share
            .global_batch
            .div_ceil(share.world_size)
            .saturating_mul(row),
        gathered: match gathers {
            None => 0,
            Some(Gathers::AllLanes) => (2 * share.global_batch)
                .saturating_add(order.round_rows)
                .saturating_mul(row),
            Some(Gathers::OwnLanes) => {
                (2 * order.round_rows / share.world_size).saturating_mul(row)
            }
        },
    }
}

/// Bytes of a row's tensors, ids guessed at about four a key.
fn row_bytes(layout: &Layout) -> u64 {
    let vectors: usize = layout.vectors.iter().map(VectorSpec::row_bytes).sum();
    let floats = layout.dense.len() + layout.labels.len();
    let weights = if layout.is_weighted() { 4 } else { 0 };
    let key = 4 + IDS * (8 + weights);
    let extras: usize = layout
        .extras
        .iter()
        .map(|extra| match extra.kind {
            ExtraKind::Int | ExtraKind::Dense => 9,
            ExtraKind::Bytes | ExtraKind::Text => 36,
        })
        .sum();
    ((floats * 4 + vectors + layout.sparse.len() * key + extras) as u64).max(1)
}

/// Lanes from which one rank takes at a time: all of them, unless every step is one round cut between whole lanes
/// (and one lane more where steps begin within a round).
fn lanes(order: &OrderSettings, share: &Share) -> u64 {
    if share.global_batch == order.round_rows && order.lanes.is_multiple_of(share.world_size) {
        (order.lanes / share.world_size + 1).min(order.lanes)
    } else {
        order.lanes
    }
}

const FRAME_BYTES: u64 = 2 << 20;
const IDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitShuffle;

    fn lanes_of(lanes: u64, round_rows: u64, global_batch: u64, world_size: u64) -> u64 {
        let order = OrderSettings {
            round_rows,
            lanes,
            split_rows: 100,
            seed: 0,
            shuffle_splits: SplitShuffle::Off,
            shuffle_rows: 0,
        };
        let share = Share {
            global_batch,
            rank: 0,
            world_size,
            drop_last: false,
        };
        super::lanes(&order, &share)
    }

    #[test]
    fn ranks_share_lanes_unless_steps_are_rounds() {
        assert_eq!(lanes_of(8, 80, 80, 8), 2);
        assert_eq!(lanes_of(8, 80, 80, 2), 5);
        assert_eq!(lanes_of(8, 80, 80, 3), 8);
        assert_eq!(lanes_of(8, 80, 90, 8), 8);
    }
}
