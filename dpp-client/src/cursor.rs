//! Where the trainer stands: what it consumed, not what was prefetched.
//!
//! A [`State`] is saved with the model's checkpoint. Without a row filter it is (epoch, rows consumed of the flat order);
//! with one it adds where every lane stood when the round under way began. Any rank's state is the global state, whatever
//! the next world size and batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    order::{LaneCursor, Order, OrderSettings},
};

/// What is saved. Plain JSON, a few hundred bytes; with a row filter up to 8 KiB for 256 lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this form.
    pub version: u32,
    /// The epoch under way, or the next one after an epoch's last step.
    pub epoch: u64,
    /// Rows of the epoch's flat order that were consumed, over all ranks; padding counts.
    pub rows_consumed: u64,
    /// With a row filter: where every lane stood when the round under way began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Vec<LaneCursor>>,
    /// The order's settings, geometry included.
    pub order: OrderSettings,
    /// Hash of snapshot, order settings and row filter; must match on load.
    pub order_hash: String,
    /// Hash of the plan's row filter, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_hash: Option<String>,
    /// The snapshot, so that an error can say what differs.
    pub snapshot_hash: String,
    /// The plan when the state was saved. It may change.
    pub plan_hash: String,
}

/// Version of [`State`].
pub const STATE_VERSION: u32 = 1;

/// Beyond this an epoch is a mistake.
const MOST_EPOCHS: u64 = 1 << 40;

/// Beyond this a table is a mistake, and arithmetic stays far from overflow.
const MOST_ROWS: u64 = 1 << 60;

/// Where in an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Of the flat order.
    pub(crate) rows_consumed: u64,
    /// With a row filter, and not at the epoch's start: where every lane stood when the round under way began.
    pub(crate) lanes: Option<Arc<[LaneCursor]>>,
}

impl Position {
    /// Rows of the snapshot that are done with.
    pub(crate) fn inputs(&self) -> u64 {
        match &self.lanes {
            None => self.rows_consumed,
            Some(lanes) => lanes
                .iter()
                .fold(0, |sum, lane| sum.saturating_add(lane.inputs)),
        }
    }
}

/// The moving part of a state, and the rules by which passes move it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) epoch: u64,
    pub(crate) position: Position,
    /// Whether a pass over `epoch` has begun and not ended.
    begun: bool,
    /// Whether that pass has given a batch.
    taken: bool,
    pass: u64,
}

impl Cursor {
    /// A cursor at a saved position: the first pass finishes that epoch.
    pub(crate) fn at(epoch: u64, position: Position) -> Cursor {
        Cursor {
            epoch,
            position,
            ..Cursor::default()
        }
    }

    /// Begins a pass and returns its number. One that was left in the middle is given up for the next epoch; one that
    /// gave no batch was none.
    pub(crate) fn begin(&mut self) -> u64 {
        if self.taken {
            self.epoch += 1;
            self.position = Position::default();
        }
        self.taken = false;
        self.begun = true;
        self.pass += 1;
        self.pass
    }

    /// Whether this pass still moves it: no newer one has begun, and no state was loaded.
    pub(crate) fn is_moved_by(&self, pass: u64) -> bool {
        pass == self.pass && self.begun
    }

    /// The trainer has the rows up to `position`.
    pub(crate) fn consume(&mut self, position: Position) {
        self.position = position;
        self.taken = true;
    }

    /// The trainer has the pass's last rows.
    pub(crate) fn end(&mut self) {
        *self = Cursor {
            pass: self.pass,
            ..Cursor::at(self.epoch + 1, Position::default())
        };
    }

    /// Chooses the epoch of the next pass: a loaded one keeps its position, any other starts at 0.
    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        let keeps = epoch == self.epoch && !self.begun;
        let position = std::mem::take(&mut self.position);
        self.load(epoch, if keeps { position } else { Position::default() });
    }

    /// Moves to a saved position; passes under way end.
    pub(crate) fn load(&mut self, epoch: u64, position: Position) {
        *self = Cursor {
            pass: self.pass,
            ..Cursor::at(epoch, position)
        };
    }
}

