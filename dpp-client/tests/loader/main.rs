//! The loader end to end: real files, real sockets, in one process. Batches are the same bytes wherever they are made.

#![expect(clippy::unwrap_used, reason = "a test")]

mod elastic;
mod faults;
mod filtered;
mod memory;
mod nearby;
mod proxy;
mod table;
mod worker;

use dpp_client::{
    BatchRows, Batches, Error, Loader, Place, Settings, Shuffle, SplitShuffle, State,
};
use dpp_proto::{Fault, Faulty as _};

use self::{
    table::{TestTable, plan},
    worker::TestWorker,
};

const ON_BOX: Place = Place::OnBox {
    threads: Some(2),
    keys: None,
};

/// Per batch its rows' positions and its fingerprint.
type Drained = Vec<(Vec<u64>, u64)>;

/// What is left of an epoch.
async fn drain(batches: &mut Batches) -> Drained {
    let mut seen = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        seen.push((batch.row_ids().unwrap(), batch.tensors.fingerprint()));
    }
    seen
}

async fn open(place: Place, table: &TestTable, settings: &Settings) -> Loader {
    Loader::open(place, table.source(), plan(), settings.clone())
        .await
        .unwrap()
}

fn settings(batch: u64) -> Settings {
    Settings {
        batch: BatchRows::PerRank(batch),
        split_rows: 50,
        ..Settings::default()
    }
}

fn shuffled(batch: u64) -> Settings {
    Settings {
        shuffle: Shuffle {
            splits: SplitShuffle::Epoch,
            rows: 16,
        },
        seed: 7,
        lanes: Some(3),
        ..settings(batch)
    }
}

#[tokio::test]
async fn every_row_arrives_once_with_its_values() {
    let table = TestTable::write(&[120, 30, 250]);
    let mut loader = open(ON_BOX, &table, &settings(64)).await;
    assert_eq!((loader.num_rows(), loader.num_steps()), (400, Some(7)));
    let mut batches = loader.start_epoch();
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        table.check_values(&batch.tensors, &batch.row_ids().unwrap());
        assert_eq!(
            batch.row_ids().unwrap(),
            (rows..rows + batch.tensors.rows as u64).collect::<Vec<_>>()
        );
        rows += batch.tensors.rows as u64;
    }
    assert_eq!(rows, 400);
    let stats = loader.stats();
    assert_eq!((stats.rows, stats.batches), (400, 7));
    assert!(stats.read_bytes > 0 && stats.first_batch_seconds.is_some());
}

#[tokio::test]
async fn shuffled_rows_carry_their_own_values() {
    let table = TestTable::write(&[120, 30, 250]);
    let mut loader = open(ON_BOX, &table, &shuffled(37)).await;
    let mut batches = loader.start_epoch();
    let mut rows = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        table.check_values(&batch.tensors, &batch.row_ids().unwrap());
        let origin = batch.origin().unwrap();
        assert!(
            origin
                .iter()
                .zip(batch.row_ids().unwrap())
                .all(|(origin, row)| table.row_at(origin) == row)
        );
        rows.extend(batch.row_ids().unwrap());
    }
    assert_ne!(rows, (0..400).collect::<Vec<_>>());
    rows.sort_unstable();
    assert_eq!(rows, (0..400).collect::<Vec<_>>());
}

#[tokio::test]
async fn workers_give_the_bytes_that_on_box_gives() {
    let table = TestTable::write(&[120, 30, 250]);
    for settings in [settings(64), shuffled(37)] {
        let expected = drain(&mut open(ON_BOX, &table, &settings).await.start_epoch()).await;
        let workers = [
            TestWorker::tcp().await,
            TestWorker::unix().await,
            TestWorker::tcp().await,
        ];
        for count in [1, 3] {
            let service = workers[..count]
                .iter()
                .map(TestWorker::address)
                .collect::<Vec<_>>()
                .join(",");
            let mut loader = open(Place::Service(service), &table, &settings).await;
            assert_eq!(drain(&mut loader.start_epoch()).await, expected);
        }
    }
}

#[tokio::test]
async fn a_name_stands_for_the_workers_at_its_addresses() {
    let table = TestTable::write(&[300]);
    let settings = shuffled(16);
    let expected = drain(&mut open(ON_BOX, &table, &settings).await.start_epoch()).await;
    let worker = TestWorker::tcp().await;
    // At the name's other address, if it has one, nobody answers.
    let service = format!(
        "dns://{}",
        worker.address().replace("127.0.0.1", "localhost")
    );
    let mut loader = open(Place::Service(service), &table, &settings).await;
    assert_eq!(drain(&mut loader.start_epoch()).await, expected);
}

