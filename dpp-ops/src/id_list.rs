//! Lists of ids, with or without scores: the sparse features.
//!
//! ```text
//! rows     [7, 9]   []    [4]          null rows have become empty ones
//! offsets  0        2     2     3      starts at 0, ends at ids.len()
//! ids      7  9           4
//! scores   .5 .1          1.           absent for plain id lists
//! ```

use std::ops::Range;

use arrow::{
    array::{Array, Float32Array, Int64Array, ListArray, StructArray, cast::AsArray},
    buffer::{NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Float32Type, Int64Type},
};

use crate::{
    Error,
    validity::{WORD, filled, words},
    vectorised::{MapValue, map_in_place},
};

/// One list of ids per row. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct IdList {
    offsets: OffsetBuffer<i32>,
    ids: ScalarBuffer<i64>,
    scores: Option<ScalarBuffer<f32>>,
}

impl IdList {
    /// Lists whose row `r` is `ids[offsets[r]..offsets[r + 1]]`, and the same of `scores`.
    ///
    /// Fails unless offsets start at 0 and end at `ids.len()`, and there are as many scores as ids.
    pub fn new(
        offsets: OffsetBuffer<i32>,
        ids: ScalarBuffer<i64>,
        scores: Option<ScalarBuffer<f32>>,
    ) -> Result<IdList, Error> {
        let ragged = |message| Err(Error::Ragged { message });
        if offsets[0] != 0 {
            return ragged("offsets do not start at 0");
        }
        if offsets[offsets.len() - 1] as usize != ids.len() {
            return ragged("offsets do not end at the number of ids");
        }
        if scores.as_ref().is_some_and(|it| it.len() != ids.len()) {
            return ragged("there are not as many scores as ids");
        }
        Ok(IdList {
            offsets,
            ids,
            scores,
        })
    }

