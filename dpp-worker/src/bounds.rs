//! Where a worker reads at all, whoever asks: `--allow`. The same check as a token's, for every caller and beside it.

use std::sync::Arc;

use dpp_proto::{
    access::{Claims, Role},
    v1,
};
use dpp_table::Table;

use crate::{Error, Rights};

/// The places below which a worker reads; everywhere unless some are named.
#[derive(Debug, Default)]
pub(crate) struct Bounds(Option<Rights>);

impl Bounds {
    /// Only at and below these places: `s3://bucket/path`, or a folder of this machine.
    pub(crate) fn at(places: Vec<String>) -> Bounds {
        Bounds(Some(Rights::Claimed(Arc::new(Claims {
            name: "--allow".to_owned(),
            role: Role::Trainer,
            tables: places,
            columns: vec!["*".to_owned()],
            expires: u64::MAX,
        }))))
    }

    /// A table, its snapshot's place, and the storage options that came with it: none may name a store or an identity.
    pub(crate) fn check_table(&self, source: &v1::TableSource, table: &Table) -> Result<(), Error> {
        self.check(|bounds| bounds.check_table(source, table))
    }

    /// The places of artefacts.
    pub(crate) fn check_artefacts(&self, places: &[String]) -> Result<(), Error> {
        self.check(|bounds| bounds.check_artefacts(places))
    }

    fn check(&self, check: impl FnOnce(&Rights) -> Result<(), Error>) -> Result<(), Error> {
        match self.0.as_ref().map_or(Ok(()), check) {
            Err(Error::Denied { what, .. }) => Err(Error::OutOfBounds { what }),
            checked => checked,
        }
    }
}
