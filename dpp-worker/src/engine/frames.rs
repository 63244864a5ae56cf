//! From decoded rows to frames: permute, transform, pack. Computes only; one call makes one frame.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Instant};

use arrow::{
    array::{RecordBatch, UInt32Array},
    compute::{concat_batches, take_record_batch},
};
use dpp_batch::{Batch, Frame, Rows, concat};
use dpp_ops::fit::{PART_BYTES, Part};
use dpp_table::{PieceBatches, ReadCounters};
use tracing::field;

use super::{
    base::BaseBatches,
    job::OpenJob,
    picks::{Group, Picks},
    trace,
};
use crate::Error;

/// Makes the frames of one read, one after another.
pub(crate) struct Frames {
    job: Arc<OpenJob>,
    batches: Decoded,
    decode: VecDeque<Range<u64>>,
    groups: Option<VecDeque<Group>>,
    ready: VecDeque<Base>,
    cut: VecDeque<Frame>,
    base: BaseBatches,
    file_first_row: u64,
    epoch: u64,
    next_position: u64,
    /// Seconds of a compute thread so far: decoding, and transforming with packing.
    pub(crate) seconds: (f64, f64),
}

/// Rows of a base batch, in the order in which they are handed out.
struct Base {
    /// `None` when there are none: a row filter left nothing of the positions covered.
    rows: Option<RecordBatch>,
    /// The rows' positions in the snapshot.
    row_ids: Vec<i64>,
    covered: Covered,
}

/// Which positions of the read are covered with a base batch, and with its first rows.
struct Covered {
    positions: Range<u64>,
    /// The end of what is covered after each row; `None`: every row covers one position.
    after_row: Option<Vec<u64>>,
}

impl Covered {
    /// The end of what is covered once `count` of `rows` rows are handed out.
    fn end_after(&self, count: usize, rows: usize) -> u64 {
        match &self.after_row {
            _ if count == rows => self.positions.end,
            Some(after_row) if count > 0 => after_row[count - 1],
            _ => self.positions.start + count as u64,
        }
    }

    /// What rows `part` of `rows` rows cover.
    fn part(&self, part: Range<usize>, rows: usize) -> Covered {
        let start = self.end_after(part.start, rows);
        let end = self.end_after(part.end, rows);
        Covered {
            positions: start..end,
            after_row: self.after_row.as_ref().map(|it| it[part].to_vec()),
        }
    }
}

impl Frames {
    /// `batches` has the rows that `picks` decodes; `None` when those are none.
    pub(crate) fn new(
        job: Arc<OpenJob>,
        base: BaseBatches,
        batches: Option<PieceBatches>,
        picks: Picks,
        file_first_row: u64,
        epoch: u64,
    ) -> Frames {
        Frames {
            base,
            job,
            batches: Decoded {
                batches,
                leftover: None,
            },
            decode: picks.decode.into(),
            groups: picks.groups.map(Into::into),
            ready: VecDeque::new(),
            cut: VecDeque::new(),
            file_first_row,
            epoch,
            next_position: 0,
            seconds: (0.0, 0.0),
        }
    }