    /// One id per row, none where `nulls` says null. Rows must be fewer than 2^31.
    pub fn of_single_ids(ids: ScalarBuffer<i64>, nulls: Option<&NullBuffer>) -> IdList {
        let offsets = match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => OffsetBuffer::from_repeated_length(1, ids.len()),
            Some(nulls) => {
                let valid = nulls.valid_indices().map(|row| ids[row]).collect();
                let lengths = nulls.iter().map(usize::from);
                return IdList {
                    offsets: OffsetBuffer::from_lengths(lengths),
                    ids: valid,
                    scores: None,
                };
            }
        };
        IdList {
            offsets,
            ids,
            scores: None,
        }
    }

    /// Reads `List<Int64>`, or `List<Struct<id Int64, score Float32>>` when `scored`; `None` for any other type.
    ///
    /// Null rows become empty, whatever their extent; a null id is no id; a null score is 0.
    pub fn from_arrow(array: &dyn Array, scored: bool) -> Option<IdList> {
        let list = array.as_list_opt::<i32>()?;
        if scored {
            scored_lists(list)
        } else {
            plain_lists(list)
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Row boundaries: rows + 1 of them, from 0 to the number of ids.
    pub fn offsets(&self) -> &OffsetBuffer<i32> {
        &self.offsets
    }

    /// Ids of all rows, one after the other.
    pub fn ids(&self) -> &ScalarBuffer<i64> {
        &self.ids
    }

    /// A score for each id, `None` for plain lists.
    pub fn scores(&self) -> Option<&ScalarBuffer<f32>> {
        self.scores.as_ref()
    }

    /// Where each row lies in [`ids`](IdList::ids), row by row.
    pub fn extents(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        let pairs = self.offsets.windows(2);
        pairs.map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// The ids of each row.
    pub fn id_rows(&self) -> impl ExactSizeIterator<Item = &[i64]> {
        self.extents().map(|extent| &self.ids[extent])
    }

    /// The same lists without their scores.
    pub fn without_scores(&self) -> IdList {
        IdList {
            scores: None,
            ..self.clone()
        }
    }

    /// The same lists with every score replaced. `scores` are as many as ids.
    pub(crate) fn with_scores(&self, scores: Vec<f32>) -> IdList {
        assert_eq!(scores.len(), self.ids.len(), "a score for each id");
        IdList {
            scores: Some(scores.into()),
            ..self.clone()
        }
    }

    /// The same lists with every id mapped by `map`.
    pub(crate) fn map_ids(&self, map: &impl MapValue<i64>) -> IdList {
        let mut ids = self.ids.to_vec();
        map_in_place(&mut ids, map);
        self.with_ids(ids)
    }

    /// The same lists with every id replaced. `ids` are as many as before.
    pub(crate) fn with_ids(&self, ids: Vec<i64>) -> IdList {
        assert_eq!(
            ids.len(),
            self.ids.len(),
            "an elementwise op keeps the count"
        );
        IdList {
            offsets: self.offsets.clone(),
            ids: ids.into(),
            scores: self.scores.clone(),
        }
    }
}

fn plain_lists(list: &ListArray) -> Option<IdList> {
    let ids = list.values().as_primitive_opt::<Int64Type>()?;
    Some(normalised(list, ids, None, ids.nulls()))
}

fn scored_lists(list: &ListArray) -> Option<IdList> {
    let entries: &StructArray = list.values().as_struct_opt()?;
    let [ids, scores] = entries.columns() else {
        return None;
    };
    if !is_id_score(entries.data_type()) {
        return None;
    }
    let ids = ids.as_primitive_opt::<Int64Type>()?;
    let scores = scores.as_primitive_opt::<Float32Type>()?;
    let nulls = NullBuffer::union(entries.nulls(), ids.nulls());
    Some(normalised(list, ids, Some(scores), nulls.as_ref()))
}

fn is_id_score(entries: &DataType) -> bool {
    let DataType::Struct(fields) = entries else {
        return false;
    };
    fields.iter().map(|field| field.name()).eq(["id", "score"])
}

fn normalised(
    list: &ListArray,
    ids: &Int64Array,
    scores: Option<&Float32Array>,
    null_ids: Option<&NullBuffer>,
) -> IdList {
    let null_ids = null_ids.filter(|nulls| nulls.null_count() > 0);
    let scores = scores.map(|scores| match scores.null_count() {
        0 => scores.values().clone(),
        _ => filled(scores.values(), scores.nulls(), 0.0).into(),
    });
    if null_ids.is_some() || has_extended_null_rows(list) {
        return compacted(list, ids.values(), scores, null_ids);
    }
    let offsets = list.offsets();
    let first = offsets[0];
    let (start, length) = (
        first as usize,
        (offsets[offsets.len() - 1] - first) as usize,
    );
    IdList {
        offsets: rebased(offsets, first),
        ids: ids.values().slice(start, length),
        scores: scores.map(|scores| scores.slice(start, length)),
    }
}

/// Whether ids lie under null rows; nulls strewn about would be guessed wrongly half the time, so no row is asked.
fn has_extended_null_rows(list: &ListArray) -> bool {
    let Some(nulls) = list.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return false;
    };
    let mut bounds = list.offsets().windows(2);
    let mut under = 0;
    for word in words(nulls) {
        for (row, bounds) in bounds.by_ref().take(WORD).enumerate() {
            let if_null = (word >> row & 1) as i32 - 1;
            under |= (bounds[1] - bounds[0]) & if_null;
        }
    }
    under != 0
}

fn rebased(offsets: &OffsetBuffer<i32>, first: i32) -> OffsetBuffer<i32> {
    if first == 0 {
        return offsets.clone();
    }
    OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect())
}

