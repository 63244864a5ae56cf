//! What `dpp table synth` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};
use url::Url;

use crate::error::Error;

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Directory to write to: a path or file:// URL; made if it is not there
    #[arg(value_name = "DST")]
    pub(crate) destination: String,

    /// What the table looks like
    #[arg(long, value_enum, default_value = "ctr")]
    pub(crate) preset: Preset,

    /// Rows in all [default: 1000000; w1 2000000, w2 40000]
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_ROWS))]
    pub(crate) rows: Option<u64>,

    /// Files in all [default: 8, or one a day when there are more days]
    #[arg(long, value_parser = value_parser!(u64).range(1..=99_999))]
    pub(crate) files: Option<u64>,

    /// Most rows of a row group [default: 65536; w2 4096]
    #[arg(long, value_parser = value_parser!(u64).range(1..=1 << 24))]
    pub(crate) row_group_rows: Option<u64>,

    /// Dense features [default: 13; w2 600]
    #[arg(long, value_parser = value_parser!(u64).range(0..=MAX_FEATURES))]
    pub(crate) dense: Option<u64>,

    /// Sparse features: one id a row, or a few [default: 26; w2 300]
    #[arg(long, value_parser = value_parser!(u64).range(0..=MAX_FEATURES))]
    pub(crate) sparse: Option<u64>,

    /// Sequences: longer id lists (ctr only) [default: 2]
    #[arg(long, value_parser = value_parser!(u64).range(0..=MAX_FEATURES))]
    pub(crate) sequences: Option<u64>,

    /// Share of rows whose label is 1 [default: 0.08; w1 0.25; w2 has no label]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) base_rate: Option<f64>,

    /// Hive partitions ds=YYYY-MM-DD, this many days; without it the table is one directory
    #[arg(long, value_parser = value_parser!(u64).range(1..=36_500))]
    pub(crate) days: Option<u64>,

    /// A column a feature, or one MAP column for the dense features and one for the id lists, with a key a feature
    #[arg(long, value_enum, default_value = "flat")]
    pub(crate) layout: Layout,

    /// How pages are compressed
    #[arg(long, value_enum, default_value = "zstd")]
    pub(crate) codec: Codec,

    /// The same seed and options give the same bytes
    #[arg(long, default_value = "0")]
    pub(crate) seed: u64,

    /// Files written at a time [default: one per core]
    #[arg(long, env = "DPP_THREADS", value_parser = value_parser!(u64).range(1..=1024))]
    pub(crate) threads: Option<u64>,

    /// Replace the synthetic table that is there
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print what was written as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// The destination as a path. Fails when it is not on this machine.
    pub(crate) fn path(&self) -> Result<PathBuf, Error> {
        let refuse = |reason| Error::Destination {
            destination: self.destination.clone(),
            reason,
        };
        if !self.destination.contains("://") {
            return Ok(PathBuf::from(&self.destination));
        }
        match Url::parse(&self.destination) {
            Ok(url) if url.scheme() == "file" => url
                .to_file_path()
                .map_err(|()| refuse("a file URL has no host: file:///path")),
            _ => Err(refuse("only paths and file:// URLs are written for now")),
        }
    }
}

/// What a table looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Click-through logs: id lists, sequences, a scored list, request ids and times
    Ctr,
    /// As Criteo's: I1…I13 float, C1…C26 int64
    W1,
    /// As a large ranking model's: D0…D599 float, S0…S299 id lists
    W2,
}

/// Where features lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// D0, D1, …, S0, …: a column each
    Flat,
    /// dense[0], dense[1], …, sparse[0], …: keys of MAP columns `dense` and `sparse`
    Map,
}

/// How pages are compressed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Codec {
    /// zstd at level 1
    Zstd,
    /// LZ4_RAW
    Lz4,
    /// Snappy
    Snappy,
    /// Not compressed
    None,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("give a share between 0 and 1".to_owned()),
    }
}

const MAX_ROWS: u64 = 1 << 40;
const MAX_FEATURES: u64 = 20_000;

const EXAMPLES: &str = "\
Examples:
  dpp table synth /tmp/clicks --rows 1000000
  dpp table synth /tmp/days --rows 10000000 --days 30 --files 60 --codec lz4
  dpp table synth /tmp/w2 --preset w2 --overwrite --json
  dpp table synth /tmp/w3 --preset w2 --layout map";
