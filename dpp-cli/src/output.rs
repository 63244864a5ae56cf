//! Results on standard output: text for people, one JSON line for machines.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::error::Error;

/// Prints `text` and a line end.
pub(crate) fn text(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|source| Error::Output { source })
}

/// Prints `value` as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    text(&serde_json::to_string(value).expect("results are maps with text keys"))
}

/// `bytes` with a decimal unit: `12.3 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// `count` with thousands apart: `1,234,567`.
pub(crate) fn count(count: u64) -> String {
    indicatif::HumanCount(count).to_string()
}
