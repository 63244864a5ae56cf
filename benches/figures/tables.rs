//! Tables of figures: synthesised, rewritten in another order, put far away.

use std::{path::Path, sync::Arc};

use dpp_client::Error;
use dpp_proto::v1::TableSource;
use dpp_table::{RewriteSettings, Table, WriteSettings, rewrite};
use tempfile::TempDir;

use crate::{
    failed,
    s3::Server,
    slow_store::{SlowStore, Slowness},
};

/// A table in a local folder.
pub(crate) fn local(folder: &Path) -> TableSource {
    TableSource {
        url: folder.display().to_string(),
        ..TableSource::default()
    }
}

/// Writes a table by `dpp table synth` with these options.
pub(crate) fn synth(folder: &Path, options: &str) -> Result<(), Error> {
    let line = format!("dpp table synth {} {options} --json", folder.display());
    match dpp_cli::main(line.split_whitespace().map(Into::into).collect()) {
        0 => Ok(()),
        status => Err(failed(format!("{line}: exit status {status}"))),
    }
}

/// Writes a local table anew, flattened, with its features in that order; in none: as they are stored.
pub(crate) async fn flattened(
    from: &Path,
    to: &Path,
    order: Vec<String>,
    row_group_bytes: u64,
) -> Result<(), Error> {
    let settings = RewriteSettings {
        order,
        write: WriteSettings {
            memory_bytes: WRITE_MEMORY_BYTES,
            row_group_bytes,
            ..WriteSettings::default()
        },
        ..RewriteSettings::default()
    };
    let source = Table::open(&local(from)).map_err(failed)?;
    let destination = local(to);
    let written = rewrite(&source, &destination, &settings, Arc::new(|_| ()));
    written.await.map(drop).map_err(failed)
}

/// A synthetic table on an S3 server, which is reached through a store that takes its time.
pub(crate) struct FarTable {
    pub(crate) source: TableSource,
    pub(crate) store: SlowStore,
    _server: Server,
    _folder: TempDir,
}

impl FarTable {
    /// Synthesises it with these options, and starts the server, whose program is `s3`.
    pub(crate) async fn start(
        s3: &Path,
        options: String,
        slowness: Slowness,
    ) -> Result<FarTable, Error> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let made = folder.path().join("made");
        let to = made.clone();
        let wrote = tokio::task::spawn_blocking(move || synth(&to, &options));
        wrote.await.map_err(failed)??;
        let server = Server::start(s3, &folder.path().join("served")).map_err(failed)?;
        let url = server.put(&made, "table").await.map_err(failed)?;
        let upstream = server.endpoint().trim_start_matches("http://").to_owned();
        let store = SlowStore::start(upstream, slowness).await.map_err(failed)?;
        Ok(FarTable {
            source: TableSource {
                url,
                storage: server.options_by_way_of(store.address()),
                ..TableSource::default()
            },
            store,
            _server: server,
            _folder: folder,
        })
    }
}

/// Enough for row groups as large as the rewriter makes them by itself, of thousands of columns.
const WRITE_MEMORY_BYTES: u64 = 4 << 30;
