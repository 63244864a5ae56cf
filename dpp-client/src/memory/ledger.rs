//! Who may hold how many bytes. Pure: a ledger of charges, without waiting, threads or clocks.
//!
//! ```text
//! ceiling = reserve                                     + room
//!           ^ what the batch being made can't do         ^ what is made ahead: frames not begun, windows of
//!             without: begun frames, itself, one ready     reads not begun, further batches
//! ```
//!
//! The reserve is `lanes · (2 · frame + window) + 2 · batch + gathered`: a lane has at most one frame begun and one used up
//! by the batch being made; that batch's rows lie in frames and in its copy; a row filter gathers rows for the rounds ahead. Room is given in the order in which
//! frames are consumed. The one frame that the batch being made waits for is never refused, so nothing waits for
//! ever at any ceiling; and whatever is charged stays below the ceiling as long as that holds the reserve.

use std::collections::{BTreeSet, HashMap};

/// Names one charge.
pub(crate) type ChargeId = u64;

/// What one loader's pass can't do without, as far as sizes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Reads that may be begun at a time.
    pub(crate) lanes: u64,
    /// The largest frame, in bytes: guessed at first, then the largest seen.
    pub(crate) frame: u64,
    /// Bytes that an open read may have on the wire, beside its frames.
    pub(crate) window: u64,
    /// The largest batch, in bytes: guessed at first, then the largest seen.
    pub(crate) batch: u64,
    /// With a row filter: rows that wait in frames until what lanes have left is known, in bytes as guessed.
    pub(crate) gathered: u64,
}

/// Bytes held, by whom and for what.
#[derive(Debug)]
pub(crate) struct Ledger {
    ceiling: u64,
    sizes: Sizes,
    charges: HashMap<ChargeId, Charge>,
    next_id: ChargeId,
    /// Bytes charged to the room.
    ahead: u64,
    total: u64,
    most: u64,
    /// Reads that ask for a frame, by the flat position of its first row.
    asking: BTreeSet<(u64, u64)>,
    /// Frames admitted and not begun, by read.
    coming: HashMap<u64, u64>,
    needed: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Charge {
    bytes: u64,
    ahead: bool,
    /// The read whose frame is on its way, until it is begun.
    frame_of: Option<u64>,
}

impl Sizes {
    /// The least that works.
    pub(crate) fn reserve(&self) -> u64 {
        let lane = self.frame.saturating_mul(2).saturating_add(self.window);
        lane.saturating_mul(self.lanes)
            .saturating_add(self.batch.saturating_mul(2))
            .saturating_add(self.gathered)
    }
}

impl Ledger {
    pub(crate) fn new(ceiling: u64, sizes: Sizes) -> Ledger {
        Ledger {
            ceiling,
            sizes,
            charges: HashMap::new(),
            next_id: 0,
            ahead: 0,
            total: 0,
            most: 0,
            asking: BTreeSet::new(),
            coming: HashMap::new(),
            needed: None,
        }
    }

    /// Bytes held at most so far.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Whether what was seen fits below the ceiling, and the least that does.
    pub(crate) fn is_enough(&self) -> (bool, u64) {
        let reserve = self.sizes.reserve();
        (reserve <= self.ceiling, reserve)
    }

    /// `read` wants a frame whose first row has flat position `flat`.
    pub(crate) fn ask(&mut self, read: u64, flat: u64) {
        self.asking.insert((flat, read));
    }

    /// `read` wants it no longer.
    pub(crate) fn withdraw(&mut self, read: u64, flat: u64) {
        self.asking.remove(&(flat, read));
    }

    /// The batch being made waits for `read`; `None`: for nobody.
    pub(crate) fn need(&mut self, read: Option<u64>) {
        self.needed = read;
    }

    /// Whether the batch being made waits for `read`.
    pub(crate) fn is_needed(&self, read: u64) -> bool {
        self.needed == Some(read)
    }

    /// The charge of the frame that `read` asked for at `flat`, or `None` while it has to wait.
    pub(crate) fn admit(&mut self, read: u64, flat: u64) -> Option<ChargeId> {
        let is_needed = self.needed == Some(read) && !self.coming.contains_key(&read);
        let is_next = self.asking.first() == Some(&(flat, read));
        let may_go_ahead = is_next && self.fits(self.sizes.frame);
        if !is_needed && !may_go_ahead {
            return None;
        }
        self.withdraw(read, flat);
        *self.coming.entry(read).or_default() += 1;
        Some(self.charge(self.sizes.frame, !is_needed, Some(read)))
    }

    /// The charge of opening a read before it is needed, or `None` when that has to wait.
    pub(crate) fn open_ahead(&mut self) -> Option<ChargeId> {
        let window = self.sizes.window;
        self.fits(window).then(|| self.charge(window, true, None))
    }

    /// The charge of opening a read that is needed.
    pub(crate) fn open_needed(&mut self) -> ChargeId {
        self.charge(self.sizes.window, false, None)
    }

    /// The charge of a batch that was made.
    pub(crate) fn batch(&mut self, bytes: u64) -> ChargeId {
        self.sizes.batch = self.sizes.batch.max(bytes);
        self.charge(bytes, false, None)
    }

    /// The frame has arrived and is this large.
    pub(crate) fn frame_is(&mut self, id: ChargeId, bytes: u64) {
        self.sizes.frame = self.sizes.frame.max(bytes);
        let Some(charge) = self.charges.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut charge.bytes, bytes);
        self.total = self.total - before + bytes;
        if charge.ahead {
            self.ahead = self.ahead - before + bytes;
        }
        self.most = self.most.max(self.total);
    }

    /// Rows are now taken from it: the charge leaves the room.
    pub(crate) fn begin(&mut self, id: ChargeId) {
        let Some(charge) = self.charges.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut charge.ahead, false) {
            self.ahead -= charge.bytes;
        }
        let arrived = charge.frame_of.take();
        self.arrived(arrived);
    }

    /// Whether the next batch may be begun: batch `id` was taken, or fits into the room.
    pub(crate) fn set_aside(&mut self, id: ChargeId) -> bool {
        let Some(bytes) = self.charges.get(&id).map(|charge| charge.bytes) else {
            return true;
        };
        let fits = self.fits(bytes);
        if fits && let Some(charge) = self.charges.get_mut(&id) {
            charge.ahead = true;
            self.ahead += bytes;
        }
        fits
    }

    /// The bytes are gone.
    pub(crate) fn release(&mut self, id: ChargeId) {
        let Some(charge) = self.charges.remove(&id) else {
            return;
        };
        self.total -= charge.bytes;
        if charge.ahead {
            self.ahead -= charge.bytes;
        }
        self.arrived(charge.frame_of);
    }

    fn arrived(&mut self, read: Option<u64>) {
        let Some(read) = read else { return };
        let coming = self.coming.get_mut(&read).expect("counted when admitted");
        *coming -= 1;
        if *coming == 0 {
            self.coming.remove(&read);
        }
    }

    fn fits(&self, bytes: u64) -> bool {
        let room = self.ceiling.saturating_sub(self.sizes.reserve());
        self.ahead.saturating_add(bytes) <= room
    }

    fn charge(&mut self, bytes: u64, ahead: bool, frame_of: Option<u64>) -> ChargeId {
        let id = self.next_id;
        self.next_id += 1;
        self.charges.insert(
            id,
            Charge {
                bytes,
                ahead,
                frame_of,
            },
        );
        self.total += bytes;
        self.most = self.most.max(self.total);
        if ahead {
            self.ahead += bytes;
        }
        id
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
