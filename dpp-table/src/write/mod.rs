//! Tables that are written: rows of another table (`rewrite`, and `run` to go on with a broken one) or rows as they come (`rows`,
//! split by `partition` into `open_files`) become Parquet files that are cheap to read. In order: which columns, in which order
//! (`layout`, `order`), how they are encoded (`settings`, `measure`), into a `new_file`'s row groups of checksummed pages (`file`,
//! `checksum`).

pub(crate) mod checksum;
pub(crate) mod file;
pub(crate) mod layout;
pub(crate) mod measure;
pub(crate) mod new_file;
pub(crate) mod open_files;
pub(crate) mod order;
pub(crate) mod partition;
pub(crate) mod rewrite;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod settings;
