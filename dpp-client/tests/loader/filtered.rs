//! Row filters: whoever reads, however many, wherever, the global batches of survivors are the same, and equal the plain
//! reference's; and whatever is saved is gone on from.

use std::{
    collections::HashSet,
    process::Command,
    sync::{Arc, Condvar, Mutex},
};

use dpp_batch::ExtraData;
use dpp_client::{
    Agreement, Batch, BatchRows, Error, Loader, OnUneven, Settings, Shuffle, SplitShuffle, State,
    source::{Embedded, Remote, Source, WorkerSettings},
};
use dpp_proto::{Fault, Faulty as _, v1};
use tokio::runtime::Handle;

use crate::{
    saved,
    table::{TestTable, plan_where},
    worker::TestWorker,
};

/// Steps of all ranks, rank by rank: the rows of each, `None` where one is padding; then the state after it.
type Steps = Vec<(Vec<Option<u64>>, State)>;

/// Keeps rows 40 to 99, none of the 30 that follow, and of all others those whose score is not null: two thirds.
const WHERE: &str = r#"{"any_of": [
    {"all_of": [{"column": "unused", "operator": ">=", "value": 40}, {"column": "unused", "operator": "<", "value": 100}]},
    {"all_of": [{"not": {"is_null": "score"}}, {"any_of": [
        {"column": "unused", "operator": "<", "value": 100}, {"column": "unused", "operator": ">=", "value": 130}]}]}
]}"#;

fn is_kept(row: u64) -> bool {
    (40..100).contains(&row) || (!row.is_multiple_of(3) && !(100..130).contains(&row))
}

const FILES: [u64; 3] = [120, 31, 250];

fn settings(on_uneven: OnUneven, shuffle_rows: u64) -> Settings {
    Settings {
        batch: BatchRows::Global(24),
        lanes: Some(4),
        round_rows: Some(24),
        split_rows: 50,
        shuffle: Shuffle {
            splits: match shuffle_rows {
                0 => SplitShuffle::Off,
                _ => SplitShuffle::Epoch,
            },
            rows: shuffle_rows,
        },
        seed: 5,
        on_uneven,
        ..Settings::default()
    }
}

/// Ranks that meet in this process, each on a thread of its own.
#[derive(Debug)]
struct Meeting {
    ranks: usize,
    /// Numbers of the meeting under way, who is there, and what was decided last.
    state: Mutex<(Vec<i64>, usize, Vec<i64>, u64)>,
    changed: Condvar,
}

impl Meeting {
    fn of(ranks: u64) -> Arc<Meeting> {
        Arc::new(Meeting {
            ranks: ranks as usize,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }
}

impl Agreement for Meeting {
    fn greatest(&self, numbers: Vec<i64>) -> Result<Vec<i64>, Error> {
        let mut state = self.state.lock().unwrap();
        let meeting = state.3;
        let so_far = std::mem::take(&mut state.0);
        state.0 = match so_far.is_empty() {
            true => numbers,
            false => so_far
                .into_iter()
                .zip(numbers)
                .map(|(a, b)| a.max(b))
                .collect(),
        };
        state.1 += 1;
        if state.1 == self.ranks {
            *state = (Vec::new(), 0, std::mem::take(&mut state.0), meeting + 1);
            self.changed.notify_all();
            return Ok(state.2.clone());
        }
        let wait = std::time::Duration::from_secs(60);
        let waited = self
            .changed
            .wait_timeout_while(state, wait, |state| state.3 == meeting);
        let (state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "a rank did not come");
        Ok(state.2.clone())
    }
}

/// Where and how ranks read.
#[derive(Clone)]
struct Reading<'a> {
    table: &'a TestTable,
    source: Arc<dyn Source>,
    settings: Settings,
    /// Whether ranks agree; else each reads every lane.
    agree: bool,
}

impl Reading<'_> {
    fn loader(&self, rank: u64, world_size: u64, meeting: &Arc<Meeting>) -> Loader {
        let settings = Settings {
            rank,
            world_size,
            ..self.settings.clone()
        };
        let plan = plan_where(WHERE);
        let opened = Loader::with_source(self.source.clone(), self.table.source(), plan, settings);
        let loader = Handle::current().block_on(opened).unwrap();
        match self.agree && world_size > 1 {
            true => loader.with_agreement(meeting.clone()),
            false => loader,
        }
    }

