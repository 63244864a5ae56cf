//! Fitting beside its naive twin, and artefacts that are damaged.

use std::{collections::BTreeMap, sync::Arc};

use arrow::buffer::Buffer;
use dpp_batch::{Batch, Jagged, Layout, SparseKey};
use proptest::{collection::vec, option, prelude::*};

use super::*;

type Row = (Option<f32>, Vec<i64>, Vec<i64>);

fn layout() -> Arc<Layout> {
    let key = |name: &str| SparseKey {
        name: name.to_owned(),
        weighted: false,
    };
    Arc::new(Layout {
        dense: vec!["I1".into()],
        sparse: vec![key("C1"), key("C2")],
        ..Layout::default()
    })
}

fn batch(rows: &[Row]) -> Batch {
    let dense: Vec<f32> = rows.iter().map(|row| row.0.unwrap_or(f32::NAN)).collect();
    let lists = || {
        rows.iter()
            .map(|row| &row.1)
            .chain(rows.iter().map(|row| &row.2))
    };
    Batch {
        layout: layout(),
        rows: rows.len(),
        dense: Buffer::from_vec(dense),
        labels: Buffer::from_vec(Vec::<f32>::new()),
        sparse: Jagged {
            lengths: Buffer::from_vec(
                lists()
                    .map(|list| i32::try_from(list.len()).unwrap())
                    .collect::<Vec<_>>(),
            ),
            values: Buffer::from_vec(lists().flatten().copied().collect::<Vec<i64>>()),
            weights: None,
        },
        vectors: vec![],
        extras: vec![],
    }
}

/// What is sent of the rows.
fn part(rows: &[Row]) -> Batch {
    let mut part = Part::of(&layout());
    part.add(&batch(rows));
    let batch = part.into_batch();
    batch.check().unwrap();
    batch
}

fn fitted(rows: &[Row], rows_per_part: usize, settings: FitSettings) -> Result<Fitted, Error> {
    let mut fit = Fit::start(settings)?;
    for rows in rows.rchunks(rows_per_part) {
        assert_eq!(fit.add(&part(rows))?, rows.len() as u64);
    }
    if rows.is_empty() {
        fit.add(&part(rows))?;
    }
    Ok(fit.finish(Origin::default()))
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let ids = || vec(prop_oneof![8 => -5i64..5, 1 => any::<i64>()], 0..6);
    vec((option::weighted(0.8, -9f32..9.0), ids(), ids()), 0..60)
}

proptest! {
    #[test]
    fn equals_the_naive_count_however_rows_are_cut(rows in any_rows(), cut in 1usize..70, least in 1u64..4) {
        let settings = FitSettings { min_count: least, parts: 4, ..FitSettings::default() };
        let found = fitted(&rows, cut, settings).unwrap();
        prop_assert_eq!(&found, &fitted(&rows, 1000, settings).unwrap());
        prop_assert_eq!(Fitted::from_bytes(&found.to_bytes()).unwrap(), found.clone());
        let column = &found.columns[0];
        let values: Vec<f64> = rows.iter().filter_map(|row| row.0.map(f64::from)).collect();
        prop_assert_eq!((column.values, column.missing), (values.len() as u64, (rows.len() - values.len()) as u64));
        if let (Some(mean), Some(std)) = (column.mean, column.std) {
            let count = values.len() as f64;
            let naive = values.iter().sum::<f64>() / count;
            let spread = values.iter().map(|x| (x - naive).powi(2)).sum::<f64>() / count;
            prop_assert!((mean - naive).abs() < 1e-9 && (std - spread.sqrt()).abs() < 1e-7);
        }
        let mut counts = BTreeMap::new();
        rows.iter().flat_map(|row| &row.2).for_each(|id| *counts.entry(*id).or_insert(0u64) += 1);
        let mut expected: Vec<_> = counts.into_iter().filter(|it| it.1 >= least).collect();
        expected.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        let vocabulary = found.vocabulary("C2").unwrap();
        let pairs: Vec<_> = vocabulary.ids().iter().copied().zip(vocabulary.counts().iter().copied()).collect();
        prop_assert_eq!(&pairs, &expected);
        for ((id, _), place) in pairs.iter().zip(1..) {
            prop_assert_eq!(vocabulary.place(*id), place);
        }
        prop_assert_eq!(vocabulary.place(77), 0);
    }

    #[test]
    fn damaged_parts_are_errors(rows in any_rows(), at: prop::sample::Index, byte: u8, cut: bool) {
        let sent = part(&rows);
        let mut bytes = parts(&sent).unwrap()[0].to_vec();
        let place = at.index(bytes.len());
        let before = bytes.clone();
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        // other sums or an error, never a panic, also not when they are finished
        if let Ok(sum) = Part::merge(None, &bytes) {
            prop_assert!(!cut || bytes == before);
            let fit = Fit { settings: FitSettings::default(), sum: Some(sum) };
            fit.finish(Origin::default());
        }
    }

    #[test]
    fn damaged_artefacts_are_errors(rows in any_rows(), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut bytes = fitted(&rows, 9, FitSettings::default()).unwrap().to_bytes();
        let name = digest(&bytes);
        prop_assert!(Fitted::of_digest(&bytes, &name.to_uppercase()).is_ok());
        let place = at.index(bytes.len());
        let before = bytes.clone();
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        drop(Fitted::from_bytes(&bytes)); // another artefact or an error, never a panic
        prop_assert_eq!(Fitted::of_digest(&bytes, &name).is_err(), bytes != before);
    }
}