#[tokio::test]
async fn a_name_that_stands_for_nothing_is_said() {
    let table = TestTable::write(&[10]);
    let open = |service: &'static str| {
        let settings = Settings {
            worker_timeout_seconds: 1,
            ..settings(1)
        };
        Loader::open(
            Place::Service(service.into()),
            table.source(),
            plan(),
            settings,
        )
    };
    let error = open("dns://workers.invalid:7401").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Unavailable);
    let said = error.to_string();
    assert!(
        said.contains("workers.invalid:7401 stands for no worker"),
        "{said}"
    );
    let error = open("dns://workers").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid);
    assert!(error.to_string().contains("dns://name:port"), "{error}");
}

#[tokio::test]
async fn a_lost_worker_changes_nothing() {
    let table = TestTable::write(&[700, 900, 800]);
    let settings = Settings {
        prefetch_batches: 1,
        ..shuffled(16)
    };
    let expected = drain(&mut open(ON_BOX, &table, &settings).await.start_epoch()).await;
    let mut workers = vec![TestWorker::unix().await, TestWorker::tcp().await];
    let service = workers
        .iter()
        .map(TestWorker::address)
        .collect::<Vec<_>>()
        .join(",");
    let mut loader = open(Place::Service(service), &table, &settings).await;
    let mut batches = loader.start_epoch();
    let mut seen = Vec::new();
    for _ in 0..10 {
        let batch = batches.next().await.unwrap().unwrap();
        seen.push((batch.row_ids().unwrap(), batch.tensors.fingerprint()));
    }
    workers.remove(0).kill().await;
    seen.extend(drain(&mut batches).await);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_rest_of_an_epoch_follows_every_state() {
    let table = TestTable::write(&[120, 30, 250]);
    for settings in [
        settings(64),
        shuffled(37),
        Settings {
            drop_last: true,
            ..shuffled(37)
        },
    ] {
        let expected = drain(&mut open(ON_BOX, &table, &settings).await.start_epoch()).await;
        let mut loader = open(ON_BOX, &table, &settings).await;
        let mut batches = loader.start_epoch();
        for step in 0..=expected.len() {
            let state = saved(&loader.state());
            let mut resumed = open(ON_BOX, &table, &settings).await;
            resumed.load_state(&state).unwrap();
            assert_eq!(saved(&resumed.state()), state);
            let rest = drain(&mut resumed.start_epoch()).await;
            if step < expected.len() {
                assert_eq!(rest, expected[step..]);
                batches.next().await.unwrap().unwrap();
            } else {
                assert_eq!((state.epoch, state.rows_consumed), (1, 0));
                assert!(batches.next().await.is_none());
            }
        }
    }
}

/// As it comes back from the checkpoint.
fn saved(state: &State) -> State {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

#[tokio::test]
async fn other_ranks_and_batches_go_on_in_the_same_order() {
    let table = TestTable::write(&[120, 30, 250]);
    let first = Settings {
        batch: BatchRows::Global(40),
        ..shuffled(0)
    };
    let mut loader = open(ON_BOX, &table, &first).await;
    let flat: Vec<u64> = drain(&mut loader.start_epoch())
        .await
        .into_iter()
        .flat_map(|(rows, _)| rows)
        .collect();
    loader.set_epoch(0);
    let mut batches = loader.start_epoch();
    let mut consumed: Vec<u64> = Vec::new();
    for _ in 0..3 {
        consumed.extend(batches.next().await.unwrap().unwrap().row_ids().unwrap());
    }
    let mut ranks = Vec::new();
    for rank in 0..5 {
        let mut resumed = open(
            ON_BOX,
            &table,
            &Settings {
                batch: BatchRows::PerRank(7),
                rank,
                world_size: 5,
                ..first.clone()
            },
        )
        .await;
        resumed.load_state(&loader.state()).unwrap();
        ranks.push(drain(&mut resumed.start_epoch()).await);
    }
    for step in 0..ranks[0].len() {
        consumed.extend(ranks.iter().flat_map(|rank| rank[step].0.clone()));
    }
    assert_eq!(consumed, flat);
}

#[tokio::test]
async fn a_state_of_another_run_says_what_differs() {
    let table = TestTable::write(&[120, 30]);
    let state = open(ON_BOX, &table, &settings(8)).await.state();
    let refusal = async |table: &TestTable, settings: Settings| {
        open(ON_BOX, table, &settings)
            .await
            .load_state(&state)
            .unwrap_err()
            .to_string()
    };
    let message = refusal(
        &table,
        Settings {
            seed: 5,
            split_rows: 51,
            ..settings(8)
        },
    )
    .await;
    assert_eq!(
        message,
        "this state is of another run: seed was 0, is 5, split_rows was 50, is 51"
    );
    let message = refusal(&TestTable::write(&[120, 31]), settings(8)).await;
    assert!(message.contains("its table has snapshot"), "{message}");
    // Geometry is the state's own.
    let mut other = open(
        ON_BOX,
        &table,
        &Settings {
            lanes: Some(2),
            ..settings(10)
        },
    )
    .await;
    other.load_state(&state).unwrap();
    assert_eq!(other.state(), state);
}

#[tokio::test]
async fn settings_that_can_not_be_meant_are_named() {
    let table = TestTable::write(&[10]);
    let refuse = async |settings: Settings| {
        let error = Loader::open(ON_BOX, table.source(), plan(), settings)
            .await
            .unwrap_err();
        assert_eq!(error.fault(), Fault::Invalid);
        error.to_string()
    };
    assert!(refuse(settings(0)).await.contains("batch_size"));
    assert!(
        refuse(Settings {
            rank: 2,
            world_size: 2,
            ..settings(1)
        })
        .await
        .contains("rank 2")
    );
    assert!(
        refuse(Settings {
            round_rows: Some(10),
            lanes: Some(3),
            ..settings(1)
        })
        .await
        .contains("lanes (3) must divide")
    );
    let service = |service: &str| {
        Loader::open(
            Place::Service(service.into()),
            table.source(),
            plan(),
            settings(1),
        )
    };
    let message = service("nowhere").await.unwrap_err().to_string();
    assert!(message.contains("\"nowhere\""), "{message}");
}

#[tokio::test]
async fn secrets_do_not_travel_to_workers() {
    let table = TestTable::write(&[10]);
    let mut source = table.source();
    source.storage.push(dpp_proto::v1::StorageOption {
        key: "aws_secret_access_key".into(),
        value: "hunter2".into(),
    });
    let service = Place::Service("127.0.0.1:9".into());
    let error = Loader::open(service, source, plan(), settings(1))
        .await
        .unwrap_err();
    let message = error.to_string();
    assert_eq!(error.fault(), Fault::Invalid);
    assert!(
        message.contains("aws_secret_access_key") && !message.contains("hunter2"),
        "{message}"
    );
}

#[tokio::test]
async fn every_second_is_somebodys_or_nobodys() {
    let table = TestTable::write(&[700, 300]);
    let worker = TestWorker::tcp().await;
    for place in [ON_BOX, Place::Service(worker.address())] {
        let mut loader = open(place, &table, &settings(16)).await;
        drain(&mut loader.start_epoch()).await;
        let stats = loader.stats();
        let causes = stats.stall_by_cause;
        assert!(stats.stall_seconds > 0.0);
        assert!(
            (causes.sum() - stats.stall_seconds).abs() < 1e-6,
            "{stats:?}"
        );
        let accounted = causes.sum() + causes.nobody;
        assert!(
            (accounted - stats.elapsed_seconds).abs() < 1e-6,
            "{stats:?}"
        );
        assert!(stats.summary().starts_with("1000 rows in "));
    }
}

#[tokio::test]
async fn a_worker_that_nobody_runs_is_named_in_time() {
    let table = TestTable::write(&[10]);
    let settings = Settings {
        worker_timeout_seconds: 1,
        ..settings(1)
    };
    let error = Loader::open(
        Place::Service("127.0.0.1:9".into()),
        table.source(),
        plan(),
        settings,
    )
    .await
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoWorker {
                waited_seconds: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}

#[tokio::test]
async fn a_fleet_that_nobody_runs_is_named() {
    let table = TestTable::write(&[10]);
    let settings = Settings {
        worker_timeout_seconds: 1,
        ..settings(1)
    };
    let place = Place::Service("fleet://127.0.0.1:9".into());
    let error = Loader::open(place, table.source(), plan(), settings)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the fleet does not answer: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_listener_that_never_answers_is_named_in_time() {
    let table = TestTable::write(&[10]);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let settings = Settings {
        worker_timeout_seconds: 1,
        ..settings(1)
    };
    let started = std::time::Instant::now();
    let error = Loader::open(
        Place::Service(address.clone()),
        table.source(),
        plan(),
        settings,
    )
    .await
    .unwrap_err();
    assert!(started.elapsed().as_secs() < 8, "{:?}", started.elapsed());
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn a_newer_pass_ends_the_older_one() {
    let table = TestTable::write(&[100]);
    let mut loader = open(ON_BOX, &table, &settings(10)).await;
    let mut first = loader.start_epoch();
    first.next().await.unwrap().unwrap();
    let mut second = loader.start_epoch();
    second.next().await.unwrap().unwrap();
    assert_eq!(
        (loader.state().epoch, loader.state().rows_consumed),
        (1, 10)
    );
    assert!(first.next().await.unwrap().is_err());
    assert!(first.next().await.is_none());
    assert_eq!(
        (loader.state().epoch, loader.state().rows_consumed),
        (1, 10)
    );
}
