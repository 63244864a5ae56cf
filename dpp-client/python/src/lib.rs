//! `dpp._dpp`: the extension module. Registers only; policy is Python, loops over data are Rust.

mod apply;
mod batch;
mod command;
mod errors;
mod fit;
mod home;
mod keys;
mod loader;
mod plan;
mod predicate;
mod rows;
mod runtime;
mod service;
mod table;
mod tensor;
mod usage;
mod write;

/// What the `dpp` package is built on; not for users.
#[pyo3::pymodule]
mod _dpp {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::apply::Applier;
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::fit::{Fit, Fitted};
    #[pymodule_export]
    use crate::keys::Keys;
    #[pymodule_export]
    use crate::loader::{Batches, Loader, merge_states};
    #[pymodule_export]
    use crate::plan::{
        bind_plan, explain_plan, known_ops, plan_for_fitting, plan_hash, plan_to_json,
    };
    #[pymodule_export]
    use crate::service::Service;
    #[pymodule_export]
    use crate::table::{Snapshot, Table};
    #[pymodule_export]
    use crate::tensor::Tensor;
    #[pymodule_export]
    use crate::write::write;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("SEMANTICS_VERSION", dpp_proto::SEMANTICS_VERSION)
    }
}