/// The cursor stays consistent between calls, so a panic elsewhere does not spoil it.
pub(crate) fn lock(cursor: &Mutex<Cursor>) -> MutexGuard<'_, Cursor> {
    cursor.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Reads a saved state.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the text is no state of this version.
    pub fn from_json(text: &str) -> Result<State, Error> {
        serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("this is no state of a loader: {error}")))
    }

    /// The one state of ranks that were saved together: any of them, once they are seen to be the same. The plan may differ.
    ///
    /// # Errors
    /// [`Error::State`] when they stand at different steps or in different orders, or lack lanes that a row filter needs.
    pub fn merge(states: &[State]) -> Result<State, Error> {
        let Some((first, others)) = states.split_first() else {
            return Err(Error::invalid("there are no states to merge"));
        };
        let differs = |rank: usize, what: &str, theirs: String, ours: String| Error::State {
            differs: format!("state {rank} has {what} {theirs}, state 0 {ours}"),
        };
        for (rank, state) in (1..).zip(others) {
            if state.order_hash != first.order_hash {
                let (theirs, ours) = (short(&state.order_hash), short(&first.order_hash));
                return Err(differs(rank, "order", theirs.into(), ours.into()));
            }
            let place = |state: &State| (state.epoch, state.rows_consumed);
            if place(state) != place(first) {
                let said =
                    |state: &State| format!("epoch {}, {} rows", state.epoch, state.rows_consumed);
                return Err(differs(rank, "consumed", said(state), said(first)));
            }
            if state.lanes != first.lanes {
                return Err(Error::State {
                    differs: format!("state {rank} and state 0 have lanes at different places"),
                });
            }
        }
        first.check_lanes()?;
        Ok(first.clone())
    }

    /// Where in the epoch it was saved.
    pub(crate) fn position(&self) -> Position {
        Position {
            rows_consumed: self.rows_consumed,
            lanes: self.lanes.clone().map(Into::into),
        }
    }

    /// With a row filter, every lane has a place.
    fn check_lanes(&self) -> Result<(), Error> {
        let found = self.lanes.as_ref().map(Vec::len);
        let wanted = usize::try_from(self.order.lanes).unwrap_or(usize::MAX);
        let differs = match (&self.filter_hash, found) {
            (Some(_), None) => format!("it lacks its {wanted} lanes"),
            (Some(_), Some(found)) if found != wanted => {
                format!("it has {found} of its {wanted} lanes")
            }
            (None, Some(_)) => "it has lanes and no row filter".to_owned(),
            _ => return Ok(()),
        };
        Err(Error::State { differs })
    }

    /// The order settings with which a loader of this row filter goes on from this state: its own, with the state's geometry.
    ///
    /// # Errors
    /// [`Error::State`] naming every setting that differs.
    pub(crate) fn settings_for(
        &self,
        own: &OrderSettings,
        filter_hash: Option<&str>,
    ) -> Result<OrderSettings, Error> {
        if self.version != STATE_VERSION {
            return Err(Error::State {
                differs: format!(
                    "it is of version {}, this build reads {STATE_VERSION}",
                    self.version
                ),
            });
        }
        let wanted = OrderSettings {
            round_rows: self.order.round_rows,
            lanes: self.order.lanes,
            ..own.clone()
        };
        let mut differs = differences(&self.order, &wanted);
        if self.filter_hash.as_deref() != filter_hash {
            let said = |hash: Option<&str>| hash.map_or("none", short).to_owned();
            differs.push(format!(
                "row filter (where) was {}, is {}",
                said(self.filter_hash.as_deref()),
                said(filter_hash)
            ));
        }
        if differs.is_empty() {
            Ok(wanted)
        } else {
            Err(Error::State {
                differs: differs.join(", "),
            })
        }
    }

    /// Checks that the state belongs to `order` of this snapshot.
    ///
    /// # Errors
    /// [`Error::State`] when the table differs, or the position lies beyond its end.
    pub(crate) fn check(&self, order: &Order, snapshot_hash: &str) -> Result<(), Error> {
        let differs = if self.snapshot_hash != snapshot_hash {
            format!(
                "its table has snapshot {}, this one {}",
                short(&self.snapshot_hash),
                short(snapshot_hash)
            )
        } else if self.order_hash != order.hash(snapshot_hash, self.filter_hash.as_deref()) {
            "its order hash does not fit its settings: it was changed after it was saved".to_owned()
        } else if self.epoch > MOST_EPOCHS {
            format!("it stands in epoch {}, which nobody reached", self.epoch)
        } else if self.position().inputs() > order.rows() {
            let (consumed, rows) = (self.position().inputs(), order.rows());
            format!("it consumed {consumed} rows of {rows}")
        } else if self.rows_consumed > MOST_ROWS {
            format!("it consumed {} rows, which nobody has", self.rows_consumed)
        } else {
            return self.check_lanes();
        };
        Err(Error::State { differs })
    }
}

