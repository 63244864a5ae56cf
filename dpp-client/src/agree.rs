//! Ranks that read only their own lanes agree on what every round takes, for a lane may end on one rank and not on another.
//!
//! ```text
//! rank 0   lanes 0, 1 │ fewest, most left, cursors ─┐
//! rank 1   lanes 2, 3 │ fewest, most left, cursors ─┴─ greatest of each number ─▶ all know the round after this one,
//!                                                                                 and where every lane stands
//! ```
//!
//! One exchange a step, when its batch is delivered, about the round that follows it: so the last step is known to be the
//! last, and every rank's state is the global one.

use std::{fmt::Debug, sync::Arc};

use dpp_proto::Fault;

use crate::{
    Error,
    order::{LaneCursor, Left, OnUneven},
};

/// How ranks tell one another.
pub trait Agreement: Debug + Send + Sync {
    /// The greatest of all ranks' numbers at each place. Every rank calls it as often, with as many numbers; it may wait
    /// for the others.
    ///
    /// # Errors
    /// Whatever keeps ranks from hearing of one another.
    fn greatest(&self, numbers: Vec<i64>) -> Result<Vec<i64>, Error>;
}

/// What a rank knows of a round and of the one after it.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Rows that each of its lanes has for the round.
    pub(crate) given: Vec<u64>,
    /// What its lanes have left after it.
    pub(crate) left: Left,
    /// Number of its first lane.
    pub(crate) first_lane: u64,
    /// Where its lanes stand after it.
    pub(crate) lanes: Vec<LaneCursor>,
}

/// The agreements of one pass.
#[derive(Debug)]
pub(crate) struct Talks {
    agreement: Arc<dyn Agreement>,
    on_uneven: OnUneven,
    /// Rows that a whole round takes of every lane.
    share: u64,
    /// Lanes of all ranks.
    lanes: u64,
    drop_last: bool,
    /// Rows that the round to come takes of every lane; `None` before the first.
    coming: Option<Result<u64, Error>>,
}

/// What ranks decided on a round.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Rows of every lane, padding included; 0: the pass was over before it.
    pub(crate) rows: u64,
    /// Whether no round follows.
    pub(crate) is_last: bool,
    /// Where all lanes stand after it.
    pub(crate) lanes: Vec<LaneCursor>,
}

impl Talks {
    pub(crate) fn new(
        agreement: Arc<dyn Agreement>,
        on_uneven: OnUneven,
        (lanes, share): (u64, u64),
        drop_last: bool,
    ) -> Talks {
        Talks {
            agreement,
            on_uneven,
            share,
            lanes,
            drop_last,
            coming: None,
        }
    }

    /// Decides on a round, together with the other ranks.
    pub(crate) fn decide(&mut self, claim: &Claim) -> Result<Decision, Error> {
        let coming = match self.coming.take() {
            Some(coming) => coming,
            None => {
                let (left, _) = self.exchange(Left::of(claim.given.iter().copied()), claim)?;
                self.on_uneven.round(left, self.share)
            }
        };
        let rows = self.wanted(coming?);
        if rows == 0 {
            return Ok(Decision {
                rows,
                is_last: true,
                lanes: Vec::new(),
            });
        }
        let (left, lanes) = self.exchange(claim.left, claim)?;
        let next = self.on_uneven.round(left, self.share);
        let follows = next.as_ref().map_or(true, |&next| self.wanted(next) > 0);
        self.coming = Some(next);
        Ok(Decision {
            rows,
            is_last: rows < self.share || !follows,
            lanes,
        })
    }

    /// Tells the others that this rank can't go on.
    pub(crate) fn fail(&self) {
        let none = Left { fewest: 0, most: 0 };
        // Its own error is raised, whether the others heard of it or not.
        _ = self.agreement.greatest(self.numbers(FAILED, none, 0, &[]));
    }

    /// 0 for a short round that is not wanted.
    fn wanted(&self, rows: u64) -> u64 {
        if self.drop_last && rows < self.share {
            0
        } else {
            rows
        }
    }

    /// What is left over all ranks, and where all lanes stand.
    fn exchange(&self, left: Left, claim: &Claim) -> Result<(Left, Vec<LaneCursor>), Error> {
        let numbers = self.numbers(WELL, left, claim.first_lane, &claim.lanes);
        let wanted = numbers.len();
        let heard = self.agreement.greatest(numbers)?;
        let [state, fewest, most, lanes @ ..] = &heard[..] else {
            return Err(unlike(wanted, heard.len()));
        };
        if heard.len() != wanted {
            return Err(unlike(wanted, heard.len()));
        }
        if *state != WELL {
            return Err(Error::Source {
                fault: Fault::Unavailable,
                message: "another rank can't go on with this epoch; it says why".into(),
            });
        }
        let left = Left {
            fewest: fewest.unsigned_abs(),
            most: most.unsigned_abs(),
        };
        let (pairs, _) = lanes.as_chunks::<2>();
        let lanes = pairs.iter().map(|[inputs, taken]| LaneCursor {
            inputs: inputs.unsigned_abs(),
            taken: taken.unsigned_abs(),
        });
        Ok((left, lanes.collect()))
    }

