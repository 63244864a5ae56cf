//! The order equals the plain Python reference, and the golden file keeps it for ever.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{HashMap, HashSet},
    process::Command,
    sync::Arc,
};

use dpp_client::{
    order::{Order, OrderSettings, Sequence, SplitShuffle},
    schedule::{Child, Schedule, Share, steps},
};
use dpp_proto::v1::SnapshotFile;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    row_groups: Vec<u64>,
    round_rows: u64,
    lanes: u64,
    split_rows: u64,
    seed: u64,
    shuffle_splits: i64,
    shuffle_rows: u64,
    epoch: u64,
    flat: Vec<u64>,
    start: u64,
    global_batch: u64,
    drop_last: bool,
    ranks: Vec<Vec<Vec<u64>>>,
}

#[test]
fn golden_orders_hold() {
    check_lines(include_str!("order_golden.jsonl"), 40);
}

#[test]
fn thousands_of_random_settings_equal_the_reference() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos()
        .to_string();
    let output = Command::new("python3")
        .args(["-B", "order_cases.py", "3000", &seed])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    eprintln!("seed {seed}");
    check_lines(std::str::from_utf8(&output.stdout).unwrap(), 3000);
}

fn check_lines(lines: &str, expected: usize) {
    assert_eq!(
        lines
            .lines()
            .map(|line| check(&serde_json::from_str(line).unwrap()))
            .count(),
        expected
    );
}

fn check(case: &Case) {
    let settings = OrderSettings {
        round_rows: case.round_rows,
        lanes: case.lanes,
        split_rows: case.split_rows,
        seed: case.seed,
        shuffle_splits: match case.shuffle_splits {
            0 => SplitShuffle::Off,
            -1 => SplitShuffle::Epoch,
            splits => SplitShuffle::Blocks(splits.unsigned_abs()),
        },
        shuffle_rows: case.shuffle_rows,
    };
    // Where files end must not matter: two row groups a file.
    let files: Vec<_> = case
        .row_groups
        .chunks(2)
        .map(|rows| SnapshotFile {
            row_group_rows: rows.to_vec(),
            ..SnapshotFile::default()
        })
        .collect();
    let order = Arc::new(Order::new(settings, &files).unwrap());
    let sequence = Arc::new(order.sequence(case.epoch));
    assert_eq!(
        order.snapshot_rows(&sequence, case.epoch, 0..order.rows()),
        case.flat
    );
    for (rank, batches) in case.ranks.iter().enumerate() {
        let share = Share {
            global_batch: case.global_batch,
            rank: rank as u64,
            world_size: case.ranks.len() as u64,
            drop_last: case.drop_last,
        };
        assert_eq!(
            steps(order.rows(), case.start, case.global_batch, case.drop_last),
            batches.len() as u64
        );
        let mut schedule = Schedule::new(order.clone(), sequence.clone(), share, case.start);
        let mut reads = Reads::default();
        let steps_are_rounds =
            share.global_batch == case.round_rows && case.start.is_multiple_of(case.round_rows);
        let has_own_lane = steps_are_rounds && share.world_size == case.lanes;
        let mut taken_of = HashMap::<u64, u64>::new();
        for batch in batches {
            let step = schedule.next_step().unwrap();
            for &(read, rows) in &step.takes {
                let taken = taken_of.entry(read).or_default();
                if has_own_lane && rows == step.part.end - step.part.start {
                    let cuts = schedule.read(read).unwrap().cuts.unwrap();
                    assert_eq!(cuts.rows_from(*taken).min(rows), rows, "{cuts:?}");
                    assert!(cuts.rows_from(*taken) == rows || rows < cuts.each);
                }
                *taken += rows;
            }
            let part = order.snapshot_rows(&sequence, case.epoch, step.part.clone());
            let taken: Vec<u64> = step
                .takes
                .iter()
                .flat_map(|&(read, rows)| reads.take(&order, case.epoch, &mut schedule, read, rows))
                .collect();
            assert_eq!((&part, &taken), (batch, batch));
        }
        assert_eq!(schedule.next_step(), None);
        reads.check_used_up(&mut schedule);
        check_children(&order, &sequence, share, case.start);
    }
}

/// Children share a rank's steps: each is one child's, and with steps of a round no piece is two children's.
fn check_children(order: &Arc<Order>, sequence: &Arc<Sequence>, share: Share, start: u64) {
    let schedule = || Schedule::new(order.clone(), sequence.clone(), share, start);
    let (mut parts, mut pieces) = (Vec::new(), HashMap::new());
    for index in 0..3 {
        let mut child = schedule().of_child(Some(Child { index, of: 3 }));
        let own_steps = child.own_steps();
        let before = parts.len();
        while let Some(step) = child.next_step() {
            parts.push((step.part.start, step.part.end));
            for (read, _) in step.takes {
                let piece = child.read(read).unwrap().piece.positions.clone();
                pieces
                    .entry(piece.start)
                    .or_insert_with(HashSet::new)
                    .insert(index);
            }
        }
        assert_eq!((parts.len() - before) as u64, own_steps);
    }
    parts.sort_unstable();
    let (mut whole, mut all) = (schedule(), Vec::new());
    while let Some(step) = whole.next_step() {
        all.push((step.part.start, step.part.end));
    }
    assert_eq!(parts, all);
    if share.global_batch == order.settings().round_rows && start.is_multiple_of(share.global_batch)
    {
        assert!(pieces.values().all(|children| children.len() == 1));
    }
}

/// Reads as a worker would serve them: the piece's rows in its order, the selection picked from them.
#[derive(Default)]
struct Reads {
    rows: HashMap<u64, Vec<u64>>,
    first_uses: Vec<u64>,
}

impl Reads {
    fn take(
        &mut self,
        order: &Order,
        epoch: u64,
        schedule: &mut Schedule,
        read: u64,
        rows: u64,
    ) -> Vec<u64> {
        let left = self.rows.entry(read).or_insert_with(|| {
            self.first_uses.push(read);
            let planned = schedule.read(read).unwrap();
            let piece = &planned.piece;
            let length = piece.positions.end - piece.positions.start;
            let window = order.settings().shuffle_rows;
            let base = piece.first_row;
            let all: Vec<u64> = match window {
                0 => (base..base + length).collect(),
                _ => (0..length)
                    .step_by(window as usize)
                    .flat_map(|at| {
                        let rows = base + at..base + length.min(at + window);
                        dpp_proto::shuffle::shuffled_window(
                            order.settings().seed,
                            epoch,
                            base,
                            rows,
                        )
                    })
                    .collect(),
            };
            let selected: Vec<u64> = planned
                .selection
                .iter()
                .flat_map(|range| &all[range.start as usize..range.end as usize])
                .copied()
                .collect();
            assert_eq!(selected.len() as u64, planned.rows);
            selected
        });
        left.drain(..rows as usize).collect()
    }

    /// Every planned read was used, once, in the order of its number, and nothing was read that was not taken.
    fn check_used_up(&self, schedule: &mut Schedule) {
        assert!(self.rows.values().all(Vec::is_empty));
        assert_eq!(
            self.first_uses,
            (0..self.rows.len() as u64).collect::<Vec<_>>()
        );
        assert_eq!(schedule.read(self.rows.len() as u64), None);
    }
}
