//! Parquet modular encryption, as Spark and pyarrow write it: who gives keys (`keys`), how files that are read open
//! (`unlock`), and how files that are written are locked (`lock`).

mod column_keys;
pub(crate) mod keys;
pub(crate) mod lock;
pub(crate) mod unlock;
