//! Batches of every row: a step's takes from reads are known before any row is read.

use std::{collections::VecDeque, time::Instant};

use super::{
    After, Assembled, Reader,
    parts::{Frames, Parts},
    read::OpenRead,
};
use crate::{Error, schedule::Schedule};

/// Makes batches as the schedule says.
pub(crate) struct Every {
    schedule: Schedule,
    reader: Reader,
    open: OpenReads,
    steps_left: u64,
}

/// Reads under way, by number; those in front that are used up are gone.
#[derive(Default)]
struct OpenReads {
    first: u64,
    reads: VecDeque<(OpenRead, Frames)>,
}

impl Every {
    pub(crate) fn new(schedule: Schedule, reader: Reader) -> Every {
        Every {
            steps_left: schedule.own_steps(),
            schedule,
            reader,
            open: OpenReads::default(),
        }
    }

    pub(super) fn has_no_steps(&self) -> bool {
        self.steps_left == 0
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) async fn next(&mut self) -> Result<Option<Assembled>, Error> {
        let Some(step) = self.schedule.next_step() else {
            return Ok(None);
        };
        let began = Instant::now();
        let mut parts = Parts::default();
        for &(read, rows) in &step.takes {
            self.open_ahead(read);
            self.open.take(read, rows, &mut parts, &self.reader).await?;
        }
        self.open.drop_used_up();
        self.schedule.forget_before(self.open.first);
        self.steps_left = self.steps_left.saturating_sub(1);
        let joined = parts.join(self.reader.layout(), &self.reader.budget, began);
        Ok(Some(Assembled {
            flat: step.flat,
            part: step.part,
            tensors: joined.tensors,
            valid: None,
            charge: joined.charge,
            making: joined.making,
            after: After::Known {
                is_last: self.steps_left == 0,
                lanes: None,
            },
        }))
    }

    /// Opens `needed`, and further reads while rows or reads in waiting are fewer than keep the source busy.
    fn open_ahead(&mut self, needed: u64) {
        while let Some(planned) = self.schedule.read(self.open.end()) {
            let number = self.open.end();
            let window = if number <= needed {
                self.reader.budget.open_needed()
            } else {
                let (waiting, rows) = self.open.waiting();
                let Some(window) = self.reader.room_ahead(waiting, rows) else {
                    return;
                };
                window
            };
            let read = self.reader.open(number, planned, window);
            self.open.reads.push_back((read, Frames::default()));
        }
    }
}

impl OpenReads {
    fn end(&self) -> u64 {
        self.first + self.reads.len() as u64
    }

    /// Reads that have not begun, and rows that are not taken.
    fn waiting(&self) -> (usize, u64) {
        let reads = self.reads.iter();
        let waiting = reads.clone().filter(|(read, _)| !read.begun).count();
        (waiting, reads.map(|(read, _)| read.left).sum())
    }

    /// Takes the next `rows` rows of a read.
    async fn take(
        &mut self,
        read: u64,
        rows: u64,
        parts: &mut Parts,
        reader: &Reader,
    ) -> Result<(), Error> {
        let index = usize::try_from(read - self.first).expect("open reads are few");
        let (read, frames) = &mut self.reads[index];
        let mut missing = rows;
        loop {
            missing -= frames.take(missing, Some(parts));
            if missing == 0 {
                break;
            }
            let arrived = read.next_frame(reader, &mut parts.waits).await?;
            frames.push(arrived.rows, arrived.charge);
        }
        read.left -= rows;
        if read.left == 0 {
            read.finish(&mut parts.waits).await;
        }
        Ok(())
    }

    fn drop_used_up(&mut self) {
        while self.reads.front().is_some_and(|(read, _)| read.left == 0) {
            self.reads.pop_front();
            self.first += 1;
        }
    }
}
