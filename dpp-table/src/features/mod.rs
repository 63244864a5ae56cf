//! What a table offers: its features and their kinds (`schema`), as columns of their own or as keys of maps
//! (`feature_map`, `map_keys`, `key_dictionary`), and where a file has the ones asked for (`projection`). Computes; only `map_keys` and
//! `sealed_map_keys` read, a bounded sample.

pub(crate) mod feature_map;
mod key_dictionary;
pub(crate) mod map_keys;
pub(crate) mod projection;
pub mod rows;
pub(crate) mod schema;
pub(crate) mod sealed_map_keys;
pub(crate) mod text_id;
