//! Time that this thread has computed, whatever else the machine does.

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Least CPU time of one run of each of two pieces of work, by turns, so that both meet the same noise.
pub fn side_by_side<A, B>(
    mut first: impl FnMut() -> A,
    mut second: impl FnMut() -> B,
) -> [Duration; 2] {
    let mut least = [Duration::MAX; 2];
    for _ in 0..TURNS {
        least[0] = least[0].min(turn(&mut first));
        least[1] = least[1].min(turn(&mut second));
    }
    least
}

/// CPU time of one run: the mean over as many as a turn takes.
fn turn<T>(work: &mut impl FnMut() -> T) -> Duration {
    let start = cpu_time();
    let mut runs = 0;
    loop {
        black_box(work());
        runs += 1;
        let elapsed = cpu_time() - start;
        if elapsed >= TURN {
            return elapsed / runs;
        }
    }
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("a clock's time is no negative one")
}

const TURNS: u32 = 12;
const TURN: Duration = Duration::from_millis(4);
