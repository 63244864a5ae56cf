//! From a position in an epoch to what makes its batches: who reads which lanes, with how much memory.

use std::sync::Arc;

use super::Loader;
use crate::{
    Error, Settings,
    agree::Talks,
    assemble::{AllLanes, Assembler, Every, Gathers, Lanes, OwnLanes, Reader, Requests},
    batch::Origins,
    cursor::Position,
    memory::{Budget, Sizes, estimate},
    order::{LaneCursor, OrderSettings},
    schedule::{Schedule, Share},
};

impl Loader {
    /// What ranks that read their own lanes talk by.
    pub(super) fn talks(&self, assembler: &Assembler) -> Option<Talks> {
        let (Assembler::OwnLanes(_), Some(agreement)) = (assembler, &self.agreement) else {
            return None;
        };
        let order = self.order.settings();
        let lanes = (order.lanes, order.round_rows / order.lanes);
        let Settings {
            on_uneven,
            drop_last,
            ..
        } = self.settings;
        Some(Talks::new(agreement.clone(), on_uneven, lanes, drop_last))
    }

    /// Where lanes stand at a position.
    pub(super) fn lanes_at(&self, position: &Position) -> Arc<[LaneCursor]> {
        let lanes = usize::try_from(self.order.settings().lanes).expect("lanes fit in memory");
        let start = || vec![LaneCursor::default(); lanes].into();
        position.lanes.clone().unwrap_or_else(start)
    }

    /// How this rank takes survivors from flat position `start` on; `None` without a row filter. Ranks decide alike.
    fn gathers(&self, order: &OrderSettings, start: u64) -> Option<Gathers> {
        self.filter_hash.as_ref()?;
        let Share {
            global_batch,
            world_size,
            ..
        } = self.settings.share();
        let steps_are_rounds =
            global_batch == order.round_rows && start.is_multiple_of(order.round_rows);
        let are_own = world_size > 1
            && self.agreement.is_some()
            && steps_are_rounds
            && order.lanes.is_multiple_of(world_size);
        Some(match are_own {
            true => Gathers::OwnLanes,
            false => Gathers::AllLanes,
        })
    }

    pub(super) fn check_memory(&self, order: &OrderSettings, start: u64) -> Result<u64, Error> {
        self.settings.ceiling(self.sizes(order, start))
    }

    /// What a pass from flat position `start` on can't do without, as far as the plan tells.
    fn sizes(&self, order: &OrderSettings, start: u64) -> Sizes {
        let (share, window) = (self.settings.share(), self.source.window_bytes());
        let gathers = self.gathers(order, start);
        estimate(&self.described.layout, order, &share, gathers, window)
    }

    pub(super) fn assembler(&self, origins: &Origins, start: &Position) -> Assembler {
        let (share, flat) = (self.settings.share(), start.rows_consumed);
        let gathers = self.gathers(self.order.settings(), flat);
        let reader = self.reader(origins, gathers, flat);
        let Some(gathers) = gathers else {
            let schedule = Schedule::new(self.order.clone(), origins.sequence.clone(), share, flat)
                .of_child(self.settings.child);
            return Assembler::Every(Every::new(schedule, reader));
        };
        let all = 0..self.order.settings().lanes;
        let own = match gathers {
            Gathers::AllLanes => all,
            Gathers::OwnLanes => share.part(&all),
        };
        let cursors = &self.lanes_at(start)[own.start as usize..own.end as usize];
        let lanes = Lanes::new(reader, origins.sequence.clone(), own, cursors);
        let on_uneven = self.settings.on_uneven;
        match gathers {
            Gathers::AllLanes => Assembler::AllLanes(AllLanes::new(lanes, share, on_uneven, flat)),
            Gathers::OwnLanes => Assembler::OwnLanes(OwnLanes::new(lanes, share, on_uneven, flat)),
        }
    }

    fn reader(&self, origins: &Origins, gathers: Option<Gathers>, start: u64) -> Reader {
        let share = self.settings.share();
        let sizes = self.sizes(self.order.settings(), start);
        let ceiling = self.settings.ceiling(sizes);
        // Of every lane's survivors a rank that reads all keeps its own part.
        let batch_rows = match gathers {
            Some(Gathers::AllLanes) => share.global_batch,
            _ => share.global_batch.div_ceil(share.world_size),
        };
        Reader {
            requests: Requests {
                order: self.order.clone(),
                epoch: origins.epoch,
                files: self.described.files.clone(),
                job_hash: self.job.job_hash.clone(),
                run: self.job.run.clone(),
            },
            source: self.source.clone(),
            job: self.job.clone(),
            meter: self.meter.clone(),
            budget: Budget::new(ceiling.expect("checked when the order was set"), sizes),
            rows_ahead: batch_rows * (self.settings.prefetch_batches as u64 + 1),
        }
    }
}
