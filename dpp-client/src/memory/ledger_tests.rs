//! A pass in small, in random turns: lanes of frames, a batch that takes from them, a trainer that is slow or fast.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const FRAME: u64 = 10;
const WINDOW: u64 = 3;

/// Lanes of equal length whose frames have unlike rows; a round takes `share` rows of every lane.
#[derive(Clone, Debug)]
struct Table {
    lanes: Vec<Vec<u64>>,
    share: u64,
    batch: u64,
}

fn table() -> impl Strategy<Value = Table> {
    (1..6usize, 1..5u64, 1..6u64, 1..30u64).prop_flat_map(|(lanes, share, rounds, batch)| {
        let frames = prop::collection::vec(1..9u64, 64);
        prop::collection::vec(frames, lanes).prop_map(move |cuts| Table {
            lanes: cuts.iter().map(|cuts| cut(rounds * share, cuts)).collect(),
            share,
            batch,
        })
    })
}

/// Frames of these many rows that hold `rows` in all.
fn cut(rows: u64, cuts: &[u64]) -> Vec<u64> {
    let mut left = rows;
    let frames = cuts.iter().map(|&frame| {
        let frame = frame.min(left);
        left -= frame;
        frame
    });
    frames.filter(|&frame| frame > 0).collect()
}

/// Frames have at most 8 rows; a row has one byte, a frame two more.
struct Pass {
    table: Table,
    ledger: Ledger,
    opened: Vec<bool>,
    windows: Vec<Option<ChargeId>>,
    next_frame: Vec<usize>,
    asked: Vec<Option<u64>>,
    arrived: Vec<VecDeque<(ChargeId, u64)>>,
    begun: Vec<Option<(ChargeId, u64)>>,
    taken: Vec<u64>,
    spent: Vec<ChargeId>,
    flat: u64,
    in_batch: u64,
    made: VecDeque<ChargeId>,
    last: Option<ChargeId>,
}

impl Pass {
    fn new(table: Table, ceiling: u64) -> Pass {
        let lanes = table.lanes.len();
        let sizes = Sizes {
            lanes: lanes as u64,
            frame: FRAME,
            window: WINDOW,
            batch: table.batch,
            gathered: 0,
        };
        Pass {
            ledger: Ledger::new(ceiling, sizes),
            opened: vec![false; lanes],
            windows: vec![None; lanes],
            next_frame: vec![0; lanes],
            asked: vec![None; lanes],
            arrived: vec![VecDeque::new(); lanes],
            begun: vec![None; lanes],
            taken: vec![0; lanes],
            spent: Vec::new(),
            flat: 0,
            in_batch: 0,
            made: VecDeque::new(),
            last: None,
            table,
        }
    }

    fn rows(&self) -> u64 {
        self.table.lanes.iter().flatten().sum()
    }

    fn lane_of(&self, flat: u64) -> usize {
        (flat / self.table.share) as usize % self.table.lanes.len()
    }

    fn flat_of(&self, lane: usize, row: u64) -> u64 {
        let (share, lanes) = (self.table.share, self.table.lanes.len() as u64);
        (row / share * lanes + lane as u64) * share + row % share
    }

    /// Lane `lane` asks for its next frame, or receives the one it may have. False when neither is possible.
    fn produce(&mut self, lane: usize) -> bool {
        let Some(&rows) = self.table.lanes[lane].get(self.next_frame[lane]) else {
            return false;
        };
        if !self.opened[lane] {
            return false;
        }
        let Some(flat) = self.asked[lane] else {
            let received = self.table.lanes[lane][..self.next_frame[lane]].iter().sum();
            let flat = self.flat_of(lane, received);
            self.ledger.ask(lane as u64, flat);
            self.asked[lane] = Some(flat);
            return true;
        };
        let Some(id) = self.ledger.admit(lane as u64, flat) else {
            return false;
        };
        self.ledger.frame_is(id, rows + 2);
        self.asked[lane] = None;
        self.next_frame[lane] += 1;
        self.arrived[lane].push_back((id, rows));
        true
    }

    fn open_ahead(&mut self) -> bool {
        let Some(lane) = self.opened.iter().position(|opened| !opened) else {
            return false;
        };
        let Some(id) = self.ledger.open_ahead() else {
            return false;
        };
        (self.opened[lane], self.windows[lane]) = (true, Some(id));
        true
    }