    /// What `work` makes of every rank's loader, all at a time.
    fn each_rank<T: Send>(&self, world_size: u64, work: impl Fn(Loader) -> T + Sync) -> Vec<T> {
        let (meeting, runtime) = (Meeting::of(world_size), Handle::current());
        let rank = |rank: u64| {
            let _entered = runtime.enter();
            work(self.loader(rank, world_size, &meeting))
        };
        let rank = &rank;
        std::thread::scope(|scope| {
            let ranks: Vec<_> = (0..world_size)
                .map(|it| scope.spawn(move || rank(it)))
                .collect();
            ranks.into_iter().map(|it| it.join().unwrap()).collect()
        })
    }

    /// The steps of every rank from `state` on, at most `most`.
    fn ranks(&self, world_size: u64, state: Option<&State>, most: usize) -> Vec<Steps> {
        self.each_rank(world_size, |mut loader| {
            if let Some(state) = state {
                loader.load_state(state).unwrap();
            }
            let mut batches = loader.start_epoch();
            let mut steps = Vec::new();
            while steps.len() < most
                && let Some(batch) = Handle::current().block_on(batches.next())
            {
                let batch = batch.unwrap();
                steps.push((self.rows(&batch), saved(&loader.state())));
            }
            steps
        })
    }

    /// The rows of a batch, each checked for its values.
    fn rows(&self, batch: &Batch) -> Vec<Option<u64>> {
        let ExtraData::Fixed(ids) = &batch.tensors.extras[0].data else {
            panic!("row ids are fixed")
        };
        let ids = ids.typed_data::<i64>();
        let is_row = |row: usize| batch.valid.as_ref().is_none_or(|valid| valid[row] == 1);
        let rows: Vec<_> = (0..ids.len())
            .map(|row| is_row(row).then(|| ids[row].cast_unsigned()))
            .collect();
        if rows.iter().all(Option::is_some) {
            let rows: Vec<u64> = rows.iter().flatten().copied().collect();
            self.table.check_values(&batch.tensors, &rows);
        } else {
            let padded = rows.iter().filter(|row| row.is_none()).count();
            let nulls = batch.tensors.extras[0].validity.as_ref().unwrap();
            assert_eq!(nulls.iter().filter(|&&valid| valid == 0).count(), padded);
        }
        rows
    }
}

/// Step by step the rows of all ranks, and the state they agree on.
fn global(ranks: Vec<Steps>) -> Steps {
    let mut steps = ranks[0].clone();
    for rank in &ranks[1..] {
        assert_eq!(rank.len(), steps.len(), "every rank takes as many steps");
        for ((rows, state), (more, theirs)) in steps.iter_mut().zip(rank) {
            assert_eq!(state, theirs, "any rank's state is the global state");
            rows.extend(more);
        }
    }
    steps
}

fn rows_of(steps: &Steps) -> Vec<Vec<Option<u64>>> {
    steps.iter().map(|(rows, _)| rows.clone()).collect()
}