#[test]
fn too_many_ids_and_nothing_to_fit_are_errors() {
    let rows: Vec<Row> = (0..10).map(|id| (None, vec![id], vec![])).collect();
    let settings = FitSettings {
        most_counted: 9,
        ..FitSettings::default()
    };
    let message = fitted(&rows, 4, settings).unwrap_err().to_string();
    assert!(
        message.contains("`C1` has more than 9 distinct ids"),
        "{message}"
    );
    let plan = r#"{"nodes": [{"row_id": true}], "extras": [{"name": "row", "node": 0}]}"#;
    let nothing = Plan::from_json(plan).unwrap().for_fitting();
    assert!(nothing.unwrap_err().to_string().contains("no dense"));
    let mut fit = Fit::start(FitSettings::default()).unwrap();
    let message = fit.add(&batch(&rows)).unwrap_err().to_string();
    assert!(message.contains("rows came where parts"), "{message}");
    let settings = FitSettings {
        parts: 0,
        ..FitSettings::default()
    };
    assert!(fitted(&rows, 4, settings).is_err());
}

#[test]
fn the_most_frequent_ids_are_kept() {
    let rows: Vec<Row> = vec![(Some(1.0), vec![7, 7, 7, 2, 2, 9, 9, 1], vec![])];
    let settings = FitSettings {
        most_ids: Some(3),
        ..FitSettings::default()
    };
    let found = fitted(&rows, 4, settings).unwrap();
    assert_eq!(found.vocabulary("C1").unwrap().ids(), [7, 2, 9]);
}

/// However many values come, what is held and what is sent of a column has a ceiling, and so have ids that may be counted.
#[test]
fn memory_has_a_ceiling() {
    let rows: Vec<Row> = (0..300_000u32)
        .map(|row| {
            let value = f32::from_bits(row.wrapping_mul(2_654_435_761) >> 2);
            (Some(value), vec![], vec![])
        })
        .collect();
    let mut part = Part::of(&layout());
    let mut most = 0;
    for rows in rows.chunks(10_000) {
        part.add(&batch(rows));
        most = most.max(part.byte_size());
    }
    assert!(most <= 16 * 2 * 8192, "{most} bytes of a column");
    let sent = part.into_batch().byte_size();
    assert!(sent < 64 << 10, "{sent} bytes sent");
    let settings = FitSettings {
        most_counted: 1000,
        ..FitSettings::default()
    };
    let mut fit = Fit::start(settings).unwrap();
    let ids = |first: i64| -> Vec<Row> { vec![(None, vec![], (first..first + 500).collect())] };
    fit.add(&self::part(&ids(0))).unwrap();
    fit.add(&self::part(&ids(500))).unwrap();
    fit.add(&self::part(&ids(250))).unwrap();
    let message = fit.add(&self::part(&ids(501))).unwrap_err().to_string();
    assert!(
        message.contains("`C2` has more than 1000 distinct ids; allow more"),
        "{message}"
    );
}
