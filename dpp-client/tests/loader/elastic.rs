//! Whoever reads, however many, wherever: the global batches are the same. And the smallest tables keep their state.

use std::sync::Arc;

use dpp_client::{
    BatchRows, Loader, Settings, Shuffle, SplitShuffle,
    source::{Embedded, Remote, Source, WorkerSettings},
};
use dpp_proto::{Fault, Faulty as _, shuffle::mix};

use crate::{
    ON_BOX, drain, open, saved,
    table::{TestTable, plan},
    worker::TestWorker,
};

async fn rank_of(
    source: &Arc<dyn Source>,
    table: &TestTable,
    settings: &Settings,
    rank: u64,
    world_size: u64,
) -> Loader {
    let settings = Settings {
        rank,
        world_size,
        ..settings.clone()
    };
    Loader::with_source(source.clone(), table.source(), plan(), settings)
        .await
        .unwrap()
}

/// Step by step the rows of all ranks, each checked for its values.
async fn global_batches(
    source: &Arc<dyn Source>,
    table: &TestTable,
    settings: &Settings,
    world_size: u64,
) -> Vec<Vec<u64>> {
    let mut steps: Vec<Vec<u64>> = Vec::new();
    for rank in 0..world_size {
        let mut loader = rank_of(source, table, settings, rank, world_size).await;
        let mut batches = loader.start_epoch();
        let mut step = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch.unwrap();
            table.check_values(&batch.tensors, &batch.row_ids().unwrap());
            if rank == 0 {
                steps.push(Vec::new());
            }
            steps[step].extend(batch.row_ids().unwrap());
            step += 1;
        }
        assert_eq!(step, steps.len(), "every rank takes as many steps");
    }
    steps
}

#[tokio::test]
async fn the_global_batches_are_the_same_whoever_reads() {
    let table = TestTable::write(&[120, 31, 250]);
    let workers = [
        TestWorker::tcp().await,
        TestWorker::tcp().await,
        TestWorker::tcp().await,
    ];
    let remote = |count: usize| -> Arc<dyn Source> {
        let addresses: Vec<_> = workers[..count].iter().map(TestWorker::address).collect();
        Arc::new(Remote::new(&addresses.join(","), WorkerSettings::default()).unwrap())
    };
    let sources: [Arc<dyn Source>; 3] = [
        Arc::new(Embedded::start(Some(2), None).unwrap()),
        remote(1),
        remote(3),
    ];
    for (drop_last, shuffle_rows) in [(false, 0), (true, 0), (false, 16), (true, 16)] {
        let settings = Settings {
            batch: BatchRows::Global(24),
            lanes: Some(4),
            round_rows: Some(24),
            split_rows: 50,
            shuffle: Shuffle {
                splits: if shuffle_rows == 0 {
                    SplitShuffle::Off
                } else {
                    SplitShuffle::Epoch
                },
                rows: shuffle_rows,
            },
            seed: 5,
            drop_last,
            ..Settings::default()
        };
        let expected = global_batches(&sources[0], &table, &settings, 1).await;
        assert_eq!(expected.len(), if drop_last { 16 } else { 17 });
        for world_size in [1, 2, 3, 4, 8] {
            for source in &sources {
                let steps = global_batches(source, &table, &settings, world_size).await;
                assert_eq!(steps, expected, "{world_size} ranks of {source:?}");
            }
        }
    }
}

/// 1 and 10 rows (a table of none is refused): before the first batch, in the middle, on the last, after the end; loaded and saved it is the same.
#[tokio::test]
async fn small_tables_keep_their_state() {
    let nothing = TestTable::write(&[0]);
    let refused = Loader::open(ON_BOX, nothing.source(), plan(), Settings::default()).await;
    assert_eq!(refused.unwrap_err().fault(), Fault::NotFound);
    for rows in [1, 10] {
        let table = TestTable::write(&[rows]);
        let settings = Settings {
            batch: BatchRows::PerRank(3),
            ..Settings::default()
        };
        let expected = drain(&mut open(ON_BOX, &table, &settings).await.start_epoch()).await;
        assert_eq!(expected.len() as u64, rows.div_ceil(3));
        let mut loader = open(ON_BOX, &table, &settings).await;
        let mut batches = loader.start_epoch();
        for step in 0..=expected.len() {
            let state = saved(&loader.state());
            let mut resumed = open(ON_BOX, &table, &settings).await;
            resumed.load_state(&state).unwrap();
            assert_eq!(resumed.state(), state, "loading and saving changes nothing");
            let ended = step == expected.len();
            let position = if ended { (1, 0) } else { (0, 3 * step as u64) };
            assert_eq!((state.epoch, state.rows_consumed), position);
            let rest = drain(&mut resumed.start_epoch()).await;
            if ended {
                assert_eq!(
                    rest, expected,
                    "the next epoch, unshuffled, is like this one"
                );
            } else {
                assert_eq!(rest, expected[step..]);
            }
            assert_eq!(batches.next().await.is_none(), ended);
        }
        let other = Settings {
            seed: 1,
            ..settings
        };
        let mut other = open(ON_BOX, &table, &other).await;
        assert!(other.load_state(&loader.state()).is_err());
    }
}

/// Killed fifty times, each time resumed from the state saved last: every row once.
#[tokio::test]
async fn a_trainer_killed_again_and_again_sees_every_row_once() {
    let table = TestTable::write(&[1_120, 31, 250]);
    let source: Arc<dyn Source> = Arc::new(Embedded::start(Some(2), None).unwrap());
    let settings = Settings {
        batch: BatchRows::Global(5),
        lanes: Some(3),
        round_rows: Some(30),
        split_rows: 50,
        shuffle: Shuffle {
            splits: SplitShuffle::Blocks(4),
            rows: 16,
        },
        ..Settings::default()
    };
    let whole = global_batches(&source, &table, &settings, 1).await.concat();
    let mut state = rank_of(&source, &table, &settings, 0, 1).await.state();
    let mut consumed = Vec::new();
    for life in 0..50 {
        let mut loader = rank_of(&source, &table, &settings, 0, 1).await;
        loader.load_state(&state).unwrap();
        let mut batches = loader.start_epoch();
        let lives = 1 + mix(&[life]) % 7;
        let saves_after = mix(&[life, 1]) % (lives + 1);
        for step in 0..lives {
            let rows = batches.next().await.unwrap().unwrap().row_ids().unwrap();
            if step < saves_after {
                consumed.extend(rows);
                state = saved(&loader.state());
            }
        }
    }
    let mut loader = rank_of(&source, &table, &settings, 0, 1).await;
    loader.load_state(&state).unwrap();
    let rest = drain(&mut loader.start_epoch()).await;
    consumed.extend(rest.into_iter().flat_map(|(rows, _)| rows));
    assert_eq!(consumed, whole);
}
