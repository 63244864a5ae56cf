//! What the trainer receives: tensors, and where every row came from.

use std::{ops::Range, sync::Arc};

use dpp_proto::v1;

use crate::{
    Error,
    order::{Order, Sequence},
};

/// One rank's share of a step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows' tensors, aligned for their types.
    pub tensors: dpp_batch::Batch,
    /// u8 `[B]`, 0 where a row is padding; `None` where none can be: without a row filter, or unless lanes are padded.
    pub valid: Option<Arc<[u8]>>,
    /// The step's number within the pass, from 0.
    pub step: u64,
    part: Range<u64>,
    origins: Arc<Origins>,
}

/// Where a row is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowOrigin {
    /// Index of the file in the snapshot.
    pub file: usize,
    /// Row group within the file.
    pub row_group: usize,
    /// Row within the row group.
    pub row: u64,
}

/// What turns flat positions back into stored rows.
#[derive(Debug)]
pub(crate) struct Origins {
    pub(crate) order: Arc<Order>,
    pub(crate) sequence: Arc<Sequence>,
    pub(crate) epoch: u64,
    pub(crate) files: Arc<[v1::SnapshotFile]>,
    /// Whether a row filter drops rows; then flat positions name no stored row.
    pub(crate) is_filtered: bool,
}

impl Batch {
    pub(crate) fn new(
        step: u64,
        part: Range<u64>,
        tensors: dpp_batch::Batch,
        valid: Option<Arc<[u8]>>,
        origins: Arc<Origins>,
    ) -> Batch {
        Batch {
            tensors,
            valid,
            step,
            part,
            origins,
        }
    }

    /// Positions in the snapshot of the batch's rows, in order.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a row filter: which rows survived, the plan can carry as `row_id()`.
    pub fn row_ids(&self) -> Result<Vec<u64>, Error> {
        let Origins {
            order,
            sequence,
            epoch,
            is_filtered,
            ..
        } = &*self.origins;
        if *is_filtered {
            return Err(Error::invalid(
                "with a row filter (where) a batch does not know its rows: carry row_id() in the plan's extras",
            ));
        }
        Ok(order.snapshot_rows(sequence, *epoch, self.part.clone()))
    }

    /// File, row group and row of every row, in order.
    ///
    /// # Errors
    /// As [`row_ids`](Batch::row_ids).
    pub fn origin(&self) -> Result<Vec<RowOrigin>, Error> {
        let rows = self.row_ids()?.into_iter();
        Ok(rows.map(|row| self.origins.of(row)).collect())
    }

    /// Path of a file of the snapshot, relative to the table's URL.
    pub fn file_path(&self, file: usize) -> &str {
        &self.origins.files[file].path
    }
}

impl Origins {
    fn of(&self, row: u64) -> RowOrigin {
        let file = self.order.file_of(row);
        let mut row = row - self.order.file_first_row(file);
        let mut row_group = 0;
        for &rows in &self.files[file].row_group_rows {
            if row < rows {
                break;
            }
            row -= rows;
            row_group += 1;
        }
        RowOrigin {
            file,
            row_group,
            row,
        }
    }
}
