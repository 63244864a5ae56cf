//! What a round takes of every lane when a filter decides how many rows each has. Pure.
//!
//! While every lane has its share, a round takes it. Then lanes end unevenly, and a rule says what follows. Whoever knows the
//! fewest and the most that any lane has left decides alike, so ranks that read a part of the lanes each need to tell one
//! another two numbers, a round ahead.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What happens when a filter leaves lanes of unlike length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUneven {
    /// The last round takes as many rows of every lane as the shortest has left; the others' rest is not read this epoch.
    #[default]
    Drop,
    /// Rounds go on until all lanes are empty; a lane that has fewer than another is padded.
    Pad,
    /// An error, unless all lanes have as many left.
    Error,
}

/// Rows that lanes have left, counted up to their share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Of the lane that has fewest.
    pub fewest: u64,
    /// Of the lane that has most.
    pub most: u64,
}

impl Left {
    /// What is left over all `lanes`, of which there is one at least.
    pub fn of(lanes: impl IntoIterator<Item = u64>) -> Left {
        let none = Left {
            fewest: u64::MAX,
            most: 0,
        };
        lanes.into_iter().fold(none, |left, lane| {
            left.and(Left {
                fewest: lane,
                most: lane,
            })
        })
    }

    /// As if lanes of both were one's: how ranks agree.
    #[must_use]
    pub fn and(self, other: Left) -> Left {
        Left {
            fewest: self.fewest.min(other.fewest),
            most: self.most.max(other.most),
        }
    }
}

impl OnUneven {
    /// Rows that the next round takes of every lane, padding included; the epoch ends with the first that takes fewer than
    /// `share`. 0: it has ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] where lanes end unevenly and that is an error.
    pub fn round(self, left: Left, share: u64) -> Result<u64, Error> {
        let (fewest, most) = (left.fewest.min(share), left.most.min(share));
        match self {
            OnUneven::Pad => Ok(most),
            OnUneven::Error if fewest < most => Err(Error::invalid(format!(
                "lanes end unevenly: in the last round one has {fewest} rows left and another {most}; choose \
                 on_uneven=\"drop\" or \"pad\""
            ))),
            OnUneven::Drop | OnUneven::Error => Ok(fewest),
        }
    }
}

/// The rounds that follow, as long as what lanes have left is known.
#[derive(Clone, Debug)]
pub struct Rounds {
    on_uneven: OnUneven,
    share: u64,
    left: Vec<u64>,
    is_over: bool,
}

/// What one round takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Rows of every lane, padding included.
    pub rows: u64,
    /// Rows of each lane, without padding.
    pub given: Vec<u64>,
}

impl Rounds {
    /// Of lanes that have so many rows left, each of which is exact or more than is asked for.
    pub fn new(on_uneven: OnUneven, share: u64, left: Vec<u64>) -> Rounds {
        Rounds {
            on_uneven,
            share,
            left,
            is_over: false,
        }
    }
}

impl Iterator for Rounds {
    type Item = Result<Round, Error>;

    fn next(&mut self) -> Option<Result<Round, Error>> {
        if self.is_over {
            return None;
        }
        let left = Left::of(self.left.iter().copied());
        let rows = match self.on_uneven.round(left, self.share) {
            Ok(rows) => rows,
            Err(error) => {
                self.is_over = true;
                return Some(Err(error));
            }
        };
        self.is_over = rows < self.share;
        let take = |left: &mut u64| {
            let given = rows.min(*left);
            *left -= given;
            given
        };
        let given = self.left.iter_mut().map(take).collect();
        (rows > 0).then_some(Ok(Round { rows, given }))
    }
}
