//! A set of the ids of one row, made to be emptied and filled again for the next.

/// Ids by open addressing. A slot belongs to the set if its stamp is the current row's, so that emptying costs nothing.
#[derive(Debug, Default)]
pub(crate) struct IdSet {
    slots: Vec<Slot>,
    /// One less than the number of slots in use, which is a power of two.
    mask: usize,
    row: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    id: i64,
    /// Twice the row, one more once the id is taken.
    stamp: u64,
}

impl IdSet {
    /// Empties the set, and makes room for `ids` ids.
    pub(crate) fn clear_for(&mut self, ids: usize) {
        let slots = (ids.max(4) * 2).next_power_of_two();
        if slots > self.slots.len() {
            self.slots.resize(slots, Slot::default());
        }
        self.mask = slots - 1;
        self.row += 2;
    }

    /// Adds an id; false if it is there already.
    pub(crate) fn insert(&mut self, id: i64) -> bool {
        let row = self.row;
        let slot = self.slot(id);
        if slot.stamp >= row {
            return false;
        }
        *slot = Slot { id, stamp: row };
        true
    }

    /// Whether the id is there and was not taken before.
    pub(crate) fn take(&mut self, id: i64) -> bool {
        let row = self.row;
        let slot = self.slot(id);
        if slot.stamp != row {
            return false;
        }
        slot.stamp = row + 1;
        true
    }

    /// The id's slot, or the free one where it would go. At least half of the slots are free.
    fn slot(&mut self, id: i64) -> &mut Slot {
        let mut place = hash(id);
        loop {
            place &= self.mask;
            let slot = self.slots[place];
            if slot.stamp < self.row || slot.id == id {
                return &mut self.slots[place];
            }
            place += 1;
        }
    }
}

/// Both halves of a wide product: every bit of the id counts.
fn hash(id: i64) -> usize {
    let wide = u128::from(id.cast_unsigned() ^ SEED) * u128::from(MULTIPLIER);
    ((wide >> 64) as u64 ^ wide as u64) as usize
}

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn equals_a_map(rows in vec(vec((any::<bool>(), -9i64..9), 0..40), 0..10)) {
            let mut set = IdSet::default();
            for row in rows {
                let mut map: HashMap<i64, bool> = HashMap::new();
                set.clear_for(row.len());
                for (insert, id) in row {
                    if insert {
                        let new = !map.contains_key(&id);
                        map.entry(id).or_insert(true);
                        prop_assert_eq!(set.insert(id), new);
                    } else {
                        let there = map.get_mut(&id).is_some_and(std::mem::take);
                        prop_assert_eq!(set.take(id), there);
                    }
                }
            }
        }
    }

    #[test]
    fn strides_do_not_crowd() {
        for shift in 0..52 {
            let mut set = IdSet::default();
            set.clear_for(1000);
            (0..1000).for_each(|id| assert!(set.insert(id << shift)));
            (0..1000).for_each(|id| assert!(!set.insert(id << shift)));
        }
    }
}
