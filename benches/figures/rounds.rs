//! What the rounds of a figure come to.

/// The middle one; of an even number, the upper of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of one number of every round.
pub(crate) fn median_of<T>(rounds: &[T], number: impl Fn(&T) -> f64) -> f64 {
    median(rounds.iter().map(number).collect())
}
