//! Bytes that a pass holds: the ledger decides, reads and batches wait here for their turn.
//!
//! A read asks for every frame before it takes it off the wire (or has it made); the charge travels with the
//! frame, and with the batch until the trainer has it. Dropping a charge gives its bytes back.

mod estimate;
mod ledger;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::ledger::Ledger;
pub(crate) use self::{
    estimate::estimate,
    ledger::{ChargeId, Sizes},
};
use crate::{order::Order, schedule::PlannedRead};

/// The bytes of one pass, and whoever waits for some.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// Moves whenever somebody who waits may go on.
    changes: watch::Sender<()>,
}

/// Bytes charged until this is dropped.
#[derive(Debug)]
pub struct Charge {
    id: ChargeId,
    budget: Option<Budget>,
}

/// What a read asks before every frame. Without a budget it is always admitted.
#[derive(Debug, Default)]
pub struct Credits {
    asks: Option<Asks>,
}

#[derive(Debug)]
struct Asks {
    budget: Budget,
    read: u64,
    order: Arc<Order>,
    planned: PlannedRead,
}

impl Budget {
    pub(crate) fn new(ceiling: u64, sizes: Sizes) -> Budget {
        let shared = Shared {
            ledger: Mutex::new(Ledger::new(ceiling, sizes)),
            changes: watch::Sender::new(()),
        };
        Budget {
            shared: Arc::new(shared),
        }
    }

    /// The credits of read number `read`.
    pub(crate) fn credits(&self, read: u64, order: &Arc<Order>, planned: &PlannedRead) -> Credits {
        Credits {
            asks: Some(Asks {
                budget: self.clone(),
                read,
                order: order.clone(),
                planned: planned.clone(),
            }),
        }
    }

    /// The batch being made waits for `read`.
    pub(crate) fn need(&self, read: u64) {
        self.change(|ledger| ledger.need(Some(read)));
    }

    /// The batch being made waits for nobody.
    pub(crate) fn need_none(&self) {
        self.lock().need(None); // nobody may go on for that
    }

    /// Room to open a read that no batch needs yet.
    pub(crate) fn open_ahead(&self) -> Option<Charge> {
        let id = self.lock().open_ahead();
        id.map(|id| self.held(id))
    }

    /// A read that the batch being made needs is opened.
    pub(crate) fn open_needed(&self) -> Charge {
        let id = self.lock().open_needed();
        self.held(id)
    }

    /// A batch of so many bytes was made.
    pub(crate) fn batch(&self, bytes: u64) -> Charge {
        let id = self.lock().batch(bytes);
        self.held(id)
    }

    /// Completes when the batch after `id` may be begun: that one was taken, or fits beside the next.
    pub(crate) async fn next_may_begin(&self, id: ChargeId) {
        self.until(|ledger| ledger.set_aside(id).then_some(()))
            .await;
    }

    /// Bytes held at most so far, whether they fit, and the least ceiling that does.
    pub(crate) fn seen(&self) -> (u64, bool, u64) {
        let ledger = self.lock();
        let (enough, least) = ledger.is_enough();
        (ledger.most(), enough, least)
    }

    async fn until<T>(&self, mut ready: impl FnMut(&mut Ledger) -> Option<T>) -> T {
        let mut changes = self.shared.changes.subscribe();
        loop {
            // What changes after this subscription was made is seen below.
            if let Some(value) = ready(&mut self.lock()) {
                return value;
            }
            changes
                .changed()
                .await
                .expect("the sender is ours and lives as long");
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let value = change(&mut self.lock());
        self.shared.changes.send_replace(());
        value
    }

    fn held(&self, id: ChargeId) -> Charge {
        Charge {
            id,
            budget: Some(self.clone()),
        }
    }

    /// A ledger stays consistent between calls, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.shared
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Credits {
    /// Completes when the batch being made waits for the read. Without a budget it always does.
    pub(crate) async fn needed(&self) {
        if let Some(Asks { budget, read, .. }) = &self.asks {
            let is_needed = |ledger: &mut Ledger| ledger.is_needed(*read).then_some(());
            budget.until(is_needed).await;
        }
    }

    /// Waits until the read may have the frame that follows its first `received` rows. Cancelling it withdraws.
    pub async fn next_frame(&self, received: u64) -> Charge {
        let Some(asks) = &self.asks else {
            return Charge {
                id: 0,
                budget: None,
            };
        };
        let flat = asks.planned.flat_position(&asks.order, received);
        asks.budget.lock().ask(asks.read, flat);
        let asked = Asked { asks, flat };
        let admit = |ledger: &mut Ledger| ledger.admit(asks.read, flat);
        let id = asks.budget.until(admit).await;
        drop(asked); // whoever asked for a later one may be next
        asks.budget.held(id)
    }
}

/// Withdraws when dropped.
struct Asked<'a> {
    asks: &'a Asks,
    flat: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let (read, flat) = (self.asks.read, self.flat);
        self.asks
            .budget
            .change(|ledger| ledger.withdraw(read, flat));
    }
}

impl Charge {
    pub(crate) fn id(&self) -> ChargeId {
        self.id
    }

    /// The frame has arrived and is this large.
    pub fn frame_is(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.change(|ledger| ledger.frame_is(self.id, bytes as u64));
        }
    }

    /// What was charged ahead is now used.
    pub(crate) fn begin(&self) {
        if let Some(budget) = &self.budget {
            budget.change(|ledger| ledger.begin(self.id));
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.change(|ledger| ledger.release(self.id));
        }
    }
}
