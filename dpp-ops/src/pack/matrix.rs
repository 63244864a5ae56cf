//! Dense columns into one row-major f32 matrix.
//!
//! A tile of 16 columns by 64 rows is written at a time: 16 f32 fill one cache line of a row, 64 rows are one word
//! of validity, and the tile's lines stay in the first-level cache until its nulls are written over. Columns that pass
//! through ops on their way do so in blocks of some words, beside the tile.

use arrow::{
    array::{Array, Float32Array},
    buffer::Buffer,
};

use super::Packed;
use crate::{
    Column, Error,
    program::chain::{BLOCK, Chain, DenseChain, WORDS},
    validity::{WORD, words},
    vector::Vector,
};

/// `[rows, columns]`, row-major, nulls as `missing`. No columns give an empty buffer.
pub(super) fn pack(columns: &[Packed<'_>], rows: usize, missing: f32) -> Result<Buffer, Error> {
    let (parts, width) = parts(columns)?;
    let mut matrix = dpp_pool::take(rows * width);
    // every cell is written below
    matrix.resize(rows * width, 0.0);
    if width > 0 {
        let mut room = vec![0f32; TILE_COLUMNS * BLOCK];
        for (block, lines) in matrix.chunks_mut(BLOCK * width).enumerate() {
            for part in &parts {
                match part {
                    Part::Tile(first, columns) => {
                        let tile = Tile::new(*first, columns, block, &mut room);
                        for (word, lines) in lines.chunks_mut(WORD * width).enumerate() {
                            tile.write(lines, width, word, missing);
                        }
                    }
                    Part::Vector(first, vector) => {
                        write_vector(lines, width, *first, vector, block)
                    }
                }
            }
        }
    }
    Ok(matrix.into_buffer())
}

/// Neighbours in the matrix that are written together, and their first column.
enum Part<'a> {
    /// At most 16 dense columns.
    Tile(usize, Vec<DenseColumn<'a>>),
    /// The columns of one vector.
    Vector(usize, &'a Vector),
}

/// The matrix in parts, left to right, and its width.
fn parts<'a>(columns: &[Packed<'a>]) -> Result<(Vec<Part<'a>>, usize), Error> {
    let mut parts = Vec::new();
    let mut width = 0;
    for &Packed { column, through } in columns {
        if let Column::Vector(vector) = column {
            parts.push(Part::Vector(width, vector));
            width += vector.width();
            continue;
        }
        let column = DenseColumn::of(column.dense()?, through);
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
    for (line, row) in lines.zip(rows.skip(block * BLOCK)) {
        line[first..][..row.len()].copy_from_slice(row);
    }
}

struct DenseColumn<'a> {
    values: &'a [f32],
    /// Validity of 64 rows a word; none when no row is null.
    words: Option<Vec<u64>>,
    chain: Option<&'a DenseChain>,
}

impl<'a> DenseColumn<'a> {
    fn of(array: &'a Float32Array, through: Option<&'a Chain>) -> DenseColumn<'a> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        DenseColumn {
            values: array.values(),
            words: nulls.map(|nulls| words(nulls).collect()),
            chain: match through {
                Some(Chain::Dense(chain)) if !chain.0.is_empty() => Some(chain),
                _ => None,
            },
        }
    }

    /// Where nulls are written over: validity of the block's words.
    fn nulls(&self, block: usize) -> Option<&[u64]> {
        let words = self.words.as_ref()?;
        let is_filled = self.chain.is_some_and(DenseChain::fills_nulls);
        (!is_filled).then(|| &words[block * WORDS..])
    }

    /// The block's values after what they pass through, in `room` if that is anything.
    fn block<'b>(&'b self, block: usize, room: &'b mut [f32]) -> &'b [f32] {
        let start = block * BLOCK;
        let values = &self.values[start..self.values.len().min(start + BLOCK)];
        let Some(chain) = self.chain else {
            return values;
        };
        let room = &mut room[..values.len()];
        room.copy_from_slice(values);
        chain.run(
            room,
            self.words.as_ref().map(|words| &words[block * WORDS..]),
        );
        room
    }
}

