//! Which rows of a piece a read decodes, and in which order it hands them out. Pure.
//!
//! Without a shuffle the selection is rows as stored. With one, positions of the selection are looked up in the
//! shuffled windows; the rows they name are decoded in stored order and then permuted, window by window. Behind a row
//! filter only survivors are picked, and rows cover the positions of those before them that did not survive.

use std::{mem, ops::Range};

use dpp_proto::{shuffle::shuffled_window, v1};

use crate::Error;

/// The rows of one read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picks {
    /// Rows of the file to decode: ascending, neighbours merged.
    pub(crate) decode: Vec<Range<u64>>,
    /// The rows in the order in which they are handed out, in groups that follow one another in `decode`; `None` when
    /// that is stored order.
    pub(crate) groups: Option<Vec<Group>>,
}

/// Rows decoded together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Rows of the file in the order in which they are handed out.
    pub(crate) rows: Vec<u64>,
    /// Rows of the file to decode for them: ascending, neighbours merged.
    pub(crate) decode: Vec<Range<u64>>,
    /// The end of the positions covered once a row is handed out, for each; `None`: every row covers one position.
    pub(crate) covered: Option<Vec<u64>>,
    /// The end of the positions covered with the group.
    pub(crate) end: u64,
}

impl Picks {
    /// The rows that `request` asks for; windows are joined into groups of at least `group_rows` rows where they can be.
    ///
    /// # Errors
    /// [`Error::Request`] when rows or selection don't lie where they must.
    pub(crate) fn of(request: &v1::ReadRequest, group_rows: usize) -> Result<Picks, Error> {
        let length = check_piece(request)?;
        let selection = selection(&request.selection, length)?;
        let Some(shuffle) = request.shuffle else {
            let decode = selection
                .into_iter()
                .map(|range| request.from_row + range.start..request.from_row + range.end);
            return Ok(Picks {
                decode: decode.collect(),
                groups: None,
            });
        };
        if shuffle.window_rows == 0 {
            return Err(Error::request("a shuffle needs windows of at least 1 row"));
        }
        let rows = shuffled_groups(request, shuffle, &selection, group_rows);
        let mut end = 0;
        let groups: Vec<Group> = rows
            .into_iter()
            .map(|rows| Group::whole(rows, &mut end))
            .collect();
        Ok(Picks {
            decode: decoded(&groups),
            groups: Some(groups),
        })
    }

    /// The picked rows that `keeps` says survive, in groups of at least `group_rows` where they can be.
    pub(crate) fn survivors(self, keeps: impl Fn(u64) -> bool, group_rows: usize) -> Picks {
        let windows: Vec<Vec<u64>> = match self.groups {
            Some(groups) => groups.into_iter().map(|group| group.rows).collect(),
            None => {
                let rows: Vec<u64> = self.decode.into_iter().flatten().collect();
                let windows = rows.chunks((group_rows / 8).max(1));
                windows.map(<[u64]>::to_vec).collect()
            }
        };
        let mut groups = Vec::new();
        let (mut rows, mut covered, mut position) = (Vec::new(), Vec::new(), 0);
        for window in windows {
            if rows.len() >= group_rows {
                let (rows, covered) = (mem::take(&mut rows), mem::take(&mut covered));
                groups.push(Group::of_survivors(rows, covered, position));
            }
            for row in window {
                position += 1;
                if keeps(row) {
                    rows.push(row);
                    covered.push(position);
                }
            }
        }
        match groups.last_mut() {
            Some(last) if rows.is_empty() => last.end = position,
            _ => groups.push(Group::of_survivors(rows, covered, position)),
        }
        Picks {
            decode: decoded(&groups),
            groups: Some(groups),
        }
    }
}

impl Group {
    /// All of `rows`, which begin at position `end` and move it on.
    fn whole(rows: Vec<u64>, end: &mut u64) -> Group {
        *end += rows.len() as u64;
        Group {
            decode: merged(&rows, 0),
            covered: None,
            end: *end,
            rows,
        }
    }

    fn of_survivors(rows: Vec<u64>, covered: Vec<u64>, end: u64) -> Group {
        Group {
            decode: merged(&rows, WORTH_DECODING),
            covered: Some(covered),
            end,
            rows,
        }
    }
}

fn decoded(groups: &[Group]) -> Vec<Range<u64>> {
    let ranges = groups.iter().flat_map(|group| group.decode.iter().cloned());
    ranges.collect()
}

/// Rows between two survivors that are decoded along with them: skipping has its price too.
const WORTH_DECODING: u64 = 32;

fn check_piece(request: &v1::ReadRequest) -> Result<u64, Error> {
    let file = request
        .file
        .as_ref()
        .ok_or_else(|| Error::request("a read names a file"))?;
    let Range { start, end } = request.from_row..request.to_row;
    let mut group_start = 0;
    for rows in &file.row_group_rows {
        if start >= group_start && start < end && end <= group_start + rows {
            return Ok(end - start);
        }
        group_start += rows;
    }
    Err(Error::request(format!(
        "rows {start}..{end} don't lie within one row group of {}",
        file.path
    )))
}

fn selection(pairs: &[u64], length: u64) -> Result<Vec<Range<u64>>, Error> {
    if pairs.is_empty() {
        return Ok(vec![Range {
            start: 0,
            end: length,
        }]);
    }
    let (ranges, rest) = pairs.as_chunks::<2>();
    let ascending = pairs.is_sorted() && ranges.iter().all(|[start, end]| start < end);
    if !ascending || !rest.is_empty() || pairs[pairs.len() - 1] > length {
        return Err(Error::request(format!(
            "a selection is ascending pairs of positions up to {length}"
        )));
    }
    Ok(ranges.iter().map(|&[start, end]| start..end).collect())
}

fn shuffled_groups(
    request: &v1::ReadRequest,
    shuffle: v1::Shuffle,
    selection: &[Range<u64>],
    group_rows: usize,
) -> Vec<Vec<u64>> {
    let (base, length, window_rows) = (
        request.file_first_row,
        request.to_row - request.from_row,
        shuffle.window_rows,
    );
    let piece_first_row = base + request.from_row;
    let mut groups: Vec<Vec<u64>> = Vec::new();
    let mut window: Option<(u64, Vec<u64>)> = None;
    for range in selection {
        let mut at = range.start;
        while at < range.end {
            let first = at / window_rows * window_rows;
            let end = range.end.min(first.saturating_add(window_rows));
            if window.as_ref().is_none_or(|(start, _)| *start != first) {
                let last = length.min(first.saturating_add(window_rows));
                let rows = shuffled_window(
                    shuffle.seed,
                    request.epoch,
                    piece_first_row,
                    piece_first_row + first..piece_first_row + last,
                );
                window = Some((first, rows));
                if groups.last().is_none_or(|group| group.len() >= group_rows) {
                    groups.push(Vec::new());
                }
            }
            let (_, rows) = window.as_ref().expect("set just above");
            let picked = &rows[(at - first) as usize..(end - first) as usize];
            groups
                .last_mut()
                .expect("pushed with the first window")
                .extend(picked.iter().map(|row| row - base));
            at = end;
        }
    }
    groups
}

/// `rows` in stored order, as ranges; gaps of up to `gap` rows are closed.
fn merged(rows: &[u64], gap: u64) -> Vec<Range<u64>> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some(last) if row <= last.end + gap => last.end = row + 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}

#[cfg(test)]
#[path = "picks_tests.rs"]
mod tests;
