//! A read's first look when the plan has a row filter: the filter's features, and no others, say which picked rows
//! survive. The rest is read for those only.

use std::ops::Range;

use arrow::{array::BooleanBufferBuilder, buffer::BooleanBuffer};
use dpp_ops::condition::RowFilter;
use dpp_table::PieceBatches;

use super::frames::row_id;
use crate::Error;

/// Which rows of a piece survive.
pub(crate) struct Survivors {
    first_row: u64,
    kept: BooleanBuffer,
}

impl Survivors {
    /// Decodes the filter's features at `picked` rows of the piece `rows`, in a file whose first row has that position.
    pub(crate) fn find(
        filter: &RowFilter,
        batches: &mut PieceBatches,
        picked: &[Range<u64>],
        rows: &Range<u64>,
        file_first_row: u64,
    ) -> Result<Survivors, Error> {
        let mut kept = BooleanBufferBuilder::new((rows.end - rows.start) as usize);
        kept.append_n((rows.end - rows.start) as usize, false);
        let mut picked = picked.iter().cloned().flatten();
        for batch in batches {
            let batch = batch?;
            let looked: Vec<u64> = picked.by_ref().take(batch.num_rows()).collect();
            let row_ids = looked.iter().map(|row| row_id(file_first_row, *row));
            let keeps = filter.keep(&batch, &row_ids.collect::<Vec<_>>())?;
            for (row, keeps) in looked.into_iter().zip(&keeps) {
                kept.set_bit((row - rows.start) as usize, keeps);
            }
        }
        Ok(Survivors {
            first_row: rows.start,
            kept: kept.finish(),
        })
    }

    /// Whether a row of the file survives.
    pub(crate) fn keeps(&self, row: u64) -> bool {
        self.kept.value((row - self.first_row) as usize)
    }
}
