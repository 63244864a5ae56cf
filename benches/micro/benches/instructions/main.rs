//! Instructions that hot kernels take, counted by valgrind's callgrind: the same number however busy the machine is.
//!
//! ```sh
//! make instructions           # against the counts that are kept beside this file, as continuous integration does
//! make instructions KEEP=1    # keeps those of now
//! ```
//!
//! It fails where a kernel takes `TOLERANCE` more than is kept. Counts are those of one compiler, C library and kind of processor:
//! elsewhere they are printed and not judged. Kernels that do nothing but copy are not here.

#![expect(clippy::print_stdout, reason = "its table is what it is run for")]
#![expect(clippy::print_stderr, reason = "says what was not tested")]

mod kernels;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    hint::black_box,
    process::{Command, ExitCode},
};

use serde::{Deserialize, Serialize};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let asked: Vec<String> = std::env::args().collect();
    if let Some(at) = asked.iter().position(|argument| argument == "--kernel") {
        run(asked.get(at + 1).ok_or("--kernel which?")?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("NOT TESTED: instruction counts, as valgrind is not there");
        return Ok(ExitCode::SUCCESS);
    }
    let now = Counts {
        counted_with: counted_with()?,
        instructions: counted()?,
    };
    if asked.iter().any(|argument| argument == "--keep") {
        let text = serde_json::to_string_pretty(&now)?;
        fs::write(KEPT, text + "\n")?;
    }
    let kept: Counts = serde_json::from_str(&fs::read_to_string(KEPT)?)?;
    let is_within = now.print_beside(&kept);
    if now.counted_with != kept.counted_with {
        let (here, there) = (now.counted_with.join(", "), kept.counted_with.join(", "));
        eprintln!("NOT TESTED: counts were kept with {there}, and these are of {here}");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(match is_within {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

#[derive(Deserialize, Serialize)]
struct Counts {
    /// Compiler, C library and processor.
    counted_with: Vec<String>,
    /// Of one run, by kernel.
    instructions: BTreeMap<String, u64>,
}

impl Counts {
    /// Prints the counts, and says whether none is too high or unknown.
    fn print_beside(&self, kept: &Counts) -> bool {
        println!("| kernel | instructions | of those kept |\n|---|---|---|");
        let mut is_within = self.instructions.len() == kept.instructions.len();
        for (kernel, count) in &self.instructions {
            let Some(before) = kept.instructions.get(kernel) else {
                println!("| {kernel} | {count} | none is kept |");
                is_within = false;
                continue;
            };
            let ratio = *count as f64 / *before as f64;
            let verdict = if ratio > 1.0 + TOLERANCE {
                is_within = false;
                "**too many**"
            } else if ratio < 1.0 - TOLERANCE {
                "fewer: --keep them"
            } else {
                ""
            };
            println!("| {kernel} | {count} | {ratio:.3} {verdict} |");
        }
        is_within
    }
}

/// Runs this program under callgrind for every kernel.
fn counted() -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let names = kernels::all()?.into_iter().map(|(name, _)| name);
    names
        .map(|name| counted_of(&name).map(|count| (name, count)))
        .collect()
}

fn counted_of(kernel: &str) -> Result<u64, Box<dyn Error>> {
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*counted_run*")
        .arg(std::env::current_exe()?)
        .args(["--kernel", kernel])
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let mut lines = said.lines();
    let collected = lines.find_map(|line| line.split_once("Collected : "));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if done.status.success() && count > 0 => Ok(count),
        _ => Err(format!("{kernel} under valgrind: {}: {said}", done.status).into()),
    }
}

/// Runs a kernel until memory that it frees is there for it again, and once more as callgrind counts.
fn run(kernel: &str) -> Result<(), Box<dyn Error>> {
    let mut kernels = kernels::all()?.into_iter();
    let found = kernels.find(|(name, _)| name == kernel);
    let (_, mut kernel) = found.ok_or_else(|| format!("no kernel {kernel}"))?;
    for _ in 1..RUNS {
        kernel();
    }
    counted_run(&mut *kernel);
    Ok(())
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted_run(kernel: &mut dyn FnMut()) {
    black_box(kernel)();
}

fn counted_with() -> Result<Vec<String>, Box<dyn Error>> {
    let first_line = |program: &str| -> Result<String, Box<dyn Error>> {
        let said = Command::new(program).arg("--version").output()?;
        let said = String::from_utf8(said.stdout)?;
        Ok(said.lines().next().unwrap_or_default().to_owned())
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let mut lines = processors.lines();
    let model = lines.find_map(|line| line.strip_prefix("model name"));
    let model = model
        .unwrap_or_default()
        .trim_start_matches(['\t', ' ', ':']);
    Ok(vec![
        first_line(&rustc)?,
        first_line("ldd")?,
        model.to_owned(),
    ])
}

/// Of every kernel.
const RUNS: usize = 4;
const KEPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/counts.json"
);
const TOLERANCE: f64 = 0.05;