/// One block of columns that begin at column `first` of the matrix.
struct Tile<'a> {
    first: usize,
    values: Vec<&'a [f32]>,
    nulls: Vec<(usize, &'a [u64])>,
}

impl<'a> Tile<'a> {
    fn new(
        first: usize,
        columns: &'a [DenseColumn<'_>],
        block: usize,
        room: &'a mut [f32],
    ) -> Tile<'a> {
        let values = columns.iter().zip(room.chunks_mut(BLOCK));
        let nulls = columns.iter().enumerate();
        Tile {
            first,
            values: values
                .map(|(column, room)| column.block(block, room))
                .collect(),
            nulls: nulls
                .filter_map(|(place, column)| Some((place, column.nulls(block)?)))
                .collect(),
        }
    }

    /// Writes into `lines`, the rows of the block's word `word`.
    fn write(&self, lines: &mut [f32], width: usize, word: usize, missing: f32) {
        match lines.len() == WORD * width {
            true => write_whole(lines, width, self.first, &self.values, word),
            false => write_edge(lines, width, self.first, &self.values, word),
        }
        let rows = lines.len() / width;
        for (place, words) in &self.nulls {
            let mut nulls = !words[word];
            while nulls != 0 {
                let row = nulls.trailing_zeros() as usize;
                if row >= rows {
                    break;
                }
                lines[row * width + self.first + place] = missing;
                nulls &= nulls - 1;
            }
        }
    }
}

/// The same as [`write_edge`], where all rows of the word are there: by as many columns at a time as the compiler has code for, which
/// is nearly twice as fast.
fn write_whole(
    lines: &mut [f32],
    width: usize,
    mut first: usize,
    mut columns: &[&[f32]],
    word: usize,
) {
    while !columns.is_empty() {
        let write = match columns.len() {
            TILE_COLUMNS.. => write_columns::<TILE_COLUMNS>,
            8.. => write_columns::<8>,
            4.. => write_columns::<4>,
            2.. => write_columns::<2>,
            _ => write_columns::<1>,
        };
        let written = write(lines, width, first, columns, word);
        first += written;
        columns = &columns[written..];
    }
}

/// The first `N` columns; returns `N`.
fn write_columns<const N: usize>(
    lines: &mut [f32],
    width: usize,
    first: usize,
    columns: &[&[f32]],
    word: usize,
) -> usize {
    let mut tile: [&[f32; WORD]; N] = [&[0.0; WORD]; N];
    for (values, column) in tile.iter_mut().zip(columns) {
        let of_word = column[word * WORD..].first_chunk();
        *values = of_word.expect("a value a row");
    }
    for (row, line) in (0..WORD).zip(lines.chunks_exact_mut(width)) {
        let cells = line[first..].first_chunk_mut::<N>();
        let cells = cells.expect("the tile's columns lie within the row");
        for (cell, values) in cells.iter_mut().zip(&tile) {
            *cell = values[row];
        }
    }
    N
}

/// Fewer rows than a word has.
fn write_edge(lines: &mut [f32], width: usize, first: usize, columns: &[&[f32]], word: usize) {
    for (row, line) in lines.chunks_exact_mut(width).enumerate() {
        for (cell, column) in line[first..].iter_mut().zip(columns) {
            *cell = column[word * WORD + row];
        }
    }
}

const TILE_COLUMNS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::ops::testing::{any_f32, sliced_dense};

    fn pack(columns: &[&Column], rows: usize, missing: f32) -> Result<Buffer, Error> {
        let columns = columns.iter().map(|&column| Packed {
            column,
            through: None,
        });
        super::pack(&columns.collect::<Vec<_>>(), rows, missing)
    }

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
            rows in 0usize..1200,
            cells in vec(option::weighted(0.7, any_f32()), 600),
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
