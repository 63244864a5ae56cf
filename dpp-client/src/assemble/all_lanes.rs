//! Batches of survivors when this rank reads every lane: it sees how lanes end, so it knows each step by itself.
//!
//! ```text
//! lanes   ▓▓▓▓▓▓▓  filled as deep as the step goes, and as far beyond as tells whether another follows
//! rounds  │ lane 0, lane 1, … │ lane 0, lane 1, … │      numbers only
//! step         └──── n rows ────────┘  of which this rank's part is joined, the rest passed over
//! ```

use std::{ops::Range, time::Instant};

use super::{After, Assembled, Lanes, Reader, parts::Parts};
use crate::{
    Error,
    order::{OnUneven, Round, Rounds},
    schedule::Share,
};

/// Makes the batches of one pass.
pub(crate) struct AllLanes {
    lanes: Lanes,
    share: Share,
    on_uneven: OnUneven,
    /// Flat position of the next step.
    next: u64,
    /// Flat position up to which rows were handed out; behind `next` only at first, when a round was begun before.
    handed_out: u64,
}

/// Rounds as far as lanes are filled.
struct Ahead {
    rounds: Vec<Round>,
    /// Rows of all of them.
    rows: u64,
    /// What comes after them, if lanes end unevenly and that is an error.
    error: Option<Error>,
}

impl AllLanes {
    /// The steps from flat position `next` on, of all lanes as they stood when its round began.
    pub(crate) fn new(lanes: Lanes, share: Share, on_uneven: OnUneven, next: u64) -> AllLanes {
        let round_rows = lanes.order.settings().round_rows;
        AllLanes {
            lanes,
            share,
            on_uneven,
            next,
            handed_out: next / round_rows * round_rows,
        }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.lanes.reader
    }

    pub(super) async fn next(&mut self) -> Result<Option<Assembled>, Error> {
        let began = Instant::now();
        let mut parts = Parts::default();
        let Share {
            global_batch,
            drop_last,
            ..
        } = self.share;
        let round_rows = self.lanes.order.settings().round_rows;
        let first = self.next / round_rows * round_rows;
        let beyond = if drop_last { global_batch } else { 1 };
        let depth = self.next - first + global_batch + beyond;
        let ahead = self.look_ahead(depth, &mut parts).await?;
        let left = (first + ahead.rows).saturating_sub(self.next);
        let rows = left.min(global_batch);
        if rows < global_batch {
            if let Some(error) = ahead.error {
                return Err(error);
            }
            if rows == 0 || drop_last {
                return Ok(None);
            }
        }
        let flat = self.next..self.next + rows;
        let part = self.share.part(&flat);
        self.take(&ahead.rounds, flat.end, &part, &mut parts);
        self.next = flat.end;
        let reader = &self.lanes.reader;
        let joined = parts.join(reader.layout(), &reader.budget, began);
        Ok(Some(Assembled {
            part,
            flat,
            tensors: joined.tensors,
            valid: (self.on_uneven == OnUneven::Pad).then_some(joined.valid),
            charge: joined.charge,
            making: joined.making,
            after: After::Known {
                is_last: ahead.error.is_none() && left - rows < beyond,
                lanes: Some(self.lanes.cursors().into()),
            },
        }))
    }

    /// The rounds that give the next `depth` rows, the round under way included, or all that are left.
    async fn look_ahead(&mut self, depth: u64, parts: &mut Parts) -> Result<Ahead, Error> {
        let settings = self.lanes.order.settings();
        let (lanes, share) = (settings.lanes, settings.round_rows / settings.lanes);
        let rounds = depth.div_ceil(settings.round_rows);
        self.lanes.fill(rounds * share, &mut parts.waits).await?;
        let mut ahead = Ahead {
            rounds: Vec::new(),
            rows: 0,
            error: None,
        };
        let rounds = usize::try_from(rounds).expect("a step fits in memory");
        for round in Rounds::new(self.on_uneven, share, self.lanes.ready()).take(rounds) {
            match round {
                Ok(round) => {
                    ahead.rows += round.rows * lanes;
                    ahead.rounds.push(round);
                }
                Err(error) => ahead.error = Some(error),
            }
        }
        Ok(ahead)
    }

    /// Hands out the flat positions up to `end`; those of `part` to `parts`.
    fn take(&mut self, rounds: &[Round], end: u64, part: &Range<u64>, parts: &mut Parts) {
        let round_rows = self.lanes.order.settings().round_rows;
        let mut at = self.next / round_rows * round_rows;
        for round in rounds {
            for (lane, &given) in round.given.iter().enumerate() {
                let kept = at..at + given;
                self.take_of_lane(lane, kept.clone(), end, part, parts);
                at += round.rows;
                let padded = clip(&(kept.end..at), &clip(&(self.handed_out..end), part));
                parts.pad(self.lanes.reader.layout(), padded.end - padded.start);
                self.handed_out = self.handed_out.max(at.min(end));
            }
            if at > end {
                return; // the round goes on in the next step
            }
            self.lanes.pass(&round.given);
            if at == end {
                return;
            }
        }
    }

    /// Hands out what of a lane's survivors at flat positions `kept` lies before `end` and was not handed out.
    fn take_of_lane(
        &mut self,
        lane: usize,
        kept: Range<u64>,
        end: u64,
        part: &Range<u64>,
        parts: &mut Parts,
    ) {
        let new = clip(&kept, &(self.handed_out..end));
        let own = clip(&new, part);
        self.lanes.hand_out(lane, own.start - new.start, None);
        self.lanes.hand_out(lane, own.end - own.start, Some(parts));
        self.lanes.hand_out(lane, new.end - own.end, None);
    }
}

/// What two ranges share; empty, and within the first, where they share nothing.
fn clip(range: &Range<u64>, bounds: &Range<u64>) -> Range<u64> {
    let start = bounds.start.clamp(range.start, range.end);
    start..bounds.end.clamp(start, range.end)
}
