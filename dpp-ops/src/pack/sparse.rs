//! Id lists into one key-major jagged tensor.

use dpp_batch::Jagged;
use dpp_pool::Pooled;

use super::Packed;
use crate::{
    Column, Error,
    id_list::IdList,
    program::chain::{Chain, ListChain},
};

/// Lengths `[keys · rows]`, values and, if any key has scores, weights; a key without scores weighs 1.0 an id.
pub(super) fn pack(keys: &[Packed<'_>], rows: usize) -> Result<Jagged, Error> {
    let as_they_are = ListChain::default();
    let keys: Vec<Key<'_>> = keys
        .iter()
        .map(|key| Key {
            column: key.column,
            chain: match key.through {
                Some(Chain::Lists(chain)) => chain,
                _ => &as_they_are,
            },
        })
        .collect();
    let mut lengths = dpp_pool::empty(keys.len() * rows);
    let mut counts = Vec::with_capacity(keys.len());
    for Key { column, chain } in &keys {
        let start = lengths.len();
        chain.push_lengths(column, &mut lengths)?;
        counts.push(
            lengths[start..]
                .iter()
                .map(|&length| length as usize)
                .sum::<usize>(),
        );
    }
    let ids = counts.iter().sum();
    let mut values = dpp_pool::empty(ids);
    for Key { column, chain } in &keys {
        chain.push_ids(column, &mut values)?;
    }
    let weighted = keys.iter().any(|key| key.scored().is_some());
    Ok(Jagged {
        lengths: lengths.into_buffer(),
        values: values.into_buffer(),
        weights: weighted.then(|| weights(&keys, &counts).into_buffer()),
    })
}

/// One key's column, and what it passes through.
struct Key<'a> {
    column: &'a Column,
    chain: &'a ListChain,
}

impl<'a> Key<'a> {
    /// Its lists and their scores, if it has any.
    fn scored(&self) -> Option<(&'a IdList, &'a [f32])> {
        match self.column {
            Column::IdList(lists) => Some((lists, lists.scores()?)),
            _ => None,
        }
    }
}

/// A weight for each id; `ids` are those of each key.
fn weights(keys: &[Key<'_>], ids: &[usize]) -> Pooled<f32> {
    let mut weights: Pooled<f32> = dpp_pool::empty(ids.iter().sum());
    for (key, ids) in keys.iter().zip(ids) {
        match key.scored() {
            Some((lists, scores)) => key.chain.push_kept(lists, scores, &mut weights),
            None => weights.extend(std::iter::repeat_n(1.0, *ids)),
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{lists, scored_lists};

    fn pack(keys: &[&Column], rows: usize) -> Result<Jagged, Error> {
        let keys = keys.iter().map(|&column| Packed {
            column,
            through: None,
        });
        super::pack(&keys.collect::<Vec<_>>(), rows)
    }

    #[test]
    fn keys_follow_one_another() {
        let (first, second) = (lists(&[vec![1, 2], vec![]]), lists(&[vec![], vec![3]]));
        let packed = pack(&[&first, &second], 2).unwrap();
        assert_eq!(packed.lengths.typed_data::<i32>(), [2, 0, 0, 1]);
        assert_eq!(packed.values.typed_data::<i64>(), [1, 2, 3]);
        assert_eq!(packed.weights, None);
    }

    #[test]
    fn unweighted_keys_weigh_one_beside_weighted_ones() {
        let (first, second) = (lists(&[vec![1, 2]]), scored_lists(&[vec![(3, 0.5)]]));
        let packed = pack(&[&first, &second], 1).unwrap();
        assert_eq!(packed.weights.unwrap().typed_data::<f32>(), [1.0, 1.0, 0.5]);
    }

    #[test]
    fn no_keys_and_no_rows_are_empty() {
        let packed = pack(&[], 5).unwrap();
        assert!(packed.lengths.is_empty() && packed.values.is_empty());
        let packed = pack(&[&lists(&[])], 0).unwrap();
        assert!(packed.lengths.is_empty() && packed.values.is_empty());
    }
}
