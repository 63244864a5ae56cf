//! Columns carried exactly. What lies under a null is written as zero or nothing, so that equal rows are equal bytes.

use arrow::{
    array::Array,
    buffer::{Buffer, NullBuffer},
};
use dpp_batch::{Extra, ExtraData};

use crate::{Column, Error, Kind, validity::filled};

/// One extra: values with a byte of validity per row where any is null.
pub(super) fn pack(column: &Column) -> Result<Extra, Error> {
    match column {
        Column::Int(array) => {
            let values = filled(array.values(), array.nulls(), 0);
            Ok(fixed(Buffer::from_vec(values), array.nulls()))
        }
        Column::Dense(array) => {
            let values = filled(array.values(), array.nulls(), 0.0);
            Ok(fixed(Buffer::from_vec(values), array.nulls()))
        }
        Column::Bytes(array) => variable(array.iter(), array.nulls()),
        Column::Text(array) => variable(
            array.iter().map(|text| text.map(str::as_bytes)),
            array.nulls(),
        ),
        other => Err(other.is_not(Kind::Int)),
    }
}

fn fixed(values: Buffer, nulls: Option<&NullBuffer>) -> Extra {
    Extra {
        validity: validity(nulls),
        data: ExtraData::Fixed(values),
    }
}

fn variable<'a>(
    rows: impl Iterator<Item = Option<&'a [u8]>>,
    nulls: Option<&NullBuffer>,
) -> Result<Extra, Error> {
    let mut lengths: Vec<i32> = Vec::with_capacity(rows.size_hint().0);
    let mut bytes: Vec<u8> = Vec::new();
    for row in rows {
        let row = row.unwrap_or_default();
        let length = i32::try_from(row.len()).map_err(|_| Error::TooLong {
            what: "a row of bytes or text".into(),
        })?;
        lengths.push(length);
        bytes.extend_from_slice(row);
    }
    Ok(Extra {
        validity: validity(nulls),
        data: ExtraData::Variable {
            lengths: Buffer::from_vec(lengths),
            bytes: Buffer::from_vec(bytes),
        },
    })
}

fn validity(nulls: Option<&NullBuffer>) -> Option<Buffer> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0)?;
    let rows: Vec<u8> = nulls.iter().map(u8::from).collect();
    Some(Buffer::from_vec(rows))
}

#[cfg(test)]
mod tests {
    use arrow::array::LargeStringArray;

    use super::*;
    use crate::ops::testing::int;

    #[test]
    fn nulls_are_marked_and_zero() {
        let extra = pack(&int(&[Some(7), None])).unwrap();
        assert_eq!(extra.validity.unwrap().as_slice(), [1, 0]);
        let ExtraData::Fixed(values) = extra.data else {
            panic!("an int is fixed")
        };
        assert_eq!(values.typed_data::<i64>(), [7, 0]);
        assert_eq!(pack(&int(&[Some(7)])).unwrap().validity, None);
    }

    #[test]
    fn text_is_lengths_and_bytes() {
        let array = LargeStringArray::from(vec![Some("x"), Some("ab"), None, Some("")]);
        let extra = pack(&Column::Text(array.slice(1, 3))).unwrap();
        assert_eq!(extra.validity.unwrap().as_slice(), [1, 0, 1]);
        let ExtraData::Variable { lengths, bytes } = extra.data else {
            panic!("text is variable")
        };
        assert_eq!(lengths.typed_data::<i32>(), [2, 0, 0]);
        assert_eq!(bytes.as_slice(), b"ab");
    }
}
