//! Id lists into one key-major jagged tensor.

use arrow::buffer::Buffer;
use dpp_batch::Jagged;

use crate::{Column, Error, id_list::IdList};

/// Lengths `[keys · rows]`, values and, if any key has scores, weights; a key without scores weighs 1.0 an id.
pub(super) fn pack(keys: &[&Column], rows: usize) -> Result<Jagged, Error> {
    let keys: Vec<&IdList> = keys
        .iter()
        .map(|key| key.id_list())
        .collect::<Result<_, _>>()?;
    let ids = keys.iter().map(|key| key.ids().len()).sum();
    let mut lengths: Vec<i32> = Vec::with_capacity(keys.len() * rows);
    let mut values: Vec<i64> = Vec::with_capacity(ids);
    for key in &keys {
        lengths.extend(key.offsets().windows(2).map(|row| row[1] - row[0]));
        values.extend_from_slice(key.ids());
    }
    let weighted = keys.iter().any(|key| key.scores().is_some());
    Ok(Jagged {
        lengths: Buffer::from_vec(lengths),
        values: Buffer::from_vec(values),
        weights: weighted.then(|| Buffer::from_vec(weights(&keys, ids))),
    })
}

fn weights(keys: &[&IdList], ids: usize) -> Vec<f32> {
    let mut weights = Vec::with_capacity(ids);
    for key in keys {
        match key.scores() {
            Some(scores) => weights.extend_from_slice(scores),
            None => weights.resize(weights.len() + key.ids().len(), 1.0),
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{lists, scored_lists};

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
