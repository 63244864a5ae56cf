//! What a table holds, and what a plan means on it, as far as the caller may know.

use std::sync::Arc;

use dpp_batch::Layout;
use dpp_ops::{Plan, Program, Registry};
use dpp_proto::v1;
use dpp_table::Snapshot;

use super::{Engine, check_size};
use crate::{Error, Rights};

/// What a table holds and what a plan means on it.
#[derive(Debug)]
pub struct Description {
    /// Features and partition columns.
    pub schema: v1::Schema,
    /// The files, after partition pruning.
    pub snapshot: Snapshot,
    /// The bound plan and the layout of its batches, when a plan was given.
    pub plan: Option<(v1::Plan, Arc<Layout>)>,
}

impl Engine {
    /// Lists a table, reads its footers, and binds `plan` to its features.
    ///
    /// # Errors
    /// Whatever table or plan say, before any data moves.
    pub async fn describe(
        &self,
        source: &v1::TableSource,
        plan: Option<v1::Plan>,
    ) -> Result<Description, Error> {
        self.describe_for(&Rights::Everything, source, plan).await
    }

    /// As [`Engine::describe`], as far as `rights` go: features beyond them are not said to be there.
    ///
    /// # Errors
    /// As [`Engine::describe`], and [`Error::Denied`] for tables and features that the caller may not read.
    pub async fn describe_for(
        &self,
        rights: &Rights,
        source: &v1::TableSource,
        plan: Option<v1::Plan>,
    ) -> Result<Description, Error> {
        let table = self.table(source)?;
        rights.check_table(source, &table)?;
        let described = table.describe().await?;
        let schema = rights.schema(&described.schema);
        let plan = match plan {
            None => None,
            Some(plan) => {
                check_size(&plan)?;
                rights.check_plan(&plan)?;
                let plan = Plan::from_proto(plan)?;
                let (registry, _) = self
                    .artefacts
                    .known(&self.registry, (rights, &self.bounds), &plan, source)
                    .await?;
                let bound = bind(&plan, &schema, &registry)?;
                if schema != described.schema {
                    let everything = bind(&plan, &described.schema, &registry);
                    rights.check_same(everything.is_ok_and(|all| all.0 == bound.0))?;
                }
                Some(bound)
            }
        };
        Ok(Description {
            schema,
            snapshot: described.snapshot,
            plan,
        })
    }
}

fn bind(
    plan: &Plan,
    schema: &v1::Schema,
    registry: &Registry,
) -> Result<(v1::Plan, Arc<Layout>), Error> {
    let bound = plan.bind_with(schema, registry)?;
    let program = Program::compile_with(&bound, registry)?;
    Ok((bound.to_proto(), program.sent_layout().clone()))
}
