//! The filtered order equals the plain Python reference, whatever frames arrive and wherever it was stopped and gone on with.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{collections::HashSet, process::Command};

use dpp_client::order::{
    LaneCursor, LaneStream, Left, OnUneven, Order, OrderSettings, Sequence, SplitShuffle,
};
use dpp_proto::{
    shuffle::{mix, shuffled_window},
    v1::SnapshotFile,
};
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
    kept: HashSet<u64>,
    on_uneven: OnUneven,
    /// Rows of every lane before the filter.
    inputs: Vec<Vec<u64>>,
    /// `None`: lanes end unevenly, and that is an error.
    flat: Option<Vec<Option<u64>>>,
}

#[test]
fn random_filtered_orders_equal_the_reference() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = since.subsec_nanos().to_string();
    let output = Command::new("python3")
        .args(["-B", "filtered_order_cases.py", "1000", &seed])
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    eprintln!("seed {seed}");
    let cases = std::str::from_utf8(&output.stdout).unwrap().lines();
    let checked = cases.map(|line| check(&serde_json::from_str(line).unwrap()));
    assert_eq!(checked.count(), 1000);
}

/// What is saved of 256 lanes is small.
#[test]
fn cursors_of_many_lanes_are_small() {
    let cursor = LaneCursor {
        inputs: 123_456_789_012,
        taken: 65_535,
    };
    let text = serde_json::to_string(&vec![cursor; 256]).unwrap();
    assert!(
        text.starts_with("[[123456789012,65535],") && text.len() < 8 << 10,
        "{}",
        text.len()
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
    let files = [SnapshotFile {
        row_group_rows: case.row_groups.clone(),
        ..SnapshotFile::default()
    }];
    let order = Order::new(settings, &files).unwrap();
    let sequence = order.sequence(case.epoch);
    let mut run = Run::at(case, &order, &sequence, &[]);
    assert_eq!(run.inputs(), case.inputs);
    // Stopped after some rounds and gone on with from what was saved, whatever frames come then.
    let (mut consumed, mut stops) = (Vec::new(), 0);
    let ended = loop {
        match run.round() {
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
            Ok(Some(rows)) => consumed.extend(rows),
        }
        if mix(&[case.seed, 7, consumed.len() as u64]).is_multiple_of(3) {
            stops += 1;
            let cursors: Vec<_> = run.lanes.iter().map(|lane| lane.stream.cursor()).collect();
            run = Run::at(case, &order, &sequence, &cursors);
            run.frames_salt = stops;
        }
    };
    match &case.flat {
        Some(flat) => assert_eq!((ended.is_ok(), &consumed), (true, flat)),
        None => assert!(ended.unwrap_err().to_string().contains("unevenly")),
    }
}

/// All lanes of a run, from saved cursors on.
struct Run<'a> {
    case: &'a Case,
    lanes: Vec<Lane>,
    /// The last round was short.
    is_over: bool,
    frames_salt: u64,
}

/// Rows of a lane from its cursor on, and how many of them have arrived as frames.
struct Lane {
    inputs: Vec<u64>,
    arrived: usize,
    stream: LaneStream,
    survivors: Vec<u64>,
}

impl<'a> Run<'a> {
    fn at(case: &'a Case, order: &Order, sequence: &Sequence, cursors: &[LaneCursor]) -> Run<'a> {
        let lane = |lane: u64| {
            let cursor = cursors.get(lane as usize).copied().unwrap_or_default();
            let mut inputs = Vec::new();
            for (piece, offset) in order.lane_pieces(sequence, lane, cursor.inputs) {
                let length = piece.positions.end - piece.positions.start;
                let window = case.shuffle_rows;
                let base = piece.first_row;
                let rows: Vec<u64> = match window {
                    0 => (base..base + length).collect(),
                    _ => (0..length)
                        .step_by(window as usize)
                        .flat_map(|at| {
                            let rows = base + at..base + length.min(at + window);
                            shuffled_window(case.seed, case.epoch, base, rows)
                        })
                        .collect(),
                };
                inputs.extend(&rows[offset as usize..]);
            }
            Lane {
                inputs,
                arrived: 0,
                stream: LaneStream::at(cursor),
                survivors: Vec::new(),
            }
        };
        Run {
            case,
            lanes: (0..case.lanes).map(lane).collect(),
            is_over: false,
            frames_salt: 0,
        }
    }

    fn inputs(&self) -> Vec<Vec<u64>> {
        self.lanes.iter().map(|lane| lane.inputs.clone()).collect()
    }

    /// The next round's rows, lane by lane; `None` after the last.
    fn round(&mut self) -> Result<Option<Vec<Option<u64>>>, dpp_client::Error> {
        let share = self.case.round_rows / self.case.lanes;
        for lane in &mut self.lanes {
            lane.receive(share, &self.case.kept, self.frames_salt);
        }
        let left = Left::of(self.lanes.iter().map(|lane| lane.stream.ready().min(share)));
        let rows = match self.is_over {
            true => 0,
            false => self.case.on_uneven.round(left, share)?,
        };
        self.is_over = rows < share;
        let mut round = Vec::new();
        for lane in &mut self.lanes {
            let given = rows.min(lane.stream.ready());
            lane.stream.take(given);
            round.extend(lane.survivors.drain(..given as usize).map(Some));
            round.extend((given..rows).map(|_| None));
        }
        Ok((rows > 0).then_some(round))
    }
}

impl Lane {
    /// Frames arrive until `share` survivors are ready, or all have.
    fn receive(&mut self, share: u64, kept: &HashSet<u64>, salt: u64) {
        while self.stream.ready() < share && self.arrived < self.inputs.len() {
            let random = mix(&[salt, self.arrived as u64]) % 9;
            let count = (random as usize + 1).min(self.inputs.len() - self.arrived);
            let inputs = &self.inputs[self.arrived..self.arrived + count];
            let survivors: Vec<u64> = inputs
                .iter()
                .copied()
                .filter(|row| kept.contains(row))
                .collect();
            let owed = self.stream.owed().min(survivors.len() as u64) as usize;
            self.survivors.extend(&survivors[owed..]);
            self.stream.arrived(count as u64, survivors.len() as u64);
            self.arrived += count;
        }
    }
}
