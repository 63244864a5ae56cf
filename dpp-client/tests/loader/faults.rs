//! Workers die, come back, fall silent and lose connections; the batches stay the same bytes.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use dpp_client::{BatchRows, Loader, Place, Settings, Shuffle, SplitShuffle, Stats};
use dpp_proto::shuffle::mix;
use tokio::time::timeout;

use crate::{
    ON_BOX, drain,
    proxy::Proxy,
    table::{TestTable, wide_plan},
    worker::TestWorker,
};

const FAULTS: u64 = 200;
const SILENCE: Duration = Duration::from_millis(300);

/// A worker behind a proxy that outlives it.
struct Victim {
    worker: TestWorker,
    proxy: Arc<Proxy>,
}

impl Victim {
    async fn start() -> Victim {
        let worker = TestWorker::tcp().await;
        let proxy = Arc::new(Proxy::before(worker.address()).await);
        Victim { worker, proxy }
    }

    /// What `kind` says happens to it; it is well again at once, or after longer than clients wait.
    async fn suffer(&mut self, kind: u64) {
        match kind {
            0..4 => self.proxy.cut(),
            4..7 => {
                let dead = std::mem::replace(&mut self.worker, TestWorker::tcp().await);
                dead.kill().await;
                self.proxy.cut();
                self.proxy.lead_to(self.worker.address());
            }
            _ => {
                self.proxy.silence(true);
                let proxy = self.proxy.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(SILENCE * 2).await; // the fault's length, not a wait for something
                    proxy.silence(false);
                });
            }
        }
    }
}

/// Frames of 256 rows, several a read, and so little memory that reads are under way most of the time.
fn settings() -> Settings {
    Settings {
        batch: BatchRows::Global(30),
        lanes: Some(2),
        split_rows: 1_000,
        shuffle: Shuffle {
            splits: SplitShuffle::Epoch,
            rows: 64,
        },
        prefetch_batches: 1,
        silence_timeout_seconds: SILENCE.as_secs_f64(),
        max_memory_bytes: Some(14 << 20),
        ..Settings::default()
    }
}

#[tokio::test]
async fn two_hundred_faults_change_nothing() {
    let table = TestTable::write_in_groups(&[2_100, 1_500, 2_460], 1_500);
    let plan = wide_plan(2_000);
    let mut calm = Loader::open(ON_BOX, table.source(), plan.clone(), settings())
        .await
        .unwrap();
    let expected = drain(&mut calm.start_epoch()).await;
    let mut victims = [
        Victim::start().await,
        Victim::start().await,
        Victim::start().await,
    ];
    let service = victims
        .iter()
        .map(|victim| victim.proxy.address())
        .collect::<Vec<_>>()
        .join(",");
    let mut loader = Loader::open(Place::Service(service), table.source(), plan, settings())
        .await
        .unwrap();
    let mut batches = loader.start_epoch();
    assert!(expected.len() as u64 > FAULTS);
    for (step, (rows, fingerprint)) in expected.iter().enumerate() {
        let random = mix(&[11, step as u64]);
        if (step as u64) < FAULTS {
            let victim = &mut victims[(random % 3) as usize];
            victim.suffer(random / 3 % 8).await;
        }
        let batch = timeout(Duration::from_secs(60), batches.next()).await;
        let batch = batch.expect("somebody is there again").unwrap().unwrap();
        assert_eq!(
            (&batch.row_ids().unwrap(), batch.tensors.fingerprint()),
            (rows, *fingerprint),
            "step {step}"
        );
    }
    assert!(batches.next().await.is_none());
}

/// All workers go, and others appear where they were.
#[tokio::test]
async fn workers_that_return_are_used() {
    let table = TestTable::write(&[700]);
    let mut victim = Victim::start().await;
    let settings = Settings {
        max_memory_bytes: None,
        split_rows: 50,
        ..settings()
    };
    let service = Place::Service(victim.proxy.address());
    let plan = wide_plan(10);
    let mut loader = Loader::open(service, table.source(), plan, settings)
        .await
        .unwrap();
    let mut batches = loader.start_epoch();
    let mut rows = batches.next().await.unwrap().unwrap().tensors.rows;
    victim.suffer(4).await;
    while let Some(batch) = timeout(Duration::from_secs(60), batches.next())
        .await
        .unwrap()
    {
        rows += batch.unwrap().tensors.rows;
    }
    assert_eq!(rows, 700);
}

/// A table, two workers after a calm epoch, the one that was asked more first, a loader on them and one on-box.
async fn two_workers() -> (TestTable, [Victim; 2], Loader, Loader) {
    let table = TestTable::write_in_groups(&[2_100, 1_500, 2_460], 1_500);
    let settings = Settings {
        silence_timeout_seconds: 60.0,
        ..settings()
    };
    let plan = wide_plan(2_000);
    let mut calm = Loader::open(ON_BOX, table.source(), plan.clone(), settings.clone())
        .await
        .unwrap();
    let mut victims = [Victim::start().await, Victim::start().await];
    let service = victims
        .iter()
        .map(|victim| victim.proxy.address())
        .collect::<Vec<_>>()
        .join(",");
    let mut loader = Loader::open(Place::Service(service), table.source(), plan, settings)
        .await
        .unwrap();
    assert_eq!(
        drain(&mut loader.start_epoch()).await,
        drain(&mut calm.start_epoch()).await
    );
    // Which blocks are whose depends on ports.
    victims.sort_by_key(|victim| Reverse(victim.proxy.answered_bytes()));
    (table, victims, loader, calm)
}

/// A worker freezes and stays so: whatever it was asked arrives from elsewhere, long before its silence is a failure.
#[tokio::test]
async fn a_frozen_worker_holds_up_nobody_for_long() {
    let (_table, [busiest, _other], loader, calm) = two_workers().await;
    busiest.proxy.silence(true);
    let stats = pass_quickly(loader, calm, |_| ()).await;
    assert!(stats.hedges_won > 0, "{stats:?}");
}

/// The worker that took over freezes too, while the first is still being asked whether it is well.
#[tokio::test]
async fn a_worker_that_is_well_again_is_asked_for_what_others_owe() {
    let (_table, [first, second], loader, calm) = two_workers().await;
    first.proxy.silence(true);
    let mut has_swapped = false;
    pass_quickly(loader, calm, |stats| {
        if !has_swapped && stats.hedges_won > 0 {
            has_swapped = true;
            second.proxy.silence(true);
            let proxy = first.proxy.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await; // the fault's length
                proxy.silence(false);
            });
        }
    })
    .await;
    assert!(has_swapped, "the first worker was asked nothing");
}

/// An epoch of the batches that `calm` makes too, none of which takes long; `between` them something happens.
async fn pass_quickly(
    mut loader: Loader,
    mut calm: Loader,
    mut between: impl FnMut(&Stats),
) -> Stats {
    let expected = drain(&mut calm.start_epoch()).await;
    let mut batches = loader.start_epoch();
    for (step, (rows, fingerprint)) in expected.iter().enumerate() {
        let batch = timeout(Duration::from_secs(10), batches.next()).await;
        let batch = batch.unwrap_or_else(|_| panic!("step {step} waits: {:?}", loader.stats()));
        let batch = batch.unwrap().unwrap();
        assert_eq!(
            (&batch.row_ids().unwrap(), batch.tensors.fingerprint()),
            (rows, *fingerprint),
            "step {step}"
        );
        between(&loader.stats());
    }
    assert!(batches.next().await.is_none());
    loader.stats()
}
