//! What the tests of measures of two lists share.

use crate::ops::testing::*;

/// Checks a measure of TorchArrow's own two features.
pub(super) fn check_vectors(op: &str, expected: [f32; 4]) {
    let (a, b) = torcharrow();
    let found = apply_to(op, &[], &[&a, &b]).unwrap();
    assert_eq!(dense_bits(&found), dense_bits(&dense(&expected.map(Some))));
}

/// Checks that an empty list on either side, or on both, gives 0.
pub(super) fn check_empty_rows(op: &str) {
    let lists = [vec![], vec![(1, 1.0)], vec![]];
    let (a, b) = (lists.to_vec(), [vec![], vec![], vec![(1, 1.0)]].to_vec());
    check_measure(op, &a.into_iter().zip(b).collect::<Vec<_>>(), |_, _| 0.0);
}

/// Checks a measure against the row's own function, by bits.
pub(super) fn check_measure(
    op: &str,
    rows: &[(ScoredRow, ScoredRow)],
    naive: impl Fn(&[(i64, f32)], &[(i64, f32)]) -> f32,
) {
    let (a, b): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
    let found = apply_to(op, &[], &[&scored_lists(&a), &scored_lists(&b)]).unwrap();
    let expected: Vec<_> = rows
        .iter()
        .map(|(a, b)| Some(naive(a, b).to_bits()))
        .collect();
    assert_eq!(dense_bits(&found), expected, "{op} of {rows:?}");
}
