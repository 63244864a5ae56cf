//! From a table to a trainer's batches in one thread, with parts that can be taken out, so that a figure can show what each is
//! worth: coalescing and layout are the table's, what is between is said by [`Way`].

use std::{sync::Arc, time::Duration};

use dpp_batch::{Batch, Rows, concat};
use dpp_client::Error;
use dpp_ops::{Plan, Program};
use dpp_proto::v1;
use dpp_table::{PieceBatches, PieceRequest, ReadCounters, Table, TableOptions};
use serde_json::Value;

use crate::{failed, machine::cpu_time, row_maps::by_way_of_maps};

/// A table and what is made of it.
pub(crate) struct Pipeline {
    table: Table,
    pieces: Vec<PieceRequest>,
    program: Program,
}

/// How rows become batches.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// Whether the Parquet crate decodes what our own code could.
    pub(crate) by_crate: bool,
    /// Whether decoded rows become maps, one a row, before they are transformed.
    pub(crate) by_maps: bool,
    /// Rows decoded, transformed and packed at a time.
    pub(crate) base_rows: usize,
    /// Rows of the batches that are made of them.
    pub(crate) batch_rows: usize,
}

/// What one pass over the table came to.
#[derive(Default)]
pub(crate) struct Pass {
    pub(crate) cpu: Duration,
    pub(crate) io: ReadCounters,
    /// Of the batches, in order.
    pub(crate) fingerprints: Vec<u64>,
}

impl Pipeline {
    /// Binds a plan, as JSON, to a table; a piece for each row group.
    pub(crate) async fn open(
        source: &v1::TableSource,
        options: TableOptions,
        plan: &Value,
    ) -> Result<Pipeline, Error> {
        let table = Table::open_with(source, options).map_err(failed)?;
        let described = table.describe().await.map_err(failed)?;
        let plan = Plan::from_json(&plan.to_string()).map_err(failed)?;
        let bound = plan.bind(&described.schema).map_err(failed)?;
        let program = Program::compile(&bound).map_err(failed)?;
        let mut pieces = Vec::new();
        for file in described.snapshot.files() {
            let mut first = 0;
            for rows in &file.row_group_rows {
                pieces.push(PieceRequest {
                    file: file.clone(),
                    rows: first..first + rows,
                    selection: Vec::new(),
                    features: Arc::clone(program.features()),
                    batch_rows: 1,
                    most_held_bytes: u64::MAX,
                });
                first += rows;
            }
        }
        Ok(Pipeline {
            table,
            pieces,
            program,
        })
    }

    /// All rows, once. Fingerprints are not counted.
    pub(crate) async fn pass(&self, way: Way) -> Result<Pass, Error> {
        let mut pass = Pass::default();
        for piece in &self.pieces {
            let began = cpu_time();
            let request = PieceRequest {
                batch_rows: way.base_rows,
                ..piece.clone()
            };
            let fetched = self.table.fetch(request).await.map_err(failed)?;
            pass.io += fetched.io();
            let rows = match way.by_crate {
                true => fetched.decode_by_crate(),
                false => fetched.decode(),
            };
            let batches = self.batches(rows.map_err(failed)?, way)?;
            pass.cpu += cpu_time() - began;
            pass.fingerprints
                .extend(batches.iter().map(Batch::fingerprint));
        }
        Ok(pass)
    }

    /// The batches of a piece; the last may be short.
    fn batches(&self, decoded: PieceBatches, way: Way) -> Result<Vec<Batch>, Error> {
        let (mut batches, mut parts, mut rows) = (Vec::new(), Vec::new(), 0);
        for base in decoded {
            let mut base = base.map_err(failed)?;
            if way.by_maps {
                base = by_way_of_maps(&base)?;
            }
            let row_ids = vec![0; base.num_rows()];
            let packed = self.program.run(&base, &row_ids).map_err(failed)?;
            rows += packed.rows;
            parts.push(packed);
            if rows >= way.batch_rows {
                batches.push(self.joined(std::mem::take(&mut parts))?);
                rows = 0;
            }
        }
        if !parts.is_empty() {
            batches.push(self.joined(parts)?);
        }
        Ok(batches)
    }

    fn joined(&self, mut parts: Vec<Batch>) -> Result<Batch, Error> {
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let slices = parts.into_iter().map(|part| {
            let rows = part.rows;
            Ok(Rows::new(part).take(rows))
        });
        let slices = slices.collect::<Result<Vec<_>, Error>>()?;
        Ok(concat(self.program.layout(), &slices))
    }
}
