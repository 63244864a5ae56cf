//! Columns whose pages are decoded here, straight into the arrays of their kinds: numbers (`flat`), lists of ids (`lists`), and
//! both by key (`maps`), which is what tables for training are made of. Which columns those are, `shape` says; all others are the Parquet crate's.
//!
//! ```text
//! chunk ─▶ pages (walked, unpacked) ─▶ levels: runs ─▶ which rows and lists have values
//!                                  └─▶ values: plain, dictionary, delta, split streams ─▶ array
//! ```
//!
//! The crate's own reader of the same columns is what tests compare with.

mod bits;
mod delta;
mod flat;
mod leaf;
mod levels;
mod lists;
mod maps;
pub(crate) mod runs;
pub(crate) mod shape;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use arrow::array::ArrayRef;
use parquet::arrow::arrow_reader::RowSelection;

use crate::error::Error;
use crate::read::columns::flat::Flat;
pub(crate) use crate::read::columns::lists::Definition;
use crate::read::columns::lists::Lists;
use crate::read::columns::maps::{Entries, IdLists, Maps, Numbers};
use crate::read::columns::shape::{Keys, Shape, StoredAs};
use crate::read::columns::values::{Double, Float, Int32, Int64};
use crate::read::fetch::FetchedPiece;
use crate::read::pages::PageFault;
use crate::read::pages::walk::{DictionaryPage, PageWalk};
use crate::read::value_map::{MapValues, ValueMap};

/// One column of a piece, read forwards.
pub(crate) trait Column: Send {
    /// Takes the next `rows` rows.
    fn read(&mut self, rows: usize) -> Result<(), PageFault>;
    /// Leaves out the next `rows` rows.
    fn skip(&mut self, rows: usize) -> Result<(), PageFault>;
    /// The rows taken since the last call, as their kind's Arrow type. Of lists no id is null, and under null
    /// rows there are none, unless a page is damaged.
    fn finish(&mut self) -> ArrayRef;
}

/// The columns of a piece that are decoded here.
#[derive(Default)]
pub(crate) struct Columns {
    columns: Vec<(String, Box<dyn Column>)>,
    /// What is left of the row group, from where the columns stand: rows to leave out, and rows to take, in turns.
    runs: Vec<(usize, usize)>,
    /// File and columns for messages.
    file: String,
}

impl Columns {
    /// Starts on the columns of a piece that [`shape::shapes`] chose.
    pub(crate) fn open(piece: &FetchedPiece, shapes: Vec<Shape>) -> Result<Columns, Error> {
        let open = |shape: Shape| {
            let name = shape.name.clone();
            let column = open(shape).map_err(|fault| corrupt(&piece.name, &name, &fault))?;
            Ok((name, column))
        };
        Ok(Columns {
            columns: shapes.into_iter().map(open).collect::<Result<_, Error>>()?,
            runs: runs(piece.plan.selection.as_ref(), piece.plan.rows as usize),
            file: piece.name.clone(),
        })
    }

    /// The columns' names, in the order in which [`Columns::next`] gives them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The next `rows` selected rows of every column. At most as many as are left.
    pub(crate) fn next(&mut self, rows: usize) -> Result<Vec<ArrayRef>, Error> {
        let runs = self.take(rows);
        let (file, columns) = (&self.file, self.columns.iter_mut());
        let next = columns.map(|(name, column)| {
            read(&mut **column, &runs).map_err(|fault| corrupt(file, name, &fault))
        });
        next.collect()
    }

    /// Runs that end with `rows` rows taken.
    fn take(&mut self, rows: usize) -> Vec<(usize, usize)> {
        let (mut taken, mut missing) = (Vec::new(), rows);
        let mut whole = 0;
        for (skip, take) in &mut self.runs {
            let part = missing.min(*take);
            if part == 0 {
                break;
            }
            taken.push((*skip, part));
            missing -= part;
            (*skip, *take) = (0, *take - part);
            whole += usize::from(*take == 0);
        }
        self.runs.drain(..whole);
        taken
    }
}

