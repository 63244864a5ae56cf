//! What fixes the order of a run: its geometry and its shuffle.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What fixes the order of a run for ever. World size and batch size are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSettings {
    /// Rows of a round.
    pub round_rows: u64,
    /// Places of a stripe that are read side by side; divides `round_rows`.
    pub lanes: u64,
    /// Most rows of a split.
    pub split_rows: u64,
    /// Seed of both shuffles.
    pub seed: u64,
    /// How splits are permuted.
    pub shuffle_splits: SplitShuffle,
    /// Rows are permuted within windows of this many rows of a piece; 0 keeps their order.
    pub shuffle_rows: u64,
}

/// How an epoch permutes its splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitShuffle {
    /// Not at all: snapshot order.
    Off,
    /// Within blocks of this many splits.
    Blocks(u64),
    /// Over the whole epoch.
    Epoch,
}

impl OrderSettings {
    /// Checks what order arithmetic relies on.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the setting.
    pub fn check(&self) -> Result<(), Error> {
        for (name, value) in [
            ("round_rows", self.round_rows),
            ("lanes", self.lanes),
            ("split_rows", self.split_rows),
        ] {
            if value == 0 {
                return Err(Error::invalid(format!("{name} must be at least 1")));
            }
        }
        if self.shuffle_splits == SplitShuffle::Blocks(0) {
            return Err(Error::invalid("shuffle needs blocks of at least 1 split"));
        }
        if !self.round_rows.is_multiple_of(self.lanes) {
            return Err(Error::invalid(format!(
                "lanes ({}) must divide round_rows ({}); choose a multiple of lanes",
                self.lanes, self.round_rows
            )));
        }
        Ok(())
    }

    /// A lane's share of a stripe is about one split (rounded half up).
    pub(super) fn rounds_per_stripe(&self) -> u64 {
        let (wanted, round) = (
            2 * u128::from(self.split_rows) * u128::from(self.lanes),
            u128::from(self.round_rows),
        );
        u64::try_from((wanted + round) / (2 * round))
            .unwrap_or(u64::MAX)
            .max(1)
    }
}
