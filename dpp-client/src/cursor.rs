//! Where the trainer stands: what it consumed, not what was prefetched.
//!
//! A [`State`] is saved with the model's checkpoint. Without row-dropping ops it is (epoch, rows consumed of
//! the flat order), so any rank's state is the global state, whatever the next world size and batch.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    order::{Order, OrderSettings},
};

/// What is saved. Plain JSON, a few hundred bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this form.
    pub version: u32,
    /// The epoch under way, or the next one after an epoch's last step.
    pub epoch: u64,
    /// Rows of the epoch's flat order that were consumed, over all ranks.
    pub rows_consumed: u64,
    /// The order's settings, geometry included.
    pub order: OrderSettings,
    /// Hash of snapshot and order settings; must match on load.
    pub order_hash: String,
    /// The snapshot, so that an error can say what differs.
    pub snapshot_hash: String,
    /// The plan when the state was saved. It may change.
    pub plan_hash: String,
}

/// Version of [`State`].
pub const STATE_VERSION: u32 = 1;

/// Beyond this an epoch is a mistake.
const MOST_EPOCHS: u64 = 1 << 40;

/// The moving part of a state, and the rules by which passes move it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) epoch: u64,
    pub(crate) rows_consumed: u64,
    /// Whether a pass over `epoch` has begun and not ended.
    begun: bool,
    /// Whether that pass has given a batch.
    taken: bool,
    pass: u64,
}

impl Cursor {
    /// A cursor at a saved position: the first pass finishes that epoch.
    pub(crate) fn at(epoch: u64, rows_consumed: u64) -> Cursor {
        Cursor {
            epoch,
            rows_consumed,
            ..Cursor::default()
        }
    }

    /// Begins a pass and returns its number. One that was left in the middle is given up for the next epoch; one that
    /// gave no batch was none.
    pub(crate) fn begin(&mut self) -> u64 {
        if self.taken {
            self.epoch += 1;
            self.rows_consumed = 0;
        }
        self.taken = false;
        self.begun = true;
        self.pass += 1;
        self.pass
    }

    /// The trainer has the rows up to flat position `rows_consumed`. Returns false when a newer pass has begun.
    pub(crate) fn consume(&mut self, pass: u64, rows_consumed: u64, last: bool) -> bool {
        if pass != self.pass || !self.begun {
            return false;
        }
        if last {
            *self = Cursor {
                pass,
                ..Cursor::at(self.epoch + 1, 0)
            };
        } else {
            self.rows_consumed = rows_consumed;
            self.taken = true;
        }
        true
    }

    /// Chooses the epoch of the next pass: a loaded one keeps its position, any other starts at 0.
    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        let keeps = epoch == self.epoch && !self.begun;
        let rows_consumed = if keeps { self.rows_consumed } else { 0 };
        *self = Cursor {
            pass: self.pass,
            ..Cursor::at(epoch, rows_consumed)
        };
    }

    /// Moves to a saved position; passes under way end.
    pub(crate) fn load(&mut self, epoch: u64, rows_consumed: u64) {
        *self = Cursor {
            pass: self.pass,
            ..Cursor::at(epoch, rows_consumed)
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

    /// The order settings with which a loader goes on from this state: its own, with the state's geometry.
    ///
    /// # Errors
    /// [`Error::State`] naming every setting that differs.
    pub(crate) fn settings_for(&self, own: &OrderSettings) -> Result<OrderSettings, Error> {
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
        let differs = differences(&self.order, &wanted);
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
        } else if self.order_hash != order.hash(snapshot_hash) {
            "its order hash does not fit its settings: it was changed after it was saved".to_owned()
        } else if self.epoch > MOST_EPOCHS {
            format!("it stands in epoch {}, which nobody reached", self.epoch)
        } else if self.rows_consumed > order.rows() {
            format!(
                "it consumed {} rows of {}",
                self.rows_consumed,
                order.rows()
            )
        } else {
            return Ok(());
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

    fn position(cursor: &Cursor) -> (u64, u64) {
        (cursor.epoch, cursor.rows_consumed)
    }

    #[test]
    fn a_pass_moves_it_and_the_last_step_turns_the_epoch() {
        let mut cursor = Cursor::default();
        let pass = cursor.begin();
        assert!(cursor.consume(pass, 10, false));
        assert_eq!(position(&cursor), (0, 10));
        assert!(cursor.consume(pass, 17, true));
        assert_eq!(position(&cursor), (1, 0));
        assert!(!cursor.consume(pass, 20, false));
        cursor.begin();
        assert_eq!(position(&cursor), (1, 0));
    }

    #[test]
    fn a_pass_left_in_the_middle_is_given_up() {
        let mut cursor = Cursor::default();
        let first = cursor.begin();
        cursor.consume(first, 10, false);
        cursor.begin();
        assert_eq!(position(&cursor), (1, 0));
        assert!(!cursor.consume(first, 20, false));
        cursor.load(3, 40);
        let untouched = cursor.begin();
        cursor.begin();
        assert_eq!(position(&cursor), (3, 40));
        assert!(!cursor.consume(untouched, 50, false));
    }

    #[test]
    fn a_loaded_position_is_finished_first() {
        let mut cursor = Cursor::default();
        cursor.load(3, 40);
        cursor.set_epoch(3);
        cursor.begin();
        assert_eq!(position(&cursor), (3, 40));
        cursor.load(3, 40);
        cursor.set_epoch(4);
        cursor.begin();
        assert_eq!(position(&cursor), (4, 0));
    }
}
