//! Dense columns into one row-major f32 matrix.
//!
//! A tile of 16 columns by 64 rows is written at a time: 16 f32 fill one cache line of a row, 64 rows are one word
//! of validity, and the tile's lines stay in the first-level cache until its nulls are written over.

use arrow::{
    array::{Array, Float32Array},
    buffer::Buffer,
};

use crate::{
    Column, Error,
    validity::{WORD, words},
    vector::Vector,
};

/// `[rows, columns]`, row-major, nulls as `missing`. No columns give an empty buffer.
pub(super) fn pack(columns: &[&Column], rows: usize, missing: f32) -> Result<Buffer, Error> {
    let (parts, width) = parts(columns)?;
    let mut matrix = vec![0f32; rows * width];
    if width > 0 {
        for (block, lines) in matrix.chunks_mut(WORD * width).enumerate() {
            for part in &parts {
                match part {
                    Part::Tile(first, columns) => {
                        write_tile(lines, width, *first, columns, block, missing);
                    }
                    Part::Vector(first, vector) => {
                        write_vector(lines, width, *first, vector, block)
                    }
                }
            }
        }
    }
    Ok(Buffer::from_vec(matrix))
}

/// Neighbours in the matrix that are written together, and their first column.
enum Part<'a> {
    /// At most 16 dense columns.
    Tile(usize, Vec<DenseColumn<'a>>),
    /// The columns of one vector.
    Vector(usize, &'a Vector),
}

/// The matrix in parts, left to right, and its width.
fn parts<'a>(columns: &[&'a Column]) -> Result<(Vec<Part<'a>>, usize), Error> {
    let mut parts = Vec::new();
    let mut width = 0;
    for &column in columns {
        if let Column::Vector(vector) = column {
            parts.push(Part::Vector(width, vector));
            width += vector.width();
            continue;
        }
        let column = DenseColumn::of(column.dense()?);
        match parts.last_mut() {
            Some(Part::Tile(_, columns)) if columns.len() < TILE_COLUMNS => columns.push(column),
            _ => parts.push(Part::Tile(width, vec![column])),
        }
        width += 1;
    }
    Ok((parts, width))
}

fn write_vector(lines: &mut [f32], width: usize, first: usize, vector: &Vector, block: usize) {
    let rows = vector.values().chunks_exact(vector.width());
    let lines = lines.chunks_exact_mut(width);
    for (line, row) in lines.zip(rows.skip(block * WORD)) {
        line[first..][..row.len()].copy_from_slice(row);
    }
}

struct DenseColumn<'a> {
    values: &'a [f32],
    /// Validity of 64 rows a word; none when no row is null.
    words: Option<Vec<u64>>,
}

impl<'a> DenseColumn<'a> {
    fn of(array: &'a Float32Array) -> DenseColumn<'a> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        DenseColumn {
            values: array.values(),
            words: nulls.map(|nulls| words(nulls).collect()),
        }
    }
}

/// Writes `columns`, which begin at column `first` of the matrix, into `lines`, the rows of word `block`.
fn write_tile(
    lines: &mut [f32],
    width: usize,
    first: usize,
    columns: &[DenseColumn<'_>],
    block: usize,
    missing: f32,
) {
    match full_tile(columns, block) {
        Some(tile) if lines.len() == WORD * width => write_full(lines, width, first, &tile),
        _ => write_edge(lines, width, first, columns, block),
    }
    let rows = lines.len() / width;
    for (place, column) in columns.iter().enumerate() {
        let Some(words) = &column.words else { continue };
        let mut nulls = !words[block];
        while nulls != 0 {
            let row = nulls.trailing_zeros() as usize;
            if row >= rows {
                break;
            }
            lines[row * width + first + place] = missing;
            nulls &= nulls - 1;
        }
    }
}

type Tile<'a> = [&'a [f32; WORD]; TILE_COLUMNS];

fn full_tile<'a>(columns: &[DenseColumn<'a>], block: usize) -> Option<Tile<'a>> {
    let mut tile: Tile<'a> = [&[0.0; WORD]; TILE_COLUMNS];
    let columns: &[DenseColumn<'a>; TILE_COLUMNS] = columns.try_into().ok()?;
    for (values, column) in tile.iter_mut().zip(columns) {
        *values = column.values[block * WORD..].first_chunk()?;
    }
    Some(tile)
}

/// The same as [`write_edge`], with sizes the compiler knows: nearly twice as fast.
fn write_full(lines: &mut [f32], width: usize, first: usize, tile: &Tile<'_>) {
    for (row, line) in (0..WORD).zip(lines.chunks_exact_mut(width)) {
        let cells = line[first..].first_chunk_mut::<TILE_COLUMNS>();
        let cells = cells.expect("the tile's columns lie within the row");
        for (cell, values) in cells.iter_mut().zip(tile) {
            *cell = values[row];
        }
    }
}

/// The last rows or the last columns.
fn write_edge(
    lines: &mut [f32],
    width: usize,
    first: usize,
    columns: &[DenseColumn<'_>],
    block: usize,
) {
    for (row, line) in lines.chunks_exact_mut(width).enumerate() {
        for (cell, column) in line[first..].iter_mut().zip(columns) {
            *cell = column.values[block * WORD + row];
        }
    }
}

const TILE_COLUMNS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::ops::testing::{any_f32, sliced_dense};

    #[test]
    fn vectors_widen_the_matrix_where_they_stand() {
        let (rows, row) = (70, |row: usize| row as f32);
        let dense = |factor: f32| {
            let rows: Vec<Option<f32>> = (0..rows).map(|it| Some(factor * row(it))).collect();
            sliced_dense(&rows)
        };
        let cells: Vec<f32> = (0..rows)
            .flat_map(|it| [10.0 * row(it), -row(it)])
            .collect();
        let vector = Column::Vector(Vector::new(2, cells.into()));
        let packed = pack(&[&dense(2.0), &vector, &dense(3.0)], rows, 0.0).unwrap();
        let expected: Vec<f32> = (0..rows)
            .flat_map(|it| [2.0, 10.0, -1.0, 3.0].map(|factor| factor * row(it)))
            .collect();
        assert_eq!(packed.typed_data::<f32>(), expected);
    }

    proptest! {
        #[test]
        fn equals_row_by_row(
            rows in 0usize..200,
            cells in vec(option::weighted(0.7, any_f32()), 200 * 3),
            width in 0usize..40,
            missing in any_f32(),
        ) {
            let cell = |row: usize, column: usize| cells[(row * 7 + column * 13) % cells.len()];
            let columns: Vec<Column> = (0..width)
                .map(|column| sliced_dense(&(0..rows).map(|row| cell(row, column)).collect::<Vec<_>>()))
                .collect();
            let packed = pack(&columns.iter().collect::<Vec<_>>(), rows, missing).unwrap();
            let found: Vec<u32> = packed.typed_data::<f32>().iter().map(|it| it.to_bits()).collect();
            let expected: Vec<u32> = (0..rows)
                .flat_map(|row| (0..width).map(move |column| (row, column)))
                .map(|(row, column)| cell(row, column).unwrap_or(missing).to_bits())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
