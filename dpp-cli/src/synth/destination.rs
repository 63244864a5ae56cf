//! The directory that a table goes to: empty, or replaced on demand, and never by surprise.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// Makes `path` an empty directory.
///
/// One that holds anything is refused, unless `overwrite`; then Parquet files directly in it or in its `ds=` directories
/// are removed, and anything else is refused before anything is removed.
pub(crate) fn prepare(path: &Path, overwrite: bool) -> Result<(), Error> {
    if path.is_file() {
        return Err(Error::Destination {
            destination: path.display().to_string(),
            reason: "it is a file",
        });
    }
    fs::create_dir_all(path).map_err(failed(path))?;
    let mut old = Vec::new();
    collect(path, path, &mut old)?;
    if old.is_empty() {
        return Ok(());
    }
    if !overwrite {
        return Err(Error::Occupied {
            destination: path.to_owned(),
        });
    }
    for entry in old {
        let removed = if entry.is_dir() {
            fs::remove_dir(&entry)
        } else {
            fs::remove_file(&entry)
        };
        removed.map_err(failed(&entry))?;
    }
    Ok(())
}

/// Everything below `directory`, contents before their directory. Fails at what is no part of a synthetic table.
fn collect(root: &Path, directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        let kind = entry.file_type().map_err(failed(directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && directory == root && name.starts_with("ds=") {
            collect(root, &entry.path(), found)?;
        } else if !kind.is_file() || !is_ours(&name) {
            return Err(Error::Foreign {
                destination: root.to_owned(),
                found: name,
            });
        }
        found.push(entry.path());
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix(HIDDEN).unwrap_or(name);
    name.starts_with("part-") && name.ends_with(".parquet")
}

/// Turns a system's error at `path` into ours.
pub(crate) fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// Begins the name of a file that is still being written; readers of tables skip such names.
pub(crate) const HIDDEN: &str = ".writing-";
