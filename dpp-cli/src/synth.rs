//! `dpp table synth`: a realistic table, streamed to disk.
//!
//! Arguments become a shape (which columns) and files (which rows); each thread takes a file, draws its rows a chunk at a
//! time and writes them. Every value follows from seed, file, chunk and column, so threads change nothing.

mod arguments;
mod columns;
mod destination;
mod files;
mod maps;
mod quantiles;
mod rows;
mod shape;
#[cfg(test)]
mod tests;
mod write;

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use indicatif::ProgressBar;
use parquet::file::properties::WriterProperties;
use serde::Serialize;

pub(crate) use self::arguments::Arguments;
use self::{
    arguments::{Layout, Preset},
    files::File,
    rows::Rows,
    shape::Shape,
};
use crate::{error::Error, output, progress};

/// Writes the table and prints what was written.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let started = Instant::now();
    let destination = arguments.path()?;
    let files = files::files(&arguments)?;
    let mut rows = Rows::new(Shape::new(&arguments), arguments.seed);
    if arguments.layout == Layout::Map {
        rows = rows.into_maps();
    }
    let properties = properties(&arguments, &rows, &destination)?;
    destination::prepare(&destination, arguments.overwrite)?;
    let writing = Writing {
        destination: &destination,
        rows: &rows,
        properties: &properties,
        bar: progress::rows("writing", files.iter().map(|file| file.rows).sum()),
        failed: AtomicBool::new(false),
    };
    let bytes = writing.all(&files, threads(&arguments))?;
    let written = Written {
        rows: files.iter().map(|file| file.rows).sum(),
        files: files.len() as u64,
        columns: rows.shape().columns.len() as u64,
        bytes,
        seconds: started.elapsed().as_secs_f64(),
    };
    if arguments.json {
        output::json(&written)
    } else {
        output::text(&written.line(&destination))
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Written {
    rows: u64,
    files: u64,
    columns: u64,
    bytes: u64,
    seconds: f64,
}

impl Written {
    fn line(&self, destination: &Path) -> String {
        format!(
            "wrote {} rows of {} columns, {} in {} files, to {} in {:.1} s ({} rows/s)",
            output::count(self.rows),
            self.columns,
            output::bytes(self.bytes),
            self.files,
            destination.display(),
            self.seconds,
            output::count((self.rows as f64 / self.seconds) as u64),
        )
    }
}

/// What threads that write share.
struct Writing<'a> {
    destination: &'a Path,
    rows: &'a Rows,
    properties: &'a WriterProperties,
    bar: ProgressBar,
    failed: AtomicBool,
}

impl Writing<'_> {
    /// Writes all files and returns their bytes. After the first error no thread goes on.
    fn all(&self, files: &[File], threads: usize) -> Result<u64, Error> {
        let queue = Mutex::new(files.iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut bytes = 0;
            while let Some(file) = next() {
                bytes += self
                    .one(file)
                    .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
            }
            Ok(bytes)
        };
        let results: Vec<Result<u64, Error>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.min(files.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect()
        });
        self.bar.finish_and_clear();
        results.into_iter().sum()
    }

    fn one(&self, file: &File) -> Result<u64, Error> {
        let path = self.destination.join(&file.path);
        let wrote = |rows| {
            self.bar.inc(rows);
            !self.failed.load(Ordering::Relaxed)
        };
        write::write(
            &path,
            self.rows.schema(),
            self.properties,
            self.rows.of(file),
            wrote,
        )
    }
}

fn properties(
    arguments: &Arguments,
    rows: &Rows,
    destination: &Path,
) -> Result<WriterProperties, Error> {
    let usual = if arguments.preset == Preset::W2 {
        4096
    } else {
        65_536
    };
    let row_group_rows = arguments.row_group_rows.unwrap_or(usual);
    let row_group_rows = usize::try_from(row_group_rows).expect("bounded by its parser");
    let maps = arguments.layout == Layout::Map;
    write::properties(rows.shape(), maps, arguments.codec, row_group_rows).map_err(|source| {
        Error::Parquet {
            path: destination.to_owned(),
            source,
        }
    })
}

fn threads(arguments: &Arguments) -> usize {
    let usual = || thread::available_parallelism().map_or(1, |cores| cores.get());
    let asked = arguments
        .threads
        .map(|threads| usize::try_from(threads).expect("bounded by its parser"));
    asked.unwrap_or_else(usual)
}