    /// How it is, the fewest rows (negative, so that the greatest is the fewest) and the most that a lane has left, then two
    /// numbers a lane.
    fn numbers(&self, state: i64, left: Left, first_lane: u64, lanes: &[LaneCursor]) -> Vec<i64> {
        let share = self.share;
        let mut numbers = vec![
            state,
            -left.fewest.min(share).cast_signed(),
            left.most.min(share).cast_signed(),
        ];
        let all = usize::try_from(2 * self.lanes).expect("cursors of all lanes fit in memory");
        numbers.resize(numbers.len() + all, 0);
        let own = numbers[3..].as_chunks_mut::<2>().0.iter_mut();
        for (numbers, lane) in own.skip(first_lane as usize).zip(lanes) {
            *numbers = [lane.inputs.cast_signed(), lane.taken.cast_signed()];
        }
        numbers
    }
}

fn unlike(wanted: usize, heard: usize) -> Error {
    Error::invalid(format!(
        "{wanted} numbers were to be agreed on, and {heard} came back"
    ))
}

const WELL: i64 = 0;
const FAILED: i64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Another rank, whose numbers are always these.
    #[derive(Debug)]
    struct Other(Vec<i64>);

    impl Agreement for Other {
        fn greatest(&self, numbers: Vec<i64>) -> Result<Vec<i64>, Error> {
            let pairs = numbers.into_iter().zip(&self.0);
            Ok(pairs.map(|(ours, theirs)| ours.max(*theirs)).collect())
        }
    }

    fn talks(on_uneven: OnUneven, other: &[i64]) -> Talks {
        Talks::new(Arc::new(Other(other.to_vec())), on_uneven, (2, 5), false)
    }

    fn claim(given: u64, left: u64) -> Claim {
        Claim {
            given: vec![given],
            left: Left::of([left]),
            first_lane: 1,
            lanes: vec![LaneCursor {
                inputs: 70,
                taken: 3,
            }],
        }
    }

    #[test]
    fn the_shortest_lane_of_any_rank_ends_the_epoch() {
        let mut talks = talks(OnUneven::Drop, &[0, -5, 5, 40, 1, 0, 0]);
        let first = talks.decide(&claim(5, 2)).expect("both are well");
        assert_eq!((first.rows, first.is_last), (5, false));
        let lanes: Vec<(u64, u64)> = first.lanes.into_iter().map(Into::into).collect();
        assert_eq!(lanes, [(40, 1), (70, 3)]);
        let second = talks.decide(&claim(2, 0)).expect("both are well");
        assert_eq!((second.rows, second.is_last), (2, true));
    }

    #[test]
    fn padding_goes_on_while_another_rank_has_rows() {
        let mut talks = talks(OnUneven::Pad, &[0, -3, 3, 0, 0, 0, 0]);
        let only = talks.decide(&claim(0, 0)).expect("both are well");
        assert_eq!((only.rows, only.is_last), (3, true));
    }

    #[test]
    fn unlike_ends_are_an_error_of_the_round_that_has_them() {
        let mut talks = talks(OnUneven::Error, &[0, -5, 5, 0, 0, 0, 0]);
        let first = talks.decide(&claim(5, 2)).expect("whole as yet");
        assert!(!first.is_last);
        let error = talks.decide(&claim(2, 0)).expect_err("2 and 5");
        assert!(error.to_string().contains("unevenly"), "{error}");
    }

    #[test]
    fn a_short_round_may_be_left_out() {
        let mut talks = Talks {
            drop_last: true,
            ..talks(OnUneven::Drop, &[0, -5, 5, 0, 0, 0, 0])
        };
        let first = talks.decide(&claim(5, 2)).expect("both are well");
        assert_eq!((first.rows, first.is_last), (5, true));
    }

    #[test]
    fn a_rank_that_fails_ends_it_for_all() {
        let mut talks = talks(OnUneven::Drop, &[1, 0, 0, 0, 0, 0, 0]);
        let error = talks.decide(&claim(5, 5)).expect_err("the other failed");
        assert!(error.to_string().contains("another rank"), "{error}");
    }
}
