//! What runs read of a table, logged so that its features can be ordered by it: a small file of JSON lines a run, in a folder
//! or under a prefix that many runs share. Nothing is locked and nothing appended to: a run has a file of its own.

use dpp_proto::v1::TableSource;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;
use crate::store::Store;

/// What one run read of one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The run's name.
    pub run: String,
    /// The table's URL.
    pub table: String,
    /// Names of the features that its plan reads, sorted.
    pub features: Vec<String>,
    /// Bytes fetched so far.
    pub read_bytes: u64,
}

impl Usage {
    /// Writes the log of this run below `place`, as a whole. The same run, table and features replace their own file.
    pub async fn log(&self, place: &TableSource) -> Result<(), Error> {
        let store = Store::open(place)?;
        let mut line = serde_json::to_vec(self).expect("text and numbers are JSON");
        line.push(b'\n');
        store.put(&self.file_name(), line.into()).await
    }

    /// All logs below `place`, by file name. Fails when one is not a log.
    pub async fn read(place: &TableSource) -> Result<Vec<Usage>, Error> {
        let store = Store::open(place)?;
        let listed: Vec<_> = store.list().try_collect().await?;
        let paths = listed.into_iter().map(|(path, _)| path);
        let mut paths: Vec<String> = paths.filter(|path| path.ends_with(SUFFIX)).collect();
        paths.sort();
        let mut logs = Vec::with_capacity(paths.len());
        for path in paths {
            let content = store.get(&path).await?.unwrap_or_default();
            for line in content.split(|byte| *byte == b'\n') {
                if !line.is_empty() {
                    let wrong = |error| Error::Writing {
                        reason: format!("usage log {} can't be read: {error}", store.name(&path)),
                    };
                    logs.push(serde_json::from_slice(line).map_err(wrong)?);
                }
            }
        }
        Ok(logs)
    }

    /// The run's name as far as it is a file's, and what tells it from others.
    fn file_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.run.chars().map(plain).take(NAME_CHARS).collect();
        let what = format!("{}\n{}\n{}", self.run, self.table, self.features.join("\n"));
        format!("{name}-{:016x}{SUFFIX}", xxh3_64(what.as_bytes()))
    }
}

const SUFFIX: &str = ".usage.jsonl";
const NAME_CHARS: usize = 40;
