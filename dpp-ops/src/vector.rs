//! A fixed number of f32 values per row: embeddings.

use arrow::{
    array::{Array, cast::AsArray},
    buffer::ScalarBuffer,
    datatypes::Float32Type,
};

use crate::validity::filled;

/// `width` values per row, row after row. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    width: usize,
    values: ScalarBuffer<f32>,
}

impl Vector {
    /// Reads `FixedSizeList<Float32, width>`, `None` for any other type.
    ///
    /// A null row is all zeros; a null value is 0.
    pub fn from_arrow(array: &dyn Array, width: u32) -> Option<Vector> {
        let list = array.as_fixed_size_list_opt()?;
        if u32::try_from(list.value_length()).ok()? != width {
            return None;
        }
        let cells = list.values().as_primitive_opt::<Float32Type>()?;
        let width = width as usize;
        let values = match (list.null_count(), cells.null_count()) {
            (0, 0) => cells.values().clone(),
            _ => {
                let mut values = filled(cells.values(), cells.nulls(), 0.0);
                for row in (0..list.len()).filter(|&row| list.is_null(row)) {
                    values[row * width..][..width].fill(0.0);
                }
                values.into()
            }
        };
        let values = values.slice(0, list.len() * width);
        Some(Vector { width, values })
    }

    /// Rows of `width` values each, row after row. A width of 0 counts as 1; values after the last whole row are left
    /// out.
    pub fn new(width: usize, values: ScalarBuffer<f32>) -> Vector {
        let width = width.max(1);
        let values = values.slice(0, values.len() / width * width);
        Vector { width, values }
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// All rows' values, row-major: `rows × width`.
    pub fn values(&self) -> &ScalarBuffer<f32> {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use arrow::{array::FixedSizeListArray, datatypes::Int64Type};

    use super::*;

    #[test]
    fn null_rows_are_zeros_and_slices_are_seen() {
        let rows = [
            Some(vec![Some(1.0), Some(2.0)]),
            None,
            Some(vec![Some(3.0), None]),
        ];
        let list = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
        let read = Vector::from_arrow(&list, 2).unwrap();
        assert_eq!(read.values().as_ref(), [1.0, 2.0, 0.0, 0.0, 3.0, 0.0]);
        let read = Vector::from_arrow(&list.slice(1, 2), 2).unwrap();
        assert_eq!(read.values().as_ref(), [0.0, 0.0, 3.0, 0.0]);
        assert_eq!(Vector::from_arrow(&list.slice(3, 0), 2).unwrap().rows(), 0);
    }

    #[test]
    fn other_widths_and_types_are_refused() {
        let rows = [Some(vec![Some(1.0), Some(2.0)])];
        let list = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
        assert!(Vector::from_arrow(&list, 3).is_none());
        let rows = [Some(vec![Some(1), Some(2)])];
        let list = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(rows, 2);
        assert!(Vector::from_arrow(&list, 2).is_none());
    }
}
