//! Where the batches of who asks for a read end, counted in the read's positions. Pure.

use crate::v1::Cuts;

impl Cuts {
    /// Positions from `position` to the next at which a batch ends; at least 1. `each` is not 0.
    pub fn rows_from(&self, position: u64) -> u64 {
        match position.checked_sub(self.first) {
            None => self.first - position,
            Some(beyond) => self.each - beyond % self.each,
        }
    }

    /// The cuts of what is left of the read without its first `positions`.
    #[must_use]
    pub fn after(&self, positions: u64) -> Cuts {
        Cuts {
            first: self.rows_from(positions),
            each: self.each,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_rest_is_cut_where_the_whole_is(first in 0..9u64, each in 1..9u64, gone in 0..40u64, position in 0..40u64) {
            let cuts = Cuts { first, each };
            let ends: Vec<u64> = (0..100).map(|batch| first + batch * each).collect();
            let next = ends.iter().find(|end| **end > position).unwrap();
            prop_assert_eq!(cuts.rows_from(position), next - position);
            prop_assert_eq!(cuts.after(gone).rows_from(position), cuts.rows_from(gone + position));
        }
    }
}