fn compacted(
    list: &ListArray,
    ids: &[i64],
    scores: Option<ScalarBuffer<f32>>,
    null_ids: Option<&NullBuffer>,
) -> IdList {
    let mut kept = Vec::new();
    let mut lengths = Vec::with_capacity(list.len());
    for (row, extent) in list.offsets().windows(2).enumerate() {
        let before = kept.len();
        if list.is_valid(row) {
            let places = extent[0] as usize..extent[1] as usize;
            kept.extend(places.filter(|&place| null_ids.is_none_or(|nulls| nulls.is_valid(place))));
        }
        lengths.push(kept.len() - before);
    }
    IdList {
        offsets: OffsetBuffer::from_lengths(lengths),
        ids: kept.iter().map(|&place| ids[place]).collect(),
        scores: scores.map(|scores| kept.iter().map(|&place| scores[place]).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::ArrayRef,
        datatypes::{Field, Fields},
    };

    use super::*;

    fn check(list: &ListArray, rows: &[&[i64]]) {
        let lists = IdList::from_arrow(list, false).unwrap();
        let found: Vec<&[i64]> = (0..lists.rows())
            .map(|row| &lists.ids[lists.offsets[row] as usize..lists.offsets[row + 1] as usize])
            .collect();
        assert_eq!(found, rows);
        IdList::new(lists.offsets, lists.ids, None).unwrap();
    }

    fn lists(ids: Int64Array, offsets: &[i32], valid: Option<&[bool]>) -> ListArray {
        let field = Arc::new(Field::new("item", DataType::Int64, true));
        let offsets = OffsetBuffer::new(offsets.to_vec().into());
        ListArray::new(field, offsets, Arc::new(ids), valid.map(NullBuffer::from))
    }

    #[test]
    fn sliced_lists_start_at_zero() {
        let list = lists((0..6).collect::<Vec<_>>().into(), &[0, 2, 2, 5, 6], None);
        check(&list, &[&[0, 1], &[], &[2, 3, 4], &[5]]);
        check(&list.slice(1, 2), &[&[], &[2, 3, 4]]);
        check(&list.slice(4, 0), &[]);
    }

    #[test]
    fn null_rows_are_empty_even_with_ids_under_them() {
        let valid: &[bool] = &[true, false, true];
        let list = lists(
            (0..6).collect::<Vec<_>>().into(),
            &[1, 2, 4, 6],
            Some(valid),
        );
        check(&list, &[&[1], &[], &[4, 5]]);
        check(&list.slice(1, 2), &[&[], &[4, 5]]);
    }

    #[test]
    fn one_null_row_with_ids_is_found_among_many() {
        for hidden in [0, 63, 64, 100, 129] {
            let valid: Vec<bool> = (0..130).map(|row| row != hidden).collect();
            let offsets: Vec<i32> = (0..=130).collect();
            let list = lists((0..130).collect::<Vec<_>>().into(), &offsets, Some(&valid));
            let ids: Vec<i64> = (0..130).collect();
            let row = |row: &usize| &ids[*row..row + usize::from(valid[*row])];
            let rows: Vec<usize> = (0..130).collect();
            check(&list, &rows.iter().map(row).collect::<Vec<_>>());
            check(
                &list.slice(5, 120),
                &rows[5..125].iter().map(row).collect::<Vec<_>>(),
            );
        }
    }

    #[test]
    fn null_ids_are_no_ids() {
        let ids = Int64Array::from(vec![Some(1), None, Some(3), None]);
        check(&lists(ids, &[0, 3, 4], None), &[&[1, 3], &[]]);
    }

    #[test]
    fn scores_follow_their_ids() {
        let fields = Fields::from(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("score", DataType::Float32, true),
        ]);
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)]));
        let scores: ArrayRef = Arc::new(Float32Array::from(vec![None, Some(0.5), Some(0.25)]));
        let entries = StructArray::new(fields.clone(), vec![ids, scores], None);
        let field = Arc::new(Field::new("item", DataType::Struct(fields), true));
        let offsets = OffsetBuffer::new(vec![0, 2, 3].into());
        let list = ListArray::new(field, offsets, Arc::new(entries), None);
        let read = IdList::from_arrow(&list, true).unwrap();
        assert_eq!(read.ids().as_ref(), [5, 7]);
        assert_eq!(read.scores().unwrap().as_ref(), [0.0, 0.25]);
        assert_eq!(read.offsets().as_ref(), [0, 1, 2]);
        assert!(IdList::from_arrow(&list, false).is_none());
    }
}
