use proptest::prelude::*;

use super::*;

fn request(
    rows: Range<u64>,
    selection: &[Range<u64>],
    window_rows: Option<u64>,
) -> v1::ReadRequest {
    v1::ReadRequest {
        file: Some(v1::SnapshotFile {
            path: "part-0.parquet".into(),
            row_group_rows: vec![10, 40],
            ..Default::default()
        }),
        file_first_row: 1000,
        epoch: 3,
        from_row: rows.start,
        to_row: rows.end,
        selection: selection
            .iter()
            .flat_map(|range| [range.start, range.end])
            .collect(),
        shuffle: window_rows.map(|window_rows| v1::Shuffle {
            seed: 9,
            window_rows,
        }),
        ..Default::default()
    }
}

#[test]
fn stored_order_is_the_selection() {
    let picks = Picks::of(&request(12..32, &[0..3, 5..9], None), 4).unwrap();
    assert_eq!(
        picks,
        Picks {
            decode: vec![12..15, 17..21],
            groups: None
        }
    );
    assert_eq!(
        Picks::of(&request(0..10, &[], None), 4).unwrap().decode,
        vec![0..10]
    );
}

#[test]
fn requests_that_can_not_be_meant_are_refused() {
    let refused = |request: &v1::ReadRequest| {
        assert!(
            matches!(Picks::of(request, 4), Err(Error::Request { .. })),
            "{request:?}"
        )
    };
    refused(&request(5..15, &[], None)); // crosses row groups
    refused(&request(5..5, &[], None));
    refused(&request(45..60, &[], None));
    refused(&request(0..10, std::slice::from_ref(&(8..11)), None));
    refused(&request(0..10, &[3..5, 4..6], None));
    refused(&request(0..10, &[], Some(0)));
    refused(&v1::ReadRequest {
        selection: vec![1],
        ..request(0..10, &[], None)
    });
    refused(&v1::ReadRequest {
        file: None,
        ..request(0..10, &[], None)
    });
}

proptest! {
    /// Groups handed out one after another are the selected positions of the piece's shuffled order.
    #[test]
    fn shuffled_picks_are_the_selected_positions(from in 10..20u64, length in 1..30u64, window in 1..40u64, group_rows in 1..20usize, mask in prop::collection::vec(any::<bool>(), 30)) {
        let positions: Vec<u64> = (0..length).filter(|at| mask[*at as usize]).collect();
        prop_assume!(!positions.is_empty());
        let request = request(from..from + length, &merged(&positions, 0), Some(window));
        let picks = Picks::of(&request, group_rows).unwrap();
        let order: Vec<u64> = (0..length)
            .step_by(window as usize)
            .flat_map(|at| shuffled_window(9, 3, 1000 + from, 1000 + from + at..1000 + from + length.min(at + window)))
            .map(|row| row - 1000)
            .collect();
        let groups: Vec<Vec<u64>> = picks.groups.unwrap().into_iter().map(|group| group.rows).collect();
        prop_assert_eq!(groups.concat(), positions.iter().map(|at| order[*at as usize]).collect::<Vec<_>>());
        prop_assert!(picks.decode.is_sorted_by_key(|range| range.start));
        let decoded: Vec<u64> = picks.decode.iter().cloned().flatten().collect();
        // What is decoded for one group comes before what is decoded for the next.
        let stored: Vec<u64> = groups.iter().flat_map(|group| { let mut group = group.clone(); group.sort_unstable(); group }).collect();
        prop_assert_eq!(decoded, stored);
    }

    /// Survivors keep their order, and every row covers exactly the positions up to its own.
    #[test]
    fn survivors_are_the_picked_rows_that_are_kept(length in 1..60u64, window in prop::option::of(1..40u64), group_rows in 1..20usize, kept in prop::collection::vec(any::<bool>(), 60)) {
        let request = request(10..10 + length.min(40), &[], window);
        let keeps = |row: u64| kept[row as usize - 10];
        let all = Picks::of(&request, group_rows).unwrap();
        let order: Vec<u64> = match &all.groups {
            Some(groups) => groups.iter().flat_map(|group| group.rows.clone()).collect(),
            None => all.decode.iter().cloned().flatten().collect(),
        };
        let picks = all.survivors(keeps, group_rows);
        let groups = picks.groups.as_ref().unwrap();
        let found: Vec<u64> = groups.iter().flat_map(|group| group.rows.clone()).collect();
        prop_assert_eq!(&found, &order.iter().copied().filter(|&row| keeps(row)).collect::<Vec<_>>());
        let covered: Vec<u64> = groups.iter().flat_map(|group| group.covered.clone().unwrap()).collect();
        let positions: Vec<u64> = (1..).zip(&order).filter(|(_, row)| keeps(**row)).map(|(end, _)| end).collect();
        prop_assert_eq!(covered, positions);
        prop_assert_eq!(groups.last().unwrap().end, order.len() as u64);
        prop_assert!(groups.is_sorted_by(|one, next| one.end < next.end));
        prop_assert!(groups.iter().all(|group| group.covered.as_ref().unwrap().iter().all(|&at| at <= group.end)));
        prop_assert!(picks.decode.is_sorted_by(|one, next| one.end <= next.start));
        let decoded: Vec<u64> = picks.decode.iter().cloned().flatten().collect();
        prop_assert!(found.iter().all(|row| decoded.binary_search(row).is_ok()));
    }
}
