//! Most ids of one list are not in another: a sieve turns them away for a multiplication each, before anything is sorted or
//! looked for.

/// A bit set for each of some ids, by ten bits of a hash.
pub(crate) struct Sieve([u64; 16]);

impl Sieve {
    pub(crate) fn of(ids: impl Iterator<Item = i64>) -> Sieve {
        let mut words = [0; 16];
        for id in ids {
            let (word, bit) = Sieve::place(id);
            words[word] |= bit;
        }
        Sieve(words)
    }

    /// False of an id that is not among them, mostly.
    pub(crate) fn may_hold(&self, id: i64) -> bool {
        let (word, bit) = Sieve::place(id);
        self.0[word] & bit != 0
    }

    fn place(id: i64) -> (usize, u64) {
        let hash = id.cast_unsigned().wrapping_mul(MULTIPLIER);
        ((hash >> 60) as usize, 1 << (hash >> 54 & 63))
    }
}

/// 2^64 by the golden ratio (Knuth, "The Art of Computer Programming" 3, section 6.4).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Up to so many ids the sieve keeps out most others, and looking for one is short.
pub(crate) const FEW: usize = 64;
