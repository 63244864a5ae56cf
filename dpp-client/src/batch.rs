//! What the trainer receives: tensors, and where every row came from.

use std::{ops::Range, sync::Arc};

use dpp_proto::v1;

use crate::{
    order::{Order, Sequence},
    schedule::Step,
};

/// One rank's share of a step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows' tensors, aligned for their types.
    pub tensors: dpp_batch::Batch,
    /// The step's number within the pass, from 0.
    pub step: u64,
    flat: Range<u64>,
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
}

impl Batch {
    pub(crate) fn new(
        number: u64,
        step: Step,
        tensors: dpp_batch::Batch,
        origins: Arc<Origins>,
    ) -> Batch {
        Batch {
            tensors,
            step: number,
            flat: step.flat,
            part: step.part,
            origins,
        }
    }

    /// Positions in the snapshot of the batch's rows, in order.
    pub fn row_ids(&self) -> Vec<u64> {
        let Origins {
            order,
            sequence,
            epoch,
            ..
        } = &*self.origins;
        order.snapshot_rows(sequence, *epoch, self.part.clone())
    }

    /// File, row group and row of every row, in order.
    pub fn origin(&self) -> Vec<RowOrigin> {
        self.row_ids()
            .into_iter()
            .map(|row| self.origins.of(row))
            .collect()
    }

    /// Path of a file of the snapshot, relative to the table's URL.
    pub fn file_path(&self, file: usize) -> &str {
        &self.origins.files[file].path
    }

    /// Flat position after this step.
    pub(crate) fn consumed_to(&self) -> u64 {
        self.flat.end
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
