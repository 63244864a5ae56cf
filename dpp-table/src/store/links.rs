//! Links in a local table that lead nowhere: listings leave them out without a word, and their rows would be missing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::Store;
use crate::store::url::Place;

impl Store {
    /// Links below the table whose targets are not there, as path relative to it and target; none in an object store.
    pub(crate) async fn dangling_links(&self) -> Vec<(String, PathBuf)> {
        if self.place != Place::Local {
            return Vec::new();
        }
        let root = Path::new("/").join(self.base.as_ref());
        let found = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            // what can't be read, the listing has said
            let _ = look(&root, "", &mut found);
            found
        });
        found.await.unwrap_or_default()
    }
}

fn look(folder: &Path, relative: &str, found: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        let name = format!("{relative}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            look(&path, &format!("{name}/"), found)?;
        } else if kind.is_symlink() && fs::metadata(&path).is_err_and(is_missing) {
            found.push((name, fs::read_link(&path)?));
        }
    }
    Ok(())
}

fn is_missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
