//! What lists of ids pass through, and ints that become lists of one id.

use std::ops::Range;

use arrow::{
    array::{Array, Int64Array},
    buffer::{NullBuffer, OffsetBuffer},
};

use super::Maps;
use crate::{
    Column, Error,
    id_list::IdList,
    in_place::{MapEach, Stretch},
    validity::extend_filled,
};

/// Ops on lists: stretches of every row, then functions of every id.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListChain {
    /// The column is ints.
    pub(crate) singles: Option<Singles>,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) maps: Maps,
}

/// Ints that become lists of one id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Singles {
    /// This in place of nulls; `None`: a null is no id.
    pub(crate) fill: Option<i64>,
}

impl ListChain {
    /// Appends the length of every row that comes out.
    pub(crate) fn push_lengths(
        &self,
        column: &Column,
        lengths: &mut Vec<i32>,
    ) -> Result<(), Error> {
        let kept = |length: i32| {
            let kept = self.kept(length as usize).len();
            i32::try_from(kept).expect("no more than the row has")
        };
        if let Some(singles) = self.singles {
            let array = column.int()?;
            let one = kept(1);
            match singles.nulls(array) {
                None => lengths.resize(lengths.len() + array.len(), one),
                Some(nulls) => lengths.extend(nulls.iter().map(|valid| one * i32::from(valid))),
            }
            return Ok(());
        }
        let bounds = column.id_list()?.offsets().windows(2);
        match self.stretches.is_empty() {
            true => lengths.extend(bounds.map(|row| row[1] - row[0])),
            false => lengths.extend(bounds.map(|row| kept(row[1] - row[0]))),
        }
        Ok(())
    }

    /// Appends the ids of every row that comes out.
    pub(crate) fn push_ids(&self, column: &Column, ids: &mut Vec<i64>) -> Result<(), Error> {
        let start = ids.len();
        match self.singles {
            None => {
                let lists = column.id_list()?;
                self.push_kept(lists, lists.ids(), ids);
            }
            Some(singles) if !self.kept(1).is_empty() => singles.push(column.int()?, ids),
            Some(_) => {}
        }
        self.maps.map_each(&mut ids[start..]);
        Ok(())
    }

    /// Appends what is kept of `values`, one for each id: neighbouring rows that are kept whole at once.
    pub(crate) fn push_kept<T: Copy>(&self, lists: &IdList, values: &[T], kept: &mut Vec<T>) {
        if self.stretches.is_empty() {
            return kept.extend_from_slice(values);
        }
        let mut run = 0..0;
        for row in lists.extents() {
            let stretch = self.kept(row.len());
            let stretch = row.start + stretch.start..row.start + stretch.end;
            if stretch.start == run.end {
                run.end = stretch.end;
            } else {
                kept.extend_from_slice(&values[std::mem::replace(&mut run, stretch)]);
            }
        }
        kept.extend_from_slice(&values[run]);
    }

    /// What is kept of a row of `length` ids.
    fn kept(&self, length: usize) -> Range<usize> {
        self.stretches.iter().fold(0..length, |kept, stretch| {
            let inner = stretch.of(kept.len());
            kept.start + inner.start..kept.start + inner.end
        })
    }

    pub(super) fn evaluate(&self, column: &Column) -> Result<Column, Error> {
        let mut lengths = Vec::with_capacity(column.rows());
        self.push_lengths(column, &mut lengths)?;
        let offsets = OffsetBuffer::from_lengths(lengths.into_iter().map(|length| length as usize));
        let mut ids = Vec::with_capacity(offsets[offsets.len() - 1] as usize);
        self.push_ids(column, &mut ids)?;
        let scored = match column {
            Column::IdList(lists) => lists.scores().map(|scores| (lists, scores)),
            _ => None,
        };
        let scores = scored.map(|(lists, scores)| {
            let mut kept = Vec::with_capacity(ids.len());
            self.push_kept(lists, scores, &mut kept);
            kept.into()
        });
        IdList::new(offsets, ids.into(), scores).map(Column::IdList)
    }

    /// What is left when every id has passed through [`maps`](ListChain::maps).
    pub(super) fn after_values(&self) -> ListChain {
        let singles = self.singles.map(|singles| Singles {
            fill: singles.fill.map(|fill| {
                let mut filled = [fill];
                self.maps.map_each(&mut filled);
                filled[0]
            }),
        });
        ListChain {
            singles,
            stretches: self.stretches.clone(),
            maps: Maps::default(),
        }
    }
}

impl Singles {
    /// The rows that come out without an id; `None` when all have one.
    fn nulls(self, array: &Int64Array) -> Option<&NullBuffer> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        nulls.filter(|_| self.fill.is_none())
    }

    fn push(self, array: &Int64Array, ids: &mut Vec<i64>) {
        match self.nulls(array) {
            Some(nulls) => ids.extend(nulls.valid_indices().map(|row| array.values()[row])),
            None => extend_filled(
                ids,
                array.values(),
                array.nulls(),
                self.fill.unwrap_or_default(),
            ),
        }
    }
}
