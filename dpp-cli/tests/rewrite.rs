//! `dpp table rewrite` and `verify` as real processes: memory has a ceiling, and a killed run is gone on with.
#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod dpp;

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::array::{Float32Array, Int64Array, RecordBatch};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use serde_json::Value;
use tempfile::TempDir;

use crate::dpp::{command, dpp, text};

/// Stored bytes, more or less, of `FILES` files of 20 columns: more than the ceiling.
const TABLE_BYTES: u64 = 144 << 20;
const CEILING_BYTES: u64 = 128 << 20;
const FILES: u64 = 8;

/// Incompressible numbers, in row groups of about 5 MB.
fn large_table(folder: &Path) {
    let rows = TABLE_BYTES / FILES / 120;
    for file in 0..FILES {
        let columns = (0..20_u64).map(|column| {
            let seed = file * 20 + column;
            let values = (0..rows).map(move |row| scattered(seed * rows + row));
            let name = format!("f_{column:02}");
            let array: Arc<dyn arrow::array::Array> = match column % 2 {
                0 => Arc::new(Int64Array::from_iter_values(values.map(u64::cast_signed))),
                _ => Arc::new(Float32Array::from_iter_values(
                    values.map(|bits| bits as f32),
                )),
            };
            (name, array)
        });
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(40_000))
            .build();
        let part = folder.join(format!("ds=2026-01-{:02}", file + 1));
        fs::create_dir_all(&part).unwrap();
        let sink = File::create(part.join("part-0.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(sink, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

fn scattered(value: u64) -> u64 {
    value
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

fn json(line: &str) -> Value {
    let output = dpp(line);
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Killed while it writes, resumed, and resumed once more: the rows are the source's, and memory stays below its ceiling.
#[test]
fn a_killed_run_is_resumed_below_its_memory_ceiling() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    large_table(&from);
    let line = format!(
        "table rewrite {} {} --codec none --memory {CEILING_BYTES} --row-group-bytes 16MiB --json",
        from.display(),
        to.display()
    );
    let mut broken = command(&line).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while files(&to) == 0 {
        assert!(
            Instant::now() < deadline && broken.try_wait().unwrap().is_none(),
            "no file was written"
        );
        std::thread::yield_now();
    }
    broken.kill().unwrap();
    broken.wait().unwrap();
    let written = files(&to);
    assert!(written < FILES, "it was killed in the middle");
    let again = dpp(&line);
    assert_eq!(again.status.code(), Some(2), "not without --resume");
    let report = json(&format!("{line} --resume"));
    assert!(report["resumed_files"].as_u64().unwrap() >= 1, "{report}");
    assert_eq!(report["files"], FILES);
    assert!(
        report["source_bytes"].as_u64().unwrap() > CEILING_BYTES,
        "{report}"
    );
    let peak = report["peak_memory_bytes"].as_u64().unwrap();
    assert!(
        peak <= CEILING_BYTES,
        "{peak} bytes of memory of {CEILING_BYTES}"
    );
    let verdict = json(&format!(
        "table verify {} {} --json",
        from.display(),
        to.display()
    ));
    assert_eq!(verdict["same"], true);
    let complete = json(&format!("{line} --resume"));
    assert_eq!(complete["resumed_files"], FILES);
}

#[test]
fn tables_that_differ_exit_with_1() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, seed) in [("a", 1), ("b", 2)] {
        dpp(&format!(
            "table synth {} --rows 100 --files 1 --seed {seed}",
            path(name)
        ));
    }
    let output = dpp(&format!("table verify {} {}", path("a"), path("b")));
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("in row 0 of"), "{message}");
}

/// Visible files of the table.
fn files(folder: &Path) -> u64 {
    let Ok(parts) = fs::read_dir(folder) else {
        return 0;
    };
    let visible = |path: fs::DirEntry| path.path().join("part-0.parquet").exists();
    parts.flatten().map(|part| u64::from(visible(part))).sum()
}
