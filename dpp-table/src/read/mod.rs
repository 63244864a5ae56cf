//! A piece of a file → its rows. In order: what it will hold (`size`, `hold`), what to read (`plan`, `coalesce`), the bytes
//! (`fetch`, waits only; `sparse` has them, and of large chunks a `stream`, and opens those that are `sealed`; where there is no
//! page index, `locate` makes one), the rows (`decode`, computes, and waits for streams only: from `pages` by our own `columns`,
//! else by the Parquet crate), brought to the kinds asked for (`convert`), maps split into their features (`map_split`, `sources`).

pub(crate) mod coalesce;
pub(crate) mod columns;
pub(crate) mod convert;
pub(crate) mod decode;
pub(crate) mod fetch;
pub(crate) mod hold;
mod locate;
pub(crate) mod map_split;
pub(crate) mod pages;
pub(crate) mod pieces;
pub(crate) mod plan;
pub(crate) mod sealed;
pub(crate) mod size;
pub(crate) mod sources;
pub(crate) mod sparse;
pub(crate) mod stream;
pub(crate) mod value_map;