fn differences(state: &OrderSettings, own: &OrderSettings) -> Vec<String> {
    let differs = |name: &str, state: String, own: String| {
        (state != own).then(|| format!("{name} was {state}, is {own}"))
    };
    [
        differs("seed", state.seed.to_string(), own.seed.to_string()),
        differs(
            "split shuffle",
            format!("{:?}", state.shuffle_splits),
            format!("{:?}", own.shuffle_splits),
        ),
        differs(
            "row shuffle window",
            state.shuffle_rows.to_string(),
            own.shuffle_rows.to_string(),
        ),
        differs(
            "split_rows",
            state.split_rows.to_string(),
            own.split_rows.to_string(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rows_consumed: u64) -> Position {
        Position {
            rows_consumed,
            lanes: None,
        }
    }

    fn position(cursor: &Cursor) -> (u64, u64) {
        (cursor.epoch, cursor.position.rows_consumed)
    }

    #[test]
    fn a_pass_moves_it_and_the_last_step_turns_the_epoch() {
        let mut cursor = Cursor::default();
        let pass = cursor.begin();
        assert!(cursor.is_moved_by(pass));
        cursor.consume(at(10));
        assert_eq!(position(&cursor), (0, 10));
        cursor.end();
        assert_eq!(position(&cursor), (1, 0));
        assert!(!cursor.is_moved_by(pass));
        cursor.begin();
        assert_eq!(position(&cursor), (1, 0));
    }

    #[test]
    fn a_pass_left_in_the_middle_is_given_up() {
        let mut cursor = Cursor::default();
        let first = cursor.begin();
        cursor.consume(at(10));
        cursor.begin();
        assert_eq!(position(&cursor), (1, 0));
        assert!(!cursor.is_moved_by(first));
        cursor.load(3, at(40));
        let untouched = cursor.begin();
        cursor.begin();
        assert_eq!(position(&cursor), (3, 40));
        assert!(!cursor.is_moved_by(untouched));
    }

    #[test]
    fn a_loaded_position_is_finished_first() {
        let mut cursor = Cursor::default();
        cursor.load(3, at(40));
        cursor.set_epoch(3);
        cursor.begin();
        assert_eq!(position(&cursor), (3, 40));
        cursor.load(3, at(40));
        cursor.set_epoch(4);
        cursor.begin();
        assert_eq!(position(&cursor), (4, 0));
    }

    fn state(edit: impl FnOnce(&mut State)) -> State {
        let mut state = State {
            version: STATE_VERSION,
            epoch: 1,
            rows_consumed: 40,
            lanes: Some(vec![LaneCursor::default(); 2]),
            order: OrderSettings {
                round_rows: 4,
                lanes: 2,
                split_rows: 8,
                seed: 0,
                shuffle_splits: crate::SplitShuffle::Off,
                shuffle_rows: 0,
            },
            order_hash: "aa".into(),
            filter_hash: Some("ff".into()),
            snapshot_hash: "bb".into(),
            plan_hash: "cc".into(),
        };
        edit(&mut state);
        state
    }

    #[test]
    fn states_of_one_step_are_one() {
        let replanned = state(|state| state.plan_hash = "dd".into());
        let merged = State::merge(&[state(|_| ()), replanned]).expect("they stand alike");
        assert_eq!(merged, state(|_| ()));
        let refused = |edit: fn(&mut State)| {
            let merged = State::merge(&[state(|_| ()), state(edit)]);
            merged.expect_err("they differ").to_string()
        };
        let message = refused(|state| state.rows_consumed = 44);
        assert!(
            message.ends_with("state 1 has consumed epoch 1, 44 rows, state 0 epoch 1, 40 rows"),
            "{message}"
        );
        assert!(refused(|state| state.order_hash = "ab".into()).contains("order ab, state 0 aa"));
        assert!(refused(|state| state.lanes = None).contains("different places"));
        let lacking = state(|state| state.lanes = Some(vec![LaneCursor::default()]));
        let message = State::merge(&[lacking]).expect_err("a lane is missing");
        assert!(message.to_string().contains("1 of its 2 lanes"));
        assert!(State::merge(&[]).is_err());
    }
}
