//! Text → id: how strings in lists become ids. Part of what a trained model relies on, so it never changes.

use xxhash_rust::xxh3::xxh3_64;

/// The id of a text: xxh3-64 (seed 0) of its UTF-8 bytes with the top bit cleared, so that no id is negative.
///
/// Among a million distinct texts, two share an id with probability 1 in 18 million.
pub fn text_id(text: &str) -> i64 {
    (xxh3_64(text.as_bytes()) & i64::MAX.unsigned_abs()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xxh3's own published values, the top bit cleared.
    #[test]
    fn ids_are_these_for_ever() {
        assert_eq!(text_id(""), 0x2d06_8005_38d3_94c2);
        assert_eq!(text_id("a"), 0x66c6_32b6_1e96_4e1f);
        assert_eq!(text_id("abc"), 0x78af_5f94_892f_3950);
    }
}
