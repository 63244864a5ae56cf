//! Lanes whose survivors are read side by side: each has reads under way, and rows that wait for their round.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::{
    Reader,
    parts::{Frames, Parts, Waits},
    read::{Arrived, OpenRead},
};
use crate::{
    Error,
    memory::Charge,
    order::{LaneCursor, LanePieces, LaneStream, Order, Piece, Sequence},
    schedule::PlannedRead,
};

/// Lanes that follow one another in number.
pub(crate) struct Lanes {
    pub(super) reader: Reader,
    pub(super) order: Arc<Order>,
    sequence: Arc<Sequence>,
    /// Number of the first.
    pub(super) first: u64,
    lanes: Vec<Lane>,
    next_read: u64,
    /// Rows that frames covered so far, and survivors that they carried.
    seen: (u64, u64),
}

struct Lane {
    pieces: LanePieces,
    /// The next piece to be read, with the offset at which the lane goes on in it.
    next: Option<(Piece, u64)>,
    reads: VecDeque<OpenRead>,
    frames: Frames,
    stream: LaneStream,
}

impl Lanes {
    /// Lanes `lanes` of `order`, from their `cursors` on.
    pub(crate) fn new(
        reader: Reader,
        sequence: Arc<Sequence>,
        lanes: Range<u64>,
        cursors: &[LaneCursor],
    ) -> Lanes {
        let order = reader.requests.order.clone();
        let lane = |(lane, &cursor): (u64, &LaneCursor)| {
            let mut pieces = LanePieces::of(lane, cursor.inputs);
            Lane {
                next: pieces.next(&order, &sequence),
                pieces,
                reads: VecDeque::new(),
                frames: Frames::default(),
                stream: LaneStream::at(cursor),
            }
        };
        Lanes {
            first: lanes.start,
            lanes: lanes.zip(cursors).map(lane).collect(),
            reader,
            order,
            sequence,
            next_read: 0,
            seen: (0, 0),
        }
    }

    /// Survivors that are there, of each lane, counted from the round under way on.
    pub(super) fn ready(&self) -> Vec<u64> {
        self.lanes.iter().map(|lane| lane.stream.ready()).collect()
    }

    /// Where each lane stands.
    pub(super) fn cursors(&self) -> Vec<LaneCursor> {
        self.lanes.iter().map(|lane| lane.stream.cursor()).collect()
    }

    /// Waits until each lane has `rows` survivors, or all that it has left.
    pub(super) async fn fill(&mut self, rows: u64, waits: &mut Waits) -> Result<(), Error> {
        for lane in 0..self.lanes.len() {
            while self.lanes[lane].stream.ready() < rows && self.open_needed(lane) {
                self.open_ahead();
                self.receive(lane, waits).await?;
            }
        }
        Ok(())
    }

    /// Hands out survivors of a lane that are ready, to `parts` if they are of use. They count as ready until they are
    /// [passed](Self::pass).
    pub(super) fn hand_out(&mut self, lane: usize, rows: u64, parts: Option<&mut Parts>) {
        let taken = self.lanes[lane].frames.take(rows, parts);
        debug_assert_eq!(taken, rows, "more was handed out than was ready");
    }

    /// A round is done, in which each lane gave so many rows.
    pub(super) fn pass(&mut self, given: &[u64]) {
        for (lane, &rows) in self.lanes.iter_mut().zip(given) {
            lane.stream.take(rows);
        }
    }

    /// Waits for the next frame of a lane that has a read open.
    async fn receive(&mut self, lane: usize, waits: &mut Waits) -> Result<(), Error> {
        let lane = &mut self.lanes[lane];
        let read = lane.reads.front_mut().expect("one was opened");
        let Arrived {
            inputs,
            mut rows,
            charge,
        } = read.next_frame(&self.reader, waits).await?;
        read.left = read.left.saturating_sub(inputs);
        if read.left == 0 {
            read.finish(waits).await;
            lane.reads.pop_front();
        }
        let survivors = rows.remaining() as u64;
        let owed = lane.stream.owed().min(survivors);
        rows.take(usize::try_from(owed).expect("no more than the frame has"));
        lane.stream.arrived(inputs, survivors);
        lane.frames.push(rows, charge);
        self.seen.0 += inputs;
        self.seen.1 += survivors;
        Ok(())
    }

    /// Opens a read of the lane if it has none; false when the lane has ended.
    fn open_needed(&mut self, lane: usize) -> bool {
        if self.lanes[lane].reads.is_empty() {
            if self.lanes[lane].next.is_none() {
                return false;
            }
            let window = self.reader.budget.open_needed();
            self.open(lane, window);
        }
        true
    }

    /// Opens further reads, those that the order without the filter comes to first.
    fn open_ahead(&mut self) {
        while let Some(lane) = self.next_to_open() {
            let (waiting, rows) = self.waiting();
            let Some(window) = self.reader.room_ahead(waiting, rows) else {
                return;
            };
            self.open(lane, window);
        }
    }

    fn open(&mut self, lane: usize, window: Charge) {
        let lane = &mut self.lanes[lane];
        let next = lane.pieces.next(&self.order, &self.sequence);
        let Some((piece, offset)) = std::mem::replace(&mut lane.next, next) else {
            return;
        };
        let length = piece.positions.end - piece.positions.start;
        let planned = PlannedRead {
            piece,
            selection: std::iter::once(offset..length).collect(),
            rows: length - offset,
            cuts: None,
        };
        let read = self.reader.open(self.next_read, &planned, window);
        self.next_read += 1;
        lane.reads.push_back(read);
    }

    fn next_to_open(&self) -> Option<usize> {
        let flat = |(piece, offset): &(Piece, u64)| {
            let at = piece.positions.start + offset;
            self.order.stripe(at).flat_run(at).0
        };
        let lanes = self.lanes.iter().enumerate();
        let nexts = lanes.filter_map(|(lane, it)| it.next.as_ref().map(|next| (flat(next), lane)));
        nexts.min().map(|(_, lane)| lane)
    }

    /// Reads that have not begun, and survivors that open reads may still give, judged by those seen so far.
    fn waiting(&self) -> (usize, u64) {
        let reads = self.lanes.iter().flat_map(|lane| &lane.reads);
        let waiting = reads.clone().filter(|read| !read.begun).count();
        let inputs: u64 = reads.map(|read| read.left).sum();
        let rows = match self.seen {
            (0, _) => inputs,
            (seen, survivors) => {
                let rows = u128::from(inputs) * u128::from(survivors) / u128::from(seen);
                u64::try_from(rows).unwrap_or(u64::MAX)
            }
        };
        (waiting, rows)
    }
}
