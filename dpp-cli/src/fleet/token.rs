//! `dpp fleet key` and `dpp fleet token`: who may call workers and fleet, and for what.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use dpp_proto::access::{Claims, Role, SigningKey};

use crate::{error::Error, output};

#[derive(Args)]
pub(crate) struct NewKey {
    /// Where the private key goes; the public one goes beside it, with .pub in the end
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args)]
pub(crate) struct NewToken {
    /// The private key that signs
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Who the token is for, as logs and errors say
    #[arg(long, value_name = "NAME")]
    name: String,

    /// What kind of caller that is
    #[arg(long, value_enum)]
    role: Role,

    /// Tables that may be read, with all that lies below the URL; * for all
    #[arg(long = "table", value_name = "URL", required_if_eq("role", "trainer"))]
    tables: Vec<String>,

    /// Features that may be read, * for any run of characters and ? for one
    #[arg(
        long = "column",
        value_name = "PATTERN",
        required_if_eq("role", "trainer")
    )]
    columns: Vec<String>,

    /// How long it is good for: 45s, 30m, 12h or 90d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = span)]
    lasts: Duration,
}

impl NewKey {
    pub(super) fn run(self) -> Result<(), Error> {
        let failed = |source| Error::File {
            path: self.file.clone(),
            source,
        };
        let key = SigningKey::generate().map_err(failed)?;
        key.write(&self.file).map_err(failed)
    }
}

impl NewToken {
    pub(super) fn run(self) -> Result<(), Error> {
        let key = SigningKey::read(&self.key).map_err(dpp_fleet::Error::from)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let claims = Claims {
            name: self.name,
            role: self.role,
            tables: self.tables,
            columns: self.columns,
            expires: (now.unwrap_or_default() + self.lasts).as_secs(),
        };
        output::text(&claims.sign(&key))
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: write 45s, 30m, 12h or 90d");
    let (count, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = count.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}