    /// The batch being made takes one row, or is finished.
    fn assemble(&mut self) -> bool {
        if self.in_batch == self.table.batch || (self.flat == self.rows() && self.in_batch > 0) {
            let id = self.ledger.batch(self.in_batch);
            self.spent.drain(..).for_each(|id| self.ledger.release(id));
            (self.in_batch, self.last) = (0, Some(id));
            self.made.push_back(id);
            return true;
        }
        if self.flat == self.rows() {
            return false;
        }
        if self.in_batch == 0 && self.last.is_some_and(|last| !self.ledger.set_aside(last)) {
            return false;
        }
        if self.in_batch == 0 {
            self.last = None;
        }
        let lane = self.lane_of(self.flat);
        if !self.opened[lane] {
            (self.opened[lane], self.windows[lane]) = (true, Some(self.ledger.open_needed()));
        }
        if let Some(window) = self.windows[lane] {
            self.ledger.begin(window);
        }
        if self.begun[lane].is_none() {
            self.ledger.need(Some(lane as u64));
            let Some(frame) = self.arrived[lane].pop_front() else {
                return false;
            };
            self.ledger.need(None);
            self.ledger.begin(frame.0);
            self.begun[lane] = Some(frame);
        }
        let (id, left) = self.begun[lane].expect("set just above");
        self.begun[lane] = (left > 1).then_some((id, left - 1));
        if left == 1 {
            self.spent.push(id);
        }
        self.taken[lane] += 1;
        self.flat += 1;
        self.in_batch += 1;
        true
    }

    fn deliver(&mut self) -> bool {
        let id = self.made.pop_front();
        id.inspect(|&id| self.ledger.release(id)).is_some()
    }

    fn turn(&mut self, turn: usize) -> bool {
        match turn % (self.table.lanes.len() + 3) {
            0 => self.open_ahead(),
            1 => self.assemble(),
            2 => self.deliver(),
            lane => self.produce(lane - 3),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whoever's turn it is: every pass ends, and what is held stays below the ceiling, or the reserve if that is more.
    #[test]
    fn every_pass_ends_below_its_ceiling(table in table(), extra in -200..200i64, turns in prop::collection::vec(any::<usize>(), 1..400)) {
        let lanes = table.lanes.len() as u64;
        let reserve = Sizes { lanes, frame: FRAME, window: WINDOW, batch: table.batch, gathered: 0 }.reserve();
        let ceiling = reserve.saturating_add_signed(extra);
        let mut pass = Pass::new(table, ceiling);
        let kinds = pass.table.lanes.len() + 3;
        let mut random = turns.iter().copied().cycle();
        while pass.flat < pass.rows() || pass.in_batch > 0 || !pass.made.is_empty() {
            let first = random.next().unwrap();
            // Twice round: what the batch needs may be opened in the first.
            let moved = (0..2 * kinds).any(|next| pass.turn(first.wrapping_add(next)));
            prop_assert!(moved, "nobody can go on at {} of {}", pass.flat, pass.rows());
            prop_assert!(pass.ledger.total <= ceiling.max(reserve), "{} of {ceiling}, reserve {reserve}", pass.ledger.total);
        }
        prop_assert!(pass.taken.iter().zip(&pass.table.lanes).all(|(taken, frames)| *taken == frames.iter().sum::<u64>()));
    }
}

#[test]
fn room_is_given_in_consumption_order() {
    let sizes = Sizes {
        lanes: 1,
        frame: 10,
        window: 0,
        batch: 0,
        gathered: 0,
    };
    let mut ledger = Ledger::new(sizes.reserve() + 10, sizes);
    ledger.ask(7, 500);
    ledger.ask(2, 100);
    assert_eq!(ledger.admit(7, 500), None, "read 2 is first");
    let first = ledger.admit(2, 100).unwrap();
    assert_eq!(ledger.admit(7, 500), None, "the room is full");
    ledger.need(Some(7));
    assert!(
        ledger.admit(7, 500).is_some(),
        "what is needed is never refused"
    );
    ledger.ask(7, 600);
    assert_eq!(ledger.admit(7, 600), None, "one is on its way already");
    ledger.release(first);
    assert!(ledger.admit(7, 600).is_some());
}

#[test]
fn sizes_are_learnt() {
    let sizes = Sizes {
        lanes: 1,
        frame: 10,
        window: 0,
        batch: 0,
        gathered: 0,
    };
    let mut ledger = Ledger::new(100, sizes);
    ledger.ask(0, 0);
    let id = ledger.admit(0, 0).unwrap();
    ledger.frame_is(id, 45);
    assert_eq!((ledger.is_enough(), ledger.most()), ((true, 90), 45));
    ledger.ask(0, 10);
    assert_eq!(ledger.admit(0, 10), None);
}
