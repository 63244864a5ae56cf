//! From the workers that demand asks for, a fraction, to the workers that are required: up at once, down late.

use std::{collections::VecDeque, time::Duration};

use super::Settings;

/// The required number and what it follows.
#[derive(Debug, Default)]
pub(super) struct Sizing {
    required: Option<u32>,
    changed_at: Duration,
    /// Numbers that would have sufficed lately, with room to spare.
    sufficed: VecDeque<(Duration, u32)>,
    /// Workers that were there lately.
    were_there: VecDeque<(Duration, u32)>,
}

impl Sizing {
    /// When it changed last.
    pub(super) fn changed_at(&self) -> Duration {
        self.changed_at
    }

    /// The number now required for `wanted` workers; never lower than before when `keep` says that a run waits.
    ///
    /// The first time it starts from the workers `present`, so that a restarted service changes nothing by itself.
    pub(super) fn follow(
        &mut self,
        settings: &Settings,
        wanted: f64,
        keep: bool,
        present: u32,
        now: Duration,
    ) -> u32 {
        let within = |workers: f64| {
            let workers = (workers - ROUNDING).ceil().max(0.0);
            // A float converts saturating.
            clamp(settings, workers as u32)
        };
        let last = match self.required {
            Some(last) => last,
            None => {
                self.sufficed.push_back((now, clamp(settings, present)));
                clamp(settings, present)
            }
        };
        let roomy = within(wanted * (1.0 + settings.spare));
        self.sufficed
            .push_back((now, if keep { roomy.max(last) } else { roomy }));
        while let Some((at, _)) = self.sufficed.front()
            && now.saturating_sub(*at) > settings.scale_down_after
        {
            self.sufficed.pop_front();
        }
        let floor = self.sufficed.iter().map(|(_, workers)| *workers).max();
        let most = clamp(settings, self.most(settings, present, now));
        let required = last
            .min(floor.unwrap_or(last))
            .max(within(wanted).min(most));
        if self.required != Some(required) {
            self.changed_at = now;
        }
        self.required = Some(required);
        required
    }
}

impl Sizing {
    /// So many that it can be seen first what some more are worth.
    fn most(&mut self, settings: &Settings, present: u32, now: Duration) -> u32 {
        if self.were_there.is_empty() {
            // Who was there before us was there long enough.
            self.were_there.push_back((Duration::ZERO, present));
        }
        self.were_there.push_back((now, present));
        let age = |at: Duration| now.saturating_sub(at);
        while let Some((at, _)) = self.were_there.front()
            && age(*at) > REMEMBERED
            && self.were_there.len() > 1
        {
            self.were_there.pop_front();
        }
        // A little later than it is judged what those are worth.
        let judged = settings.settle * 5 / 4;
        let proven = self
            .were_there
            .iter()
            .take_while(|(at, _)| *at == Duration::ZERO || age(*at) >= judged)
            .map(|(_, workers)| *workers)
            .max();
        let proven = proven.unwrap_or(present);
        proven.saturating_mul(GROWTH).saturating_add(GROWTH)
    }
}

fn clamp(settings: &Settings, workers: u32) -> u32 {
    workers.clamp(*settings.workers.start(), *settings.workers.end())
}

/// Workers grow by this factor at a time, once those before have been there for a while.
const GROWTH: u32 = 4;
const REMEMBERED: Duration = Duration::from_secs(600);
/// A number that is whole but for rounding is whole.
const ROUNDING: f64 = 1e-6;