/// The flat order as the plain Python twin says it.
fn reference(settings: &Settings) -> Vec<Option<u64>> {
    let kept: Vec<u64> = (0..FILES.iter().sum())
        .filter(|&row| is_kept(row))
        .collect();
    let groups: Vec<u64> = FILES
        .iter()
        .flat_map(|&rows| {
            (0..rows)
                .step_by(100)
                .map(move |first| (rows - first).min(100))
        })
        .collect();
    let shuffle = if settings.shuffle.rows == 0 { 0 } else { -1 };
    let code = format!(
        "import json\nfrom order_reference import Order\nfrom filtered_order_reference import Filtered\n\
         order = Order(tuple({groups:?}), 24, 4, 50, 5, {shuffle}, {})\n\
         print(json.dumps(Filtered(order, set({kept:?}).__contains__, {:?}).flat(0)))",
        settings.shuffle.rows,
        format!("{:?}", settings.on_uneven).to_lowercase(),
    );
    let output = Command::new("python3")
        .args(["-B", "-c", &code])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn on_box() -> Arc<dyn Source> {
    Arc::new(Embedded::start(Some(2), None).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_global_batches_of_survivors_are_the_same_whoever_reads() {
    let table = TestTable::write(&FILES);
    let workers = [
        TestWorker::tcp().await,
        TestWorker::tcp().await,
        TestWorker::tcp().await,
    ];
    let remote = |count: usize| -> Arc<dyn Source> {
        let addresses: Vec<_> = workers[..count].iter().map(TestWorker::address).collect();
        Arc::new(Remote::new(&addresses.join(","), WorkerSettings::default()).unwrap())
    };
    let sources = [on_box(), remote(1), remote(3)];
    tokio::task::block_in_place(|| {
        for (on_uneven, drop_last, shuffle_rows) in [
            (OnUneven::Drop, false, 0),
            (OnUneven::Drop, true, 16),
            (OnUneven::Pad, false, 16),
            (OnUneven::Pad, true, 0),
        ] {
            let settings = Settings {
                drop_last,
                ..settings(on_uneven, shuffle_rows)
            };
            let mut expected: Vec<Vec<_>> = reference(&settings)
                .chunks(24)
                .map(<[Option<u64>]>::to_vec)
                .collect();
            expected.retain(|step| !drop_last || step.len() == 24);
            assert!(expected.len() > 5);
            for world_size in [1, 2, 3, 4, 8] {
                let readings = sources.iter().map(|source| (source, true));
                for (source, agree) in readings.chain([(&sources[0], false)]) {
                    let reading = Reading {
                        table: &table,
                        source: source.clone(),
                        settings: settings.clone(),
                        agree,
                    };
                    let steps = global(reading.ranks(world_size, None, usize::MAX));
                    let case = format!("{world_size} ranks, {agree}, {settings:?}");
                    assert_eq!(rows_of(&steps), expected, "{case}");
                }
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_gone_on_from_by_other_ranks_and_batches() {
    let table = TestTable::write(&FILES);
    tokio::task::block_in_place(|| {
        for (on_uneven, shuffle_rows) in [(OnUneven::Drop, 16), (OnUneven::Pad, 0)] {
            let mut reading = Reading {
                table: &table,
                source: on_box(),
                settings: settings(on_uneven, shuffle_rows),
                agree: true,
            };
            let flat = reference(&reading.settings);
            let whole = global(reading.ranks(2, None, usize::MAX));
            assert_eq!(rows_of(&whole).concat(), flat);
            let last = &whole.last().unwrap().1;
            assert_eq!((last.epoch, last.rows_consumed), (1, 0));
            for (step, (_, state)) in whole.iter().enumerate() {
                if state.epoch == 1 {
                    break;
                }
                let consumed = 24 * (step + 1);
                assert_eq!(state.rows_consumed as usize, consumed);
                // As many ranks again, others that share lanes, and batches that end within rounds.
                for (ranks, batch) in [(2, 24), (4, 24), (3, 7), (1, 50)] {
                    reading.settings.batch = BatchRows::Global(batch);
                    let first = global(reading.ranks(ranks, Some(state), 2));
                    let mut seen = rows_of(&first).concat();
                    let state = &first.last().unwrap().1;
                    if state.epoch == 0 {
                        reading.settings.batch = BatchRows::Global(24);
                        let rest = global(reading.ranks(2, Some(state), usize::MAX));
                        seen.extend(rows_of(&rest).concat());
                    }
                    assert_eq!(
                        seen,
                        flat[consumed..],
                        "step {step}, {ranks} ranks of {batch}"
                    );
                }
                reading.settings.batch = BatchRows::Global(24);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn own_lanes_are_all_that_a_rank_reads() {
    let table = TestTable::write(&FILES);
    tokio::task::block_in_place(|| {
        let read_rows = |agree: bool| {
            let reading = Reading {
                table: &table,
                source: on_box(),
                settings: settings(OnUneven::Pad, 0),
                agree,
            };
            let bytes = reading.each_rank(2, |mut loader| {
                let mut batches = loader.start_epoch();
                while let Some(batch) = Handle::current().block_on(batches.next()) {
                    batch.unwrap();
                }
                loader.stats().wanted_bytes
            });
            bytes.iter().sum::<u64>()
        };
        let (own, all) = (read_rows(true), read_rows(false));
        assert!(own * 3 < all * 2, "{own} bytes of own lanes, {all} of all");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn unlike_ends_can_be_an_error() {
    let table = TestTable::write(&FILES);
    tokio::task::block_in_place(|| {
        for agree in [true, false] {
            let reading = Reading {
                table: &table,
                source: on_box(),
                settings: settings(OnUneven::Error, 0),
                agree,
            };
            let errors = reading.each_rank(2, |mut loader| {
                let mut batches = loader.start_epoch();
                loop {
                    let batch = Handle::current().block_on(batches.next());
                    if let Err(error) = batch.unwrap() {
                        return (loader.state().rows_consumed, error.to_string());
                    }
                }
            });
            assert_eq!(errors[0], errors[1]);
            let dropped = reference(&settings(OnUneven::Drop, 0)).len() as u64;
            assert_eq!(
                errors[0].0,
                dropped / 24 * 24,
                "what was whole was delivered"
            );
            assert!(errors[0].1.contains("unevenly"), "{errors:?}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_keeps_nothing_gives_no_steps_and_the_next_epoch() {
    let table = TestTable::write(&[120]);
    let plan = plan_where(r#"{"column": "unused", "operator": "<", "value": 0}"#);
    let mut loader =
        Loader::with_source(on_box(), table.source(), plan, settings(OnUneven::Pad, 0))
            .await
            .unwrap();
    assert_eq!(loader.num_steps(), None);
    for epoch in 1..3 {
        assert!(loader.start_epoch().next().await.is_none());
        assert_eq!(loader.state().epoch, epoch);
    }
}

#[tokio::test]
async fn a_state_of_another_filter_says_so() {
    let table = TestTable::write(&[120]);
    let open = async |plan: v1::Plan| {
        let settings = settings(OnUneven::Pad, 0);
        Loader::with_source(on_box(), table.source(), plan, settings)
            .await
            .unwrap()
    };
    let filtered = || plan_where(r#"{"column": "unused", "operator": "<", "value": 50}"#);
    let (mut plain, mut some) = (open(crate::plan()).await, open(filtered()).await);
    let message = plain.load_state(&some.state()).unwrap_err().to_string();
    assert!(
        message.contains("row filter (where) was ") && message.ends_with("is none"),
        "{message}"
    );
    let message = some.load_state(&plain.state()).unwrap_err().to_string();
    assert!(
        message.contains("row filter (where) was none, is "),
        "{message}"
    );
    let mut other = open(plan_where(WHERE)).await;
    assert!(other.load_state(&some.state()).is_err());
    let mut lacking = some.state();
    lacking.lanes.as_mut().unwrap().pop();
    let message = some.load_state(&lacking).unwrap_err().to_string();
    assert!(message.contains("3 of its 4 lanes"), "{message}");
    let batch = some.start_epoch().next().await.unwrap().unwrap();
    let error = batch.row_ids().unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid);
    assert!(error.to_string().contains("row_id()"), "{error}");
}

/// Random small tables and memory: the least that works holds, and batches are the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_least_memory_gives_the_same_batches() {
    let table = TestTable::write(&FILES);
    tokio::task::block_in_place(|| {
        let mut reading = Reading {
            table: &table,
            source: on_box(),
            settings: settings(OnUneven::Drop, 16),
            agree: true,
        };
        let expected = rows_of(&global(reading.ranks(2, None, usize::MAX)));
        let kept: HashSet<u64> = expected.concat().into_iter().flatten().collect();
        assert!(kept.iter().all(|&row| is_kept(row)));
        let mut tiny = Settings {
            max_memory_bytes: Some(1),
            rank: 0,
            world_size: 2,
            ..reading.settings.clone()
        };
        let opened = Loader::with_source(
            reading.source.clone(),
            table.source(),
            plan_where(WHERE),
            tiny.clone(),
        );
        let error = Handle::current().block_on(opened).unwrap_err().to_string();
        let (before, _) = error.split_once(" is the least that works").unwrap();
        tiny.max_memory_bytes = before.split(' ').next_back().unwrap().parse().ok();
        reading.settings.max_memory_bytes = tiny.max_memory_bytes;
        assert_eq!(
            rows_of(&global(reading.ranks(2, None, usize::MAX))),
            expected
        );
    });
}
