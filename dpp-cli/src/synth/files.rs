//! Which rows go to which file, and what day it is there. Pure.

use super::arguments::{Arguments, Preset};
use crate::error::Error;

/// One file of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Among all files, from 0, in path order.
    pub(crate) number: u64,
    /// Relative to the table, `/` between its parts.
    pub(crate) path: String,
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    day: Day,
}

/// The day that a file's rows belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    /// Days since 1970-01-01.
    number: u64,
    first_row: u64,
    rows: u64,
}

impl File {
    /// Seconds since 1970 of a row of this file: a day's rows are spread over it evenly, in order.
    pub(crate) fn time_of(&self, row: u64) -> i64 {
        let position = u128::from(self.first_row + row - self.day.first_row);
        let second = position * u128::from(DAY_SECONDS) / u128::from(self.day.rows);
        let second = u64::try_from(second).expect("less than a day");
        (self.day.number * DAY_SECONDS + second).cast_signed()
    }
}

/// The files asked for, in path order. Fails when there are too few of them for the days, or too few rows.
pub(crate) fn files(arguments: &Arguments) -> Result<Vec<File>, Error> {
    let rows = arguments.rows.unwrap_or(match arguments.preset {
        Preset::Ctr => 1_000_000,
        Preset::W1 => 2_000_000,
        Preset::W2 => 40_000,
    });
    let days = arguments.days.unwrap_or(1);
    let count = arguments.files.unwrap_or(days.max(8).min(rows));
    if count > rows {
        let reason = format!("there are only {rows} rows");
        return Err(Error::Wish {
            wish: "--files",
            value: count,
            reason,
        });
    }
    if days > count {
        let reason = format!("each day needs a file and there are only {count}");
        return Err(Error::Wish {
            wish: "--days",
            value: days,
            reason,
        });
    }
    let row_at = |file| share(rows, file, count);
    let file_at = |day: u64| (day * count).div_ceil(days);
    Ok((0..count)
        .map(|number| {
            let day = number * days / count;
            let day_rows = row_at(file_at(day))..row_at(file_at(day + 1));
            let name = format!("part-{number:05}.parquet");
            File {
                number,
                path: match arguments.days {
                    Some(_) => format!("ds={}/{name}", date(FIRST_DAY + day)),
                    None => name,
                },
                first_row: row_at(number),
                rows: row_at(number + 1) - row_at(number),
                day: Day {
                    number: FIRST_DAY + day,
                    first_row: day_rows.start,
                    rows: day_rows.end - day_rows.start,
                },
            }
        })
        .collect())
}

/// First row of file `number` when the first files take the rows left over.
fn share(rows: u64, number: u64, count: u64) -> u64 {
    rows / count * number + number.min(rows % count)
}

/// A day since 1970 as `YYYY-MM-DD`.
///
/// Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn date(day: u64) -> String {
    let shifted = day + 719_468; // since 0000-03-01
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}")
}

const DAY_SECONDS: u64 = 86_400;
/// 2026-01-01.
const FIRST_DAY: u64 = 20_454;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Vec<File>, Error> {
        let words = ["synth", "x"].into_iter().chain(line.split_whitespace());
        files(&Line::parse_from(words).arguments)
    }

    #[test]
    fn dates_are_the_calendars() {
        for (day, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (FIRST_DAY, "2026-01-01"),
            (FIRST_DAY + 364, "2026-12-31"),
        ] {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn every_row_has_one_file_and_time_ascends() {
        for line in [
            "--rows 10",
            "--rows 1003 --files 7",
            "--rows 1003 --files 7 --days 3",
            "--rows 50 --days 40",
            "--rows 3",
        ] {
            let files = parse(line).unwrap();
            let (mut row, mut time) = (0, i64::MIN);
            for file in &files {
                assert_eq!(file.first_row, row);
                for i in 0..file.rows {
                    assert!(file.time_of(i) >= time, "{line}");
                    time = file.time_of(i);
                    let day = u64::try_from(time).unwrap() / DAY_SECONDS;
                    assert_eq!(day, file.day.number, "{line}");
                }
                row += file.rows;
            }
            assert!(files.is_sorted_by(|a, b| a.path < b.path), "{line}");
        }
    }

    #[test]
    fn days_are_as_many_as_asked_for() {
        let files = parse("--rows 1000 --files 10 --days 3").unwrap();
        let mut days: Vec<_> = files
            .iter()
            .map(|file| file.path[..13].to_owned())
            .collect();
        days.dedup();
        assert_eq!(days, ["ds=2026-01-01", "ds=2026-01-02", "ds=2026-01-03"]);
    }

    #[test]
    fn too_few_files_or_rows_are_refused() {
        assert!(
            parse("--rows 5 --files 6")
                .unwrap_err()
                .to_string()
                .contains("--files 6")
        );
        assert!(
            parse("--files 6 --days 7")
                .unwrap_err()
                .to_string()
                .contains("--days 7")
        );
    }
}
