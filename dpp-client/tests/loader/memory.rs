//! Any ceiling that works gives the same batches, and holds.

use std::{slice, time::Duration};

use dpp_client::{BatchRows, Error, Loader, Place, Settings, Shuffle, SplitShuffle};
use dpp_proto::v1;
use tokio::time::timeout;

use crate::{
    Drained, ON_BOX, drain,
    table::{TestTable, plan, wide_plan},
    worker::TestWorker,
};

async fn open(
    place: Place,
    table: &TestTable,
    plan: v1::Plan,
    settings: Settings,
) -> Result<Loader, Error> {
    Loader::open(place, table.source(), plan, settings).await
}

/// The least ceiling, as the refusal of 1 byte says it.
async fn least(place: &Place, table: &TestTable, plan: v1::Plan, settings: &Settings) -> u64 {
    let settings = Settings {
        max_memory_bytes: Some(1),
        ..settings.clone()
    };
    let error = open(place.clone(), table, plan, settings)
        .await
        .unwrap_err();
    let message = error.to_string();
    let (before, _) = message.split_once(" is the least that works").unwrap();
    before.split(' ').next_back().unwrap().parse().unwrap()
}

/// What `count` passes give under a ceiling, which must hold.
async fn passes_within(
    ceiling: u64,
    place: &Place,
    table: &TestTable,
    settings: &Settings,
    count: usize,
) -> Vec<Drained> {
    let settings = Settings {
        max_memory_bytes: Some(ceiling),
        ..settings.clone()
    };
    let mut loader = open(place.clone(), table, wide_plan(100), settings)
        .await
        .unwrap();
    let mut passes = Vec::new();
    for _ in 0..count {
        let mut batches = loader.start_epoch();
        let drained = timeout(Duration::from_secs(60), drain(&mut batches)).await;
        passes.push(drained.expect("a pass must end"));
    }
    let most = loader.stats().most_buffered_bytes;
    assert!(0 < most && most <= ceiling, "{most} of {ceiling}");
    passes
}

/// Many lanes, wide rows, shuffled, cut anyhow.
fn cases() -> Vec<Settings> {
    [(1, 16), (3, 40), (8, 7), (64, 128)]
        .map(|(lanes, batch)| Settings {
            batch: BatchRows::Global(batch),
            lanes: Some(lanes),
            split_rows: 60,
            shuffle: Shuffle {
                splits: SplitShuffle::Epoch,
                rows: 16,
            },
            ..Settings::default()
        })
        .to_vec()
}

#[tokio::test]
async fn the_least_ceiling_works_and_holds() {
    let table = TestTable::write(&[520, 130, 750]);
    let worker = TestWorker::tcp().await;
    for settings in cases() {
        let mut free = open(ON_BOX, &table, wide_plan(100), settings.clone())
            .await
            .unwrap();
        let expected = drain(&mut free.start_epoch()).await;
        for place in [ON_BOX, Place::Service(worker.address())] {
            let least = least(&place, &table, wide_plan(100), &settings).await;
            for ceiling in [least, least + 30_000, 4 * least] {
                let passes = passes_within(ceiling, &place, &table, &settings, 1).await;
                assert_eq!(passes, slice::from_ref(&expected));
            }
        }
    }
}

/// Frames that are whole batches are larger than those that a layout lets one expect.
#[tokio::test]
async fn ceilings_hold_for_whole_batches() {
    let table = TestTable::write_in_groups(&[60_000], 20_000);
    let worker = TestWorker::tcp().await;
    let settings = Settings {
        batch: BatchRows::Global(10_000),
        ..Settings::default()
    };
    for place in [ON_BOX, Place::Service(worker.address())] {
        let least = least(&place, &table, wide_plan(100), &settings).await;
        for ceiling in [least, least + (1 << 20), 2 * least] {
            // in the first a worker learns how large batches are
            for drained in passes_within(ceiling, &place, &table, &settings, 3).await {
                assert_eq!(drained.len(), 6);
            }
        }
    }
}

#[tokio::test]
async fn less_than_the_least_is_refused() {
    let table = TestTable::write(&[120]);
    let settings = cases().remove(1);
    let least = least(&ON_BOX, &table, plan(), &settings).await;
    let with = |ceiling| Settings {
        max_memory_bytes: Some(ceiling),
        ..settings.clone()
    };
    assert!(
        open(ON_BOX, &table, plan(), with(least - 1))
            .await
            .unwrap_err()
            .to_string()
            .contains(&format!("max_memory_bytes {}", least - 1))
    );
    let mut loader = open(ON_BOX, &table, plan(), with(least)).await.unwrap();
    // A state with more lanes needs more.
    let many = Settings {
        lanes: Some(120),
        ..settings
    };
    let state = open(ON_BOX, &table, plan(), many).await.unwrap().state();
    assert!(matches!(
        loader.load_state(&state),
        Err(Error::Invalid { .. })
    ));
    assert!(!drain(&mut loader.start_epoch()).await.is_empty());
}

/// Rows whose frames turn out far larger than a layout can tell are cut, and still arrive.
#[tokio::test]
async fn rows_larger_than_expected_still_arrive() {
    let table = TestTable::write_in_groups(&[9_000], 9_000);
    let wide = wide_plan(3_000); // 256 rows of it are 3 MB, more than a frame is meant to have
    let settings = Settings {
        split_rows: 3_000,
        ..cases().remove(0)
    };
    let expected = least(&ON_BOX, &table, wide.clone(), &settings).await;
    let settings = Settings {
        max_memory_bytes: Some(expected),
        batch: BatchRows::Global(300),
        lanes: Some(1),
        ..settings
    };
    let refused = open(ON_BOX, &table, wide.clone(), settings.clone()).await;
    assert!(refused.is_err(), "a larger batch needs more");
    let mut loader = open(
        ON_BOX,
        &table,
        wide,
        Settings {
            max_memory_bytes: Some(expected * 4),
            ..settings
        },
    )
    .await
    .unwrap();
    assert_eq!(drain(&mut loader.start_epoch()).await.len(), 30);
}
