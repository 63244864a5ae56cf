//! Lists written row by row, by ops whose rows change their length.

use crate::{Error, id_list::IdList};

/// Rows so far, and the one being written.
#[derive(Debug)]
pub(crate) struct ListWriter {
    offsets: Vec<i32>,
    /// Ids so far; those after the last offset are of the row being written.
    pub(crate) ids: Vec<i64>,
    /// A score for each id, in a list of scored ids.
    pub(crate) scores: Option<Vec<f32>>,
}

impl ListWriter {
    /// Room for `rows` rows of `ids` ids together; more are no error.
    pub(crate) fn new(rows: usize, ids: usize, scored: bool) -> ListWriter {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        ListWriter {
            offsets,
            ids: Vec::with_capacity(ids),
            scores: scored.then(|| Vec::with_capacity(ids)),
        }
    }

    /// The `place`-th id of `lists`, with its score if scores are written; 0 where `lists` has none.
    pub(crate) fn push_from(&mut self, lists: &IdList, place: usize) {
        self.ids.push(lists.ids()[place]);
        if let Some(scores) = &mut self.scores {
            scores.push(lists.scores().map_or(0.0, |scores| scores[place]));
        }
    }

    /// Ends a row. Fails when the rows hold more than 2^31 − 1 ids together.
    pub(crate) fn end_row(&mut self) -> Result<(), Error> {
        let end = i32::try_from(self.ids.len()).map_err(|_| too_long())?;
        self.offsets.push(end);
        Ok(())
    }

    /// The rows ended so far, which hold every id.
    pub(crate) fn finish(self) -> Result<IdList, Error> {
        let offsets = arrow::buffer::OffsetBuffer::new(self.offsets.into());
        IdList::new(offsets, self.ids.into(), self.scores.map(Into::into))
    }
}

/// What it means that lists outgrow their offsets.
pub(crate) fn too_long() -> Error {
    Error::TooLong {
        what: "a list column".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Column,
        ops::testing::{scored_lists, scored_rows},
    };

    #[test]
    fn rows_are_as_written() {
        let column = scored_lists(&[vec![(5, 0.5), (6, 0.25)]]);
        let lists = column.id_list().unwrap();
        let mut writer = ListWriter::new(0, 0, true);
        writer.end_row().unwrap();
        writer.push_from(lists, 1);
        writer.push_from(lists, 0);
        writer.end_row().unwrap();
        let rows = scored_rows(&Column::IdList(writer.finish().unwrap()));
        assert_eq!(rows, [vec![], vec![(6, 0.25), (5, 0.5)]]);
    }
}
