//! How many rows of a read are decoded, transformed and packed at a time. Pure.

use dpp_proto::v1::Cuts;

/// Where the base batches of a read end, as long as there are rows. Never visible in the order of rows or their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BaseBatches {
    cuts: Option<Cuts>,
    /// Rows of the largest.
    pub(crate) most_rows: usize,
}

impl BaseBatches {
    /// Of `rows` rows each.
    pub(crate) fn of(rows: usize) -> BaseBatches {
        BaseBatches {
            cuts: None,
            most_rows: rows,
        }
    }

    /// The asker's own batches.
    pub(crate) fn as_asked(cuts: Cuts) -> Option<BaseBatches> {
        let rows = usize::try_from(cuts.first.max(cuts.each)).ok()?;
        (cuts.each > 0).then_some(BaseBatches {
            cuts: Some(cuts),
            most_rows: rows,
        })
    }

    /// Rows of the one that begins at a position of the read.
    pub(crate) fn rows_at(&self, position: u64) -> usize {
        match &self.cuts {
            // at most `most_rows`
            Some(cuts) => cuts.rows_from(position) as usize,
            None => self.most_rows,
        }
    }
}
