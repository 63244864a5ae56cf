//! What a run of rewriting says about itself, beside the files it writes, so that a broken one can be gone on with.
//!
//! `_dpp_rewrite.json` is written before the first file and once more at the end; readers of tables skip such names. A file
//! that is there was written whole, by this run or the one it goes on from.

use std::collections::{BTreeMap, HashSet};

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::store::Store;
use crate::write::measure::Measured;
use crate::write::rewrite::RewriteSettings;
use crate::write::settings::{Codec, ColumnEncoding};

/// The content of `_dpp_rewrite.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    format: String,
    version: u32,
    pub(super) complete: bool,
    wishes: Wishes,
    /// By the leaf's path; what is chosen once stays, or files would differ.
    pub(super) encodings: BTreeMap<String, ColumnEncoding>,
    pub(super) measured: Measured,
}

/// What every file depends on: source and settings.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wishes {
    snapshot: String,
    flatten: bool,
    keep_maps: Vec<String>,
    order: Vec<String>,
    codec: Codec,
    row_group_bytes: u64,
    measure: bool,
    encrypt: bool,
}

/// What a destination holds before a run.
pub(super) struct Before {
    /// The run to go on with, if there is one.
    pub(super) run: Option<Run>,
    /// Files that it wrote.
    pub(super) done: HashSet<String>,
}

impl Wishes {
    pub(super) fn new(snapshot: &str, settings: &RewriteSettings) -> Wishes {
        Wishes {
            snapshot: snapshot.to_owned(),
            flatten: settings.flatten,
            keep_maps: settings.keep_maps.clone(),
            order: settings.order.clone(),
            codec: settings.write.codec,
            row_group_bytes: settings.write.row_group_bytes,
            measure: settings.measure,
            encrypt: settings.encryption.is_some(),
        }
    }

    /// The first thing that differs, for messages.
    fn difference(&self, other: &Wishes) -> Option<&'static str> {
        let same = [
            (self.snapshot == other.snapshot, "the source's files"),
            (self.flatten == other.flatten, "--layout"),
            (self.keep_maps == other.keep_maps, "--keep-map"),
            (self.order == other.order, "the feature order"),
            (self.codec == other.codec, "--codec"),
            (
                self.row_group_bytes == other.row_group_bytes,
                "--row-group-bytes",
            ),
            (self.measure == other.measure, "--auto"),
            (self.encrypt == other.encrypt, "--encrypt"),
        ];
        same.into_iter()
            .find(|(same, _)| !same)
            .map(|(_, what)| what)
    }
}

impl Run {
    pub(super) fn new(
        wishes: Wishes,
        encodings: BTreeMap<String, ColumnEncoding>,
        measured: Measured,
    ) -> Run {
        Run {
            format: FORMAT.to_owned(),
            version: VERSION,
            complete: false,
            wishes,
            encodings,
            measured,
        }
    }

    pub(super) async fn save(&self, store: &Store) -> Result<(), Error> {
        let content = serde_json::to_vec_pretty(self).expect("text and numbers are JSON");
        store.put(NAME, content.into()).await
    }
}

/// Looks at a destination. Fails when it holds anything, unless `resume` and it is a run of the same wishes.
pub(super) async fn before(store: &Store, wishes: &Wishes, resume: bool) -> Result<Before, Error> {
    let mut done = HashSet::new();
    let mut listing = store.list();
    let mut listed = async || match listing.try_next().await {
        // a folder that is not there yet is as good as an empty one
        Err(Error::NoTable { .. } | Error::FileGone { .. }) => Ok(None),
        listed => listed,
    };
    while let Some((path, _)) = listed().await? {
        done.insert(path);
    }
    let found = done.iter().min().cloned();
    let (Some(found), resume) = (found, resume) else {
        return Ok(Before { run: None, done });
    };
    let refuse = |reason: String| Error::Resume {
        url: store.url().to_owned(),
        reason,
    };
    let stored = store.get(NAME).await?;
    if !resume {
        let hint = match &stored {
            Some(_) => ", or go on with the broken run (--resume)",
            None => "",
        };
        return Err(Error::Occupied {
            url: store.url().to_owned(),
            found,
            hint,
        });
    }
    let Some(stored) = stored else {
        return Err(refuse(format!("it holds {found} and no {NAME}")));
    };
    let run: Run = serde_json::from_slice(&stored)
        .map_err(|error| refuse(format!("{NAME} can't be read: {error}")))?;
    if (run.format.as_str(), run.version) != (FORMAT, VERSION) {
        return Err(refuse(format!(
            "{NAME} is {} version {}",
            run.format, run.version
        )));
    }
    if let Some(what) = run.wishes.difference(wishes) {
        return Err(refuse(format!("{what} changed since the run began")));
    }
    Ok(Before {
        run: Some(run),
        done,
    })
}

const NAME: &str = "_dpp_rewrite.json";
const FORMAT: &str = "dpp.rewrite";
const VERSION: u32 = 1;
