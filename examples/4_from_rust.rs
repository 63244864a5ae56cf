//! The loader from Rust: a table and a plan become a stream of batches, and the state is saved between them.
//!
//! ```text
//! dpp table synth /tmp/clicks --rows 100000
//! cargo run --release -p dpp-examples --example 4_from_rust -- /tmp/clicks
//! cargo run --release -p dpp-examples --example 4_from_rust -- /tmp/clicks fleet://127.0.0.1:7400
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{env, error::Error};

use dpp_client::{BatchRows, Loader, Place, Settings};
use dpp_ops::Plan;
use dpp_proto::v1::TableSource;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments
        .next()
        .ok_or("give the URL of a table, and a service if you like")?;
    let place = match arguments.next() {
        Some(service) => Place::Service(service),
        None => Place::OnBox {
            threads: None,
            keys: None,
        },
    };
    let table = TableSource {
        url,
        ..TableSource::default()
    };
    let settings = Settings {
        batch: BatchRows::PerRank(4096),
        ..Settings::default()
    };
    let mut loader = Loader::open(place, table, plan()?.to_proto(), settings).await?;
    let steps = loader.num_steps().expect("no row filter");
    println!("{} rows in {steps} steps", loader.num_rows());

    let mut batches = loader.start_epoch();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        if batch.step == 0 {
            let tensors = &batch.tensors;
            println!(
                "a batch: dense [{}, {}], {} ids",
                tensors.rows,
                tensors.layout.dense.len(),
                tensors.sparse.values.len() / 8
            );
            println!("saved with the model: {:?}", loader.state());
        }
    }
    println!("{:?}", loader.stats());
    Ok(())
}

/// What `dpp table synth` writes: dense features `f_*` and ids `id_*`.
fn plan() -> Result<Plan, dpp_ops::Error> {
    Plan::from_json(
        r#"{
            "nodes": [
                {"pattern": "f_*"}, {"op": "fill_null", "inputs": [0], "value": 0.0}, {"op": "log1p", "inputs": [1]},
                {"pattern": "id_*"}, {"op": "sigrid_hash", "inputs": [3], "salt": 0, "max_value": 100000},
                {"feature": "label"}
            ],
            "dense": [{"name": "f_*", "node": 2}],
            "sparse": [{"name": "id_*", "node": 4}],
            "labels": [{"name": "label", "node": 5}]
        }"#,
    )
}
