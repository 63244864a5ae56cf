//! The seam every transform is built to: kinds are checked when a plan is bound, columns are computed later.

use std::{fmt::Debug, sync::Arc};

use crate::{Column, Error, Kind, in_place::InPlace};

/// A transform with its parameters. Pure: the same columns in give the same bits out, on every machine.
pub trait Op: Debug + Send + Sync {
    /// The kind of the result on inputs of these kinds, or why there is none.
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch>;

    /// What the op is given after its inputs: columns that say where rows stand. Most need none.
    fn given(&self) -> &'static [Given] {
        &[]
    }

    /// Computes one column from columns of kinds that [`output_kind`](Op::output_kind) accepted, all of the same number
    /// of rows; the result has as many rows. Fails, never panics, on columns of other kinds.
    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error>;

    /// What the op does on an input of the kind that [`InPlace`] names, if that is all it does there. Ops that say so are
    /// run together, and moved where they cost least; none need to.
    fn in_place(&self) -> Option<InPlace<'_>> {
        None
    }

    /// Names of the dense columns that a vector result of `width` becomes under the output `name`: `name[0]`,
    /// `name[1]`, …
    /// unless the op knows better.
    fn column_names(&self, name: &str, width: usize) -> Vec<String> {
        numbered_names(name, width)
    }
}

/// A column that the program gives an op, after the op's inputs: int, one value a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Position of the row in the snapshot, 0 … N − 1.
    RowId,
    /// The epoch that is read, from 0.
    Epoch,
}

/// `name[0]`, `name[1]`, … `name[width - 1]`.
pub fn numbered_names(name: &str, width: usize) -> Vec<String> {
    (0..width).map(|cell| format!("{name}[{cell}]")).collect()
}

/// A shared op.
pub type SharedOp = Arc<dyn Op>;

/// Why an op can't work on its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Another number of inputs is needed.
    Count {
        /// How many.
        wanted: usize,
    },
    /// More inputs are needed.
    TooFew {
        /// How many at least.
        least: usize,
    },
    /// An input is of a kind the op can't work on. If `wanted` holds a kind that the input converts to implicitly
    /// (int to dense, int to id_list), the plan converts it and asks again.
    Kind {
        /// The input's position.
        input: usize,
        /// The kinds it may have; a vector's width does not matter.
        wanted: &'static [Kind],
    },
}

/// The kind of the only input, if it is one of `wanted`.
pub fn only_input(inputs: &[Kind], wanted: &'static [Kind]) -> Result<Kind, Mismatch> {
    let [input] = inputs else {
        return Err(Mismatch::Count { wanted: 1 });
    };
    if input.is_one_of(wanted) {
        Ok(*input)
    } else {
        Err(Mismatch::Kind { input: 0, wanted })
    }
}

/// The kinds of exactly two inputs, if the first is one of `first` and the second one of `second`.
pub fn two_inputs(
    inputs: &[Kind],
    first: &'static [Kind],
    second: &'static [Kind],
) -> Result<(Kind, Kind), Mismatch> {
    let &[one, two] = inputs else {
        return Err(Mismatch::Count { wanted: 2 });
    };
    each_input(&inputs[..1], first)?;
    if two.is_one_of(second) {
        Ok((one, two))
    } else {
        Err(Mismatch::Kind {
            input: 1,
            wanted: second,
        })
    }
}

/// Checks that every input is one of `wanted`.
pub fn each_input(inputs: &[Kind], wanted: &'static [Kind]) -> Result<(), Mismatch> {
    match inputs.iter().position(|kind| !kind.is_one_of(wanted)) {
        None => Ok(()),
        Some(input) => Err(Mismatch::Kind { input, wanted }),
    }
}

/// The only column. Fails when there are none or several.
pub fn only_column<'a>(op: &str, inputs: &[&'a Column]) -> Result<&'a Column, Error> {
    columns(op, inputs).map(|[column]| column)
}

/// Exactly `N` columns of as many rows. Fails on any other number of columns, and when rows differ.
pub fn columns<'a, const N: usize>(
    op: &str,
    inputs: &[&'a Column],
) -> Result<[&'a Column; N], Error> {
    let columns: [&Column; N] = inputs.try_into().map_err(|_| Error::InputCount {
        op: op.to_owned(),
        wanted: N,
        found: inputs.len(),
    })?;
    same_rows(op, inputs)?;
    Ok(columns)
}

/// The number of rows that all columns have, 0 for none. Fails when they differ.
pub fn same_rows(op: &str, inputs: &[&Column]) -> Result<usize, Error> {
    let rows = inputs.first().map_or(0, |column| column.rows());
    match inputs.iter().find(|column| column.rows() != rows) {
        None => Ok(rows),
        Some(other) => Err(Error::RowsDiffer {
            op: op.to_owned(),
            first: rows,
            other: other.rows(),
        }),
    }
}