    /// The next frame, or `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Error> {
        if self.job.program.is_for_fitting() {
            return self.next_part();
        }
        if self.cut.is_empty() {
            let Some((batch, covered)) = self.next_batch()? else {
                return Ok(None);
            };
            self.job.note_size(batch.rows, batch.byte_size());
            let frames = self.job.frames_of(batch.byte_size());
            self.cut = cut(batch, &covered, frames);
        }
        Ok(self.cut.pop_front())
    }

    /// What is fitted of the rows that come next: of as many as make a part worth sending, or of all that are left.
    fn next_part(&mut self) -> Result<Option<Frame>, Error> {
        let first_position = self.next_position;
        let mut sum: Option<Part> = None;
        while let Some((batch, _)) = self.next_batch()? {
            self.job.note_size(batch.rows, batch.byte_size());
            let part = sum.get_or_insert_with(|| Part::of(&batch.layout));
            part.add(&batch);
            if part.byte_size() >= PART_BYTES {
                break;
            }
        }
        Ok(sum.map(|part| Frame {
            positions: first_position..self.next_position,
            batch: part.into_batch(),
        }))
    }

    /// What decoding fetched so far.
    pub(crate) fn io(&self) -> ReadCounters {
        let batches = self.batches.batches.as_ref();
        batches.map(PieceBatches::io).unwrap_or_default()
    }

    /// The next base batch, transformed and packed.
    fn next_batch(&mut self) -> Result<Option<(Batch, Covered)>, Error> {
        let started = Instant::now();
        let base = self.decode_base()?;
        let decoded = Instant::now();
        self.seconds.0 += (decoded - started).as_secs_f64();
        let Some(base) = base else {
            return Ok(None);
        };
        let transforming = tracing::debug_span!("transform", bytes = field::Empty).entered();
        self.next_position = base.covered.positions.end;
        let batch = match &base.rows {
            Some(rows) => {
                let program = &self.job.program;
                program.run_mapped(rows, &base.row_ids, self.epoch, self.batches.is_mapped())?
            }
            None => concat(self.job.program.layout(), &[]),
        };
        self.seconds.1 += decoded.elapsed().as_secs_f64();
        trace::bytes(&transforming, batch.byte_size() as u64);
        Ok(Some((batch, base.covered)))
    }

    /// [`Frames::next_base`], traced.
    fn decode_base(&mut self) -> Result<Option<Base>, Error> {
        let decoding = tracing::debug_span!("decode", rows = field::Empty).entered();
        let base = self.next_base()?;
        trace::rows(
            &decoding,
            base.as_ref().map_or(0, |base| base.row_ids.len() as u64),
        );
        Ok(base)
    }

    fn next_base(&mut self) -> Result<Option<Base>, Error> {
        if let Some(base) = self.ready.pop_front() {
            return Ok(Some(base));
        }
        match &mut self.groups {
            None => self.next_stored(),
            Some(groups) => {
                let Some(group) = groups.pop_front() else {
                    return Ok(None);
                };
                self.make_ready(group)?;
                Ok(self.ready.pop_front())
            }
        }
    }

    /// The next decoded rows, as stored.
    fn next_stored(&mut self) -> Result<Option<Base>, Error> {
        let first = self.next_position;
        let Some(rows) = self.batches.next(self.base.rows_at(first))? else {
            return Ok(None);
        };
        Ok(Some(Base {
            row_ids: self.next_row_ids(rows.num_rows()),
            covered: Covered {
                positions: first..first + rows.num_rows() as u64,
                after_row: None,
            },
            rows: Some(rows),
        }))
    }

    fn next_row_ids(&mut self, mut count: usize) -> Vec<i64> {
        let mut row_ids = Vec::with_capacity(count);
        while count > 0 {
            let range = self
                .decode
                .front_mut()
                .expect("as many rows are decoded as picked");
            let taken = count.min((range.end - range.start) as usize);
            row_ids.extend(
                (range.start..range.start + taken as u64)
                    .map(|row| row_id(self.file_first_row, row)),
            );
            range.start += taken as u64;
            count -= taken;
            if range.start == range.end {
                self.decode.pop_front();
            }
        }
        row_ids
    }

    /// Decodes a group's rows, puts them in order and cuts them into base batches.
    fn make_ready(&mut self, group: Group) -> Result<(), Error> {
        let covered = Covered {
            positions: self.next_position..group.end,
            after_row: group.covered,
        };
        let rows = &group.rows;
        if rows.is_empty() {
            self.ready.push_back(Base {
                rows: None,
                row_ids: Vec::new(),
                covered,
            });
            return Ok(());
        }
        let lengths = group.decode.iter().map(|range| range.end - range.start);
        let stored = self.batches.take(lengths.sum::<u64>() as usize)?;
        let ordered = take_record_batch(&stored, &places(rows, &group.decode))
            .map_err(|error| Error::request(error.to_string()))?;
        let mut end = 0;
        while end < rows.len() {
            let first = end;
            let base_rows = self.base.rows_at(self.next_position + first as u64);
            end = rows.len().min(first + base_rows);
            let row_ids = rows[first..end].iter();
            self.ready.push_back(Base {
                rows: Some(ordered.slice(first, end - first)),
                row_ids: row_ids
                    .map(|&row| row_id(self.file_first_row, row))
                    .collect(),
                covered: covered.part(first..end, rows.len()),
            });
        }
        Ok(())
    }
}

/// A piece's rows, taken in counts of one's own.
struct Decoded {
    batches: Option<PieceBatches>,
    leftover: Option<RecordBatch>,
}

impl Decoded {
    /// For each feature whether its values were mapped as they were decoded.
    fn is_mapped(&self) -> &[bool] {
        self.batches.as_ref().map_or(&[], PieceBatches::is_mapped)
    }

    /// The next rows: `rows` of them, or what decoding gives.
    fn next(&mut self, rows: usize) -> Result<Option<RecordBatch>, Error> {
        if let Some(rows) = self.leftover.take() {
            return Ok(Some(rows));
        }
        let next = self.batches.as_mut();
        Ok(next.and_then(|it| it.next_of(rows)).transpose()?)
    }

    /// The next `count` rows, at least one.
    fn take(&mut self, count: usize) -> Result<RecordBatch, Error> {
        let mut parts = Vec::new();
        let mut missing = count;
        while missing > 0 {
            let next = self.next(missing)?;
            let next = next.expect("as many rows are decoded as picked");
            let taken = missing.min(next.num_rows());
            if taken < next.num_rows() {
                self.leftover = Some(next.slice(taken, next.num_rows() - taken));
            }
            parts.push(next.slice(0, taken));
            missing -= taken;
        }
        concat_batches(&parts[0].schema(), &parts)
            .map_err(|error| Error::request(error.to_string()))
    }
}

/// Where each of `rows` stands among the rows of `decode`.
fn places(rows: &[u64], decode: &[Range<u64>]) -> UInt32Array {
    let mut before = 0;
    let starts: Vec<(u64, u64)> = decode
        .iter()
        .map(|range| {
            let place = before;
            before += range.end - range.start;
            (range.start, place)
        })
        .collect();
    let place = |&row: &u64| {
        let range = starts.partition_point(|(start, _)| *start <= row) - 1;
        let (start, place) = starts[range];
        u32::try_from(place + row - start).expect("a group is far below 2^32 rows")
    };
    rows.iter().map(place).collect::<Vec<_>>().into()
}

/// So many frames, of about as many rows each, or one a row.
fn cut(batch: Batch, covered: &Covered, frames: usize) -> VecDeque<Frame> {
    if frames == 1 || batch.rows == 1 {
        return VecDeque::from([Frame {
            positions: covered.positions.clone(),
            batch,
        }]);
    }
    let (layout, all) = (batch.layout.clone(), batch.rows);
    let rows_each = batch.rows.div_ceil(frames);
    let mut rows = Rows::new(batch);
    let mut frames = VecDeque::new();
    while rows.remaining() > 0 {
        let first = all - rows.remaining();
        let batch = concat(&layout, &[rows.take(rows_each)]);
        let positions = covered.part(first..all - rows.remaining(), all).positions;
        frames.push_back(Frame { positions, batch });
    }
    frames
}

pub(super) fn row_id(file_first_row: u64, row: u64) -> i64 {
    (file_first_row + row).cast_signed()
}