fn open(shape: Shape) -> Result<Box<dyn Column>, PageFault> {
    if let Some(keys) = shape.keys {
        let values = entries(shape.stored, shape.pages, &shape.dictionary, &keys)?;
        return map(keys, values);
    }
    let (walk, dictionary) = (shape.pages, &shape.dictionary);
    let (dense, ids) = match shape.map {
        Some(ValueMap::Dense(map)) => (Some(map), None),
        Some(ValueMap::Ids(map)) => (None, Some(map)),
        None => (None, None),
    };
    Ok(match (shape.stored, shape.list) {
        (StoredAs::Float, _) => Box::new(Flat::<Float>::new(walk, dictionary, dense)?),
        (StoredAs::Double, _) => Box::new(Flat::<Double>::new(walk, dictionary, dense)?),
        (StoredAs::Int32, None) => Box::new(Flat::<Int32>::new(walk, dictionary, ids)?),
        (StoredAs::Int64, None) => Box::new(Flat::<Int64>::new(walk, dictionary, ids)?),
        (StoredAs::Int32, Some(list)) => {
            Box::new(Lists::<Int32>::new(walk, dictionary, list, ids)?)
        }
        (StoredAs::Int64, Some(list)) => {
            Box::new(Lists::<Int64>::new(walk, dictionary, list, ids)?)
        }
    })
}

fn map(keys: Keys, values: Box<dyn Entries>) -> Result<Box<dyn Column>, PageFault> {
    let (slots, meaning) = (keys.slots, keys.meaning);
    let place: MapValues<i64> = Arc::new(move |keys| slots.place(keys));
    let (walk, dictionary) = (keys.pages, &keys.dictionary);
    Ok(match keys.stored {
        StoredAs::Int32 => Box::new(Maps::<Int32>::new(
            walk, dictionary, meaning, place, values,
        )?),
        _ => Box::new(Maps::<Int64>::new(
            walk, dictionary, meaning, place, values,
        )?),
    })
}

fn entries(
    stored: StoredAs,
    walk: PageWalk,
    dictionary: &DictionaryPage,
    keys: &Keys,
) -> Result<Box<dyn Entries>, PageFault> {
    let (meaning, slots) = (keys.meaning, keys.slots.len());
    Ok(match (stored, keys.to_lists) {
        (StoredAs::Float, _) => Box::new(Numbers::<Float>::new(walk, dictionary, meaning, slots)?),
        (StoredAs::Double, _) => {
            Box::new(Numbers::<Double>::new(walk, dictionary, meaning, slots)?)
        }
        (StoredAs::Int32, false) => {
            Box::new(Numbers::<Int32>::new(walk, dictionary, meaning, slots)?)
        }
        (StoredAs::Int64, false) => {
            Box::new(Numbers::<Int64>::new(walk, dictionary, meaning, slots)?)
        }
        (StoredAs::Int32, true) => {
            Box::new(IdLists::<Int32>::new(walk, dictionary, meaning, slots)?)
        }
        (StoredAs::Int64, true) => {
            Box::new(IdLists::<Int64>::new(walk, dictionary, meaning, slots)?)
        }
    })
}

fn read(column: &mut dyn Column, runs: &[(usize, usize)]) -> Result<ArrayRef, PageFault> {
    for (skip, take) in runs {
        column.skip(*skip)?;
        column.read(*take)?;
    }
    Ok(column.finish())
}

/// Rows to leave out and to take, in turns.
fn runs(selection: Option<&RowSelection>, rows: usize) -> Vec<(usize, usize)> {
    let Some(selection) = selection else {
        return vec![(0, rows)];
    };
    let (mut runs, mut skip) = (Vec::new(), 0);
    for selector in selection.iter() {
        match selector.skip {
            true => skip += selector.row_count,
            false => runs.push((std::mem::take(&mut skip), selector.row_count)),
        }
    }
    runs
}

pub(crate) fn corrupt(file: &str, column: &str, fault: &PageFault) -> Error {
    Error::corrupt(file, format!("column {column}: {fault}"))
}
