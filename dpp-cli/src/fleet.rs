//! `dpp fleet`: look at a running fleet, send workers away, and say who may call.

mod table;
mod token;

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    time::Duration,
};

use clap::{Args, Subcommand};
use dpp_fleet::client::Client;
use dpp_proto::access::Files;

use self::token::{NewKey, NewToken};
use crate::{error::Error, output};

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Task {
    /// Runs, workers, how many are required and why; again every two seconds on a terminal
    #[command(after_help = TOP_EXAMPLES)]
    Top(Top),
    /// Ask workers to finish their reads and leave
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(Drain),
    /// Make a pair of keys: the private one signs tokens, services know the public one
    #[command(after_help = TOKEN_EXAMPLES)]
    Key(NewKey),
    /// Print a token, which says what its bearer may read and until when
    #[command(after_help = TOKEN_EXAMPLES)]
    Token(NewToken),
}

#[derive(Args)]
pub(crate) struct Fleet {
    /// The fleet, as fleet://host:port
    #[arg(
        long,
        value_name = "URL",
        env = "DPP_FLEET",
        default_value = "fleet://127.0.0.1:7400"
    )]
    fleet: String,

    /// One JSON line instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Top {
    #[command(flatten)]
    fleet: Fleet,

    /// Once, also on a terminal
    #[arg(long)]
    once: bool,
}

#[derive(Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    fleet: Fleet,

    /// Ids or addresses, as `dpp fleet top` shows them
    #[arg(required = true, value_name = "WORKER")]
    workers: Vec<String>,
}

impl Fleet {
    /// Called as the environment's certificates say.
    fn client(&self) -> Result<Client, Error> {
        let caller = Files::from_environment().caller();
        let caller = caller.map_err(dpp_fleet::Error::from)?;
        Ok(Client::new(&self.fleet, &caller)?)
    }
}

impl Task {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Task::Top(top) => crate::runtime()?.block_on(show(top)),
            Task::Drain(asked) => crate::runtime()?.block_on(drain(asked)),
            Task::Key(key) => key.run(),
            Task::Token(token) => token.run(),
        }
    }
}

async fn show(top: Top) -> Result<(), Error> {
    let mut client = top.fleet.client()?;
    let again = stdout().is_terminal() && !top.once && !top.fleet.json;
    loop {
        let status = client.status().await?;
        if top.fleet.json {
            return output::json(&status);
        }
        let table = table::of(&status);
        if !again {
            return output::text(&table);
        }
        // Home, and whatever was there before is erased.
        output::text(&format!("\x1b[H\x1b[2J{table}"))?;
        stdout()
            .flush()
            .map_err(|source| Error::Output { source })?;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn drain(asked: Drain) -> Result<(), Error> {
    let drained = asked.fleet.client()?.drain(asked.workers).await?;
    if asked.fleet.json {
        output::json(&drained)?;
    } else {
        for address in &drained.draining {
            output::text(&format!("{address} is asked to leave"))?;
        }
    }
    if drained.unknown.is_empty() {
        Ok(())
    } else {
        Err(Error::NoSuchWorker {
            workers: drained.unknown.join(", "),
        })
    }
}

const AGAIN: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  dpp fleet top --fleet fleet://fleet:7400
  dpp fleet drain 10.0.0.7:7401";

const TOP_EXAMPLES: &str = "\
Examples:
  dpp fleet top
  dpp fleet top --fleet fleet://fleet:7400 --json";

const TOKEN_EXAMPLES: &str = "\
Examples:
  dpp fleet key token.key                       # and token.key.pub, for --token-keys of workers and fleet
  dpp fleet token --key token.key --name ctr --role trainer --table s3://ads/clicks --column 'I*' --column label --lasts 90d > ctr.token
  dpp fleet token --key token.key --name workers --role worker > worker.token
  DPP_TOKEN_FILE=ctr.token python train.py";

const DRAIN_EXAMPLES: &str = "\
Examples:
  dpp fleet drain 10.0.0.7:7401
  dpp fleet drain --fleet fleet://fleet:7400 10.0.0.7:7401 10.0.0.8:7401";
