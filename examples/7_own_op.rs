//! An op of your own, in workers and loaders of your own: nothing is sent, both are built with it.
//!
//! ```text
//! dpp table synth /tmp/clicks --rows 100000
//! cargo run --release -p dpp-examples --example 7_own_op -- load /tmp/clicks                     # on-box
//! cargo run --release -p dpp-examples --example 7_own_op -- serve --listen 127.0.0.1:7401        # your worker
//! cargo run --release -p dpp-examples --example 7_own_op -- load /tmp/clicks 127.0.0.1:7401      # through it
//! ```
//!
//! Python names such an op by `dpp.op("soft_sign", dpp.col("f_0"), scale=2.0)`, with `service=` of workers that know it.
//! A worker that does not know it refuses the job when it is opened.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{env, error::Error, process::ExitCode, sync::Arc};

use dpp_client::{
    BatchRows, Loader, Place, Settings,
    source::{Embedded, Source},
};
use dpp_ops::{
    Column, Kind, Plan, Registry,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};
use dpp_proto::v1::TableSource;
use dpp_worker::{Engine, command};

/// `soft_sign(scale=1)`: x / (scale + |x|). dense `[rows] → [rows]`; an int becomes dense first.
///
/// - Nulls stay null. NaN stays NaN. Empty in, empty out.
/// - Errors: scale not finite, or not above 0.
#[derive(Debug)]
struct SoftSign {
    scale: f32,
}

const SOFT_SIGN: Entry = Entry {
    name: "soft_sign",
    parameters: &["scale"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, dpp_ops::Error> {
    let scale = reader.finite_float_or("scale", 1.0)?;
    if scale <= 0.0 {
        return Err(reader.bad("scale", format!("{scale} is not above 0")));
    }
    Ok(Arc::new(SoftSign { scale }))
}

impl Op for SoftSign {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Dense])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, dpp_ops::Error> {
        let values = only_column(SOFT_SIGN.name, inputs)?.dense()?;
        Ok(Column::Dense(values.unary(|x| x / (self.scale + x.abs()))))
    }
}

fn registry() -> Result<Registry, dpp_ops::Error> {
    Registry::standard().with(SOFT_SIGN)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        // What follows `serve` are the options of any worker.
        (Some("serve"), _) => Ok(command::main(env::args_os().skip(1), registry()?).await),
        (Some("load"), Some(url)) => {
            load(url, arguments.next()).await?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("give `serve` and options of a worker, or `load TABLE [SERVICE]`".into()),
    }
}

async fn load(url: String, service: Option<String>) -> Result<(), Box<dyn Error>> {
    let table = TableSource {
        url,
        ..TableSource::default()
    };
    let settings = Settings {
        batch: BatchRows::PerRank(4096),
        ..Settings::default()
    };
    let plan = Plan::from_json(PLAN)?.to_proto();
    let mut loader = match service {
        // A client that reads from workers needs no ops at all.
        Some(service) => Loader::open(Place::Service(service), table, plan, settings).await?,
        None => {
            let engine = Engine::start(None)?.with_registry(registry()?);
            let source: Arc<dyn Source> = Arc::new(Embedded::of(engine));
            Loader::with_source(source, table, plan, settings).await?
        }
    };
    let mut batches = loader.start_epoch();
    let (mut rows, mut prints) = (0, 0_u64);
    while let Some(batch) = batches.next().await {
        let tensors = batch?.tensors;
        rows += tensors.rows;
        prints = prints.rotate_left(1) ^ tensors.fingerprint();
    }
    println!("{rows} rows, checksum {prints:016x}");
    Ok(())
}

/// Plans name the op as any other.
const PLAN: &str = r#"{
    "nodes": [{"pattern": "f_*"}, {"op": "soft_sign", "inputs": [0], "scale": 2.0}],
    "dense": [{"name": "f_*", "node": 1}]
}"#;
