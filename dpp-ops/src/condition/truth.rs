//! SQL's three truth values, a row each: true, false, and unknown, which a comparison with null is.

use arrow::buffer::{BooleanBuffer, NullBuffer};

/// Rows that are surely true and rows that are surely false; a row that is neither is unknown.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) yes: BooleanBuffer,
    no: BooleanBuffer,
}

impl Truth {
    /// `holds` where there is a value, unknown where there is none.
    pub(super) fn of(holds: BooleanBuffer, nulls: Option<&NullBuffer>) -> Truth {
        let fails = !&holds;
        match nulls {
            None => Truth {
                yes: holds,
                no: fails,
            },
            Some(nulls) => Truth {
                yes: &holds & nulls.inner(),
                no: &fails & nulls.inner(),
            },
        }
    }

    /// The same for every row.
    pub(super) fn constant(truth: bool, rows: usize) -> Truth {
        let (all, none) = (BooleanBuffer::new_set(rows), BooleanBuffer::new_unset(rows));
        match truth {
            true => Truth { yes: all, no: none },
            false => Truth { yes: none, no: all },
        }
    }

    /// True if both are, false if one is.
    pub(super) fn and(self, other: Truth) -> Truth {
        Truth {
            yes: &self.yes & &other.yes,
            no: &self.no | &other.no,
        }
    }

    /// True if one is, false if both are.
    pub(super) fn or(self, other: Truth) -> Truth {
        self.not().and(other.not()).not()
    }

    /// True for false; unknown stays unknown.
    pub(super) fn not(self) -> Truth {
        Truth {
            yes: self.no,
            no: self.yes,
        }
    }
}
