//! Which table a command is about, and what it is read with, as flags.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use clap::Args;
use dpp_proto::v1::{FeatureName, StorageOption, TableSource};
use dpp_table::{KeyProvider, KeySource, Table, TableOptions};

use crate::error::Error;

/// How storage is reached, beside what the environment says.
#[derive(Args, Clone, Debug)]
pub(crate) struct StorageArguments {
    /// Option of the storage, as object_store names them (endpoint, region, allow_http, …); may be repeated
    #[arg(
        long = "storage-option",
        value_name = "KEY=VALUE",
        env = "DPP_STORAGE_OPTIONS",
        value_delimiter = ',',
        hide_env_values = true,
        value_parser = option
    )]
    options: Vec<StorageOption>,
}

impl StorageArguments {
    /// The table at `url`, all partitions of it.
    pub(crate) fn source(&self, url: &str) -> TableSource {
        let mut storage = self.options.clone();
        storage.sort_by(|a, b| a.key.cmp(&b.key));
        TableSource {
            url: url.to_owned(),
            storage,
            ..TableSource::default()
        }
    }
}

/// Who gives the keys of encrypted tables.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyArguments {
    /// Keys of encrypted tables: a key file, env:VARIABLE, vault:https://HOST/MOUNT or aws-kms:REGION
    #[arg(long, value_name = "KEYS", env = "DPP_KEYS")]
    keys: Option<KeySource>,
}

impl KeyArguments {
    /// Reads the keys, if there are any.
    pub(crate) fn open(&self) -> Result<Option<Arc<dyn KeyProvider>>, Error> {
        Ok(self.keys.as_ref().map(KeySource::open).transpose()?)
    }

    /// What tables are read with.
    pub(crate) fn options(&self) -> Result<TableOptions, Error> {
        Ok(self
            .open()?
            .map(TableOptions::with_keys)
            .unwrap_or_default())
    }
}

/// Names for features of maps.
#[derive(Args, Clone, Debug)]
pub(crate) struct NamesArguments {
    /// Names for features that are keys of maps, as JSON: {"column[key]": "name", …}
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
}

impl NamesArguments {
    /// Opens a table whose maps' features have these names.
    pub(crate) fn open(&self, source: &TableSource, keys: &KeyArguments) -> Result<Table, Error> {
        let mut source = source.clone();
        if let Some(path) = &self.names {
            let names = read_json(path)?.into_iter();
            source.feature_names = names
                .map(|(entry, name)| FeatureName { entry, name })
                .collect();
        }
        Ok(Table::open_with(&source, keys.options()?)?)
    }
}

fn read_json(path: &PathBuf) -> Result<BTreeMap<String, String>, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        path: path.clone(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|error| Error::Settings {
        path: path.clone(),
        reason: error.to_string(),
    })
}

/// A number of bytes: `1000000`, `64MB` (10⁶) or `64MiB` (2²⁰).
pub(crate) fn byte_count(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        unit => {
            return Err(format!(
                "no unit {unit:?}: give B, KB, MB, GB, KiB, MiB or GiB"
            ));
        }
    };
    let count = digits
        .trim()
        .parse::<u64>()
        .map_err(|error| error.to_string())?;
    count
        .checked_mul(unit)
        .ok_or_else(|| "too large".to_owned())
}

fn option(text: &str) -> Result<StorageOption, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(StorageOption {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        // the text may hold a secret: it is not repeated
        _ => Err("give KEY=VALUE".to_owned()),
    }
}
