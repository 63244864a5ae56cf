//! The `dpp` binary under test, free of the surrounding `DPP_*` environment.

use std::process::{Command, Output};

/// A command line, split at white space.
pub(crate) fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dpp"));
    command.args(line.split_whitespace());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DPP_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command line to its end.
pub(crate) fn dpp(line: &str) -> Output {
    command(line).output().unwrap()
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
