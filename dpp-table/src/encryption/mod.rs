//! Parquet modular encryption, as Spark and pyarrow write it: who gives keys (`keys`), how files that are read open
//! (`unlock`), module by module (`module`), and how files that are written are locked (`lock`).

pub(crate) mod cipher;
mod column_keys;
pub(crate) mod keys;
pub(crate) mod lock;
pub(crate) mod module;
pub(crate) mod unlock;
