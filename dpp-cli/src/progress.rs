//! Progress bars: on standard error, and only when it is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `rows` rows, named `what`. Hidden when standard error is no terminal.
pub(crate) fn rows(what: &'static str, rows: u64) -> ProgressBar {
    bar(what, rows, "rows")
}

/// A bar of files, named `what`; how many they are is set later.
pub(crate) fn files(what: &'static str) -> ProgressBar {
    bar(what, 0, "files")
}

/// A bar of seconds that pass, named `what`.
pub(crate) fn seconds(what: &'static str, seconds: u64) -> ProgressBar {
    bar(what, seconds, "s")
}

fn bar(what: &'static str, length: u64, of: &str) -> ProgressBar {
    let template = TEMPLATE.replace("UNITS", of);
    let style = ProgressStyle::with_template(&template).expect("the template is constant");
    let bar = ProgressBar::new(length)
        .with_style(style.progress_chars("━╸─"))
        .with_message(what);
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

const TEMPLATE: &str =
    "{msg} {bar:30} {human_pos}/{human_len} UNITS  {per_sec}  {elapsed} (left: {eta})";
