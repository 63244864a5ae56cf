//! [`GetLocalHour`]: the hour of the day at which something happened.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `get_local_hour(utc_offset_seconds)`: floor(floor_mod(t + utc_offset_seconds, 86400) / 3600), 0 … 23. int
/// `[rows] → [rows]`, t in seconds since the epoch.
///
/// - Exact for every i64; the sum never wraps. Leap seconds are as Unix time has them: none.
/// - Nulls stay null. Empty in, empty out.
/// - Errors: the offset is no whole number.
/// - Source: ours.
#[derive(Debug)]
pub struct GetLocalHour {
    /// Within the day: 0 … 86399.
    offset: i64,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "get_local_hour",
    parameters: &["utc_offset_seconds"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let offset = reader.integer("utc_offset_seconds")?.rem_euclid(DAY);
    Ok(Arc::new(GetLocalHour { offset }))
}

impl Op for GetLocalHour {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Int])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let seconds = only_column(ENTRY.name, inputs)?.int()?;
        let hour = |t: i64| (t.rem_euclid(DAY) + self.offset) % DAY / HOUR;
        Ok(Column::Int(seconds.unary(hour)))
    }
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    fn check(t: i64, offset: i64, hour: i64) {
        let parameters = [("utc_offset_seconds", offset.into())];
        let found = apply("get_local_hour", &parameters, &int(&[Some(t), None])).unwrap();
        let found: Vec<_> = found.int().unwrap().iter().collect();
        assert_eq!(found, [Some(hour), None]);
    }

    #[test]
    fn hours_follow_the_sun() {
        check(0, 0, 0);
        check(3599, 0, 0);
        check(3600, 0, 1);
        check(0, -3600, 23);
        check(-1, 0, 23);
        check(1_700_000_000, 0, 22);
        check(1_700_000_000, 19_800, 3);
        check(i64::MAX, i64::MAX, 7);
        check(i64::MIN, i64::MIN, 16);
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (int_rows(), any_i64());
        check_rows("get_local_hour", cases, |(rows, offset)| {
            let parameters = [("utc_offset_seconds", offset.into())];
            let found = apply("get_local_hour", &parameters, &int(&rows)).unwrap();
            let naive = |t: i64| (i128::from(t) + i128::from(offset)).rem_euclid(86_400) / 3600;
            let expected: Vec<_> = rows.iter().map(|row| row.map(naive)).collect();
            let found: Vec<_> = found
                .int()
                .unwrap()
                .iter()
                .map(|row| row.map(i128::from))
                .collect();
            assert_eq!(found, expected);
        });
    }
}
