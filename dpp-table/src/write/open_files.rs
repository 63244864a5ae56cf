//! The files that rows are being written to: one a partition at most, all together within the memory that they may take.
//!
//! When they would take more, the largest row group ends early; when what files hold back besides becomes too much, the file
//! that was written to least recently is finished, and its partition gets another one if more rows come. Blocks.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;

use crate::error::Error;
use crate::store::Store;
use crate::store::output::Output;
use crate::write::file::RowGroupLimits;
use crate::write::new_file::{NewFiles, OpenFile};
use crate::write::rows::TableSettings;
use crate::write::settings::ColumnEncoding;

/// By partition, a path or nothing.
pub(crate) struct OpenFiles {
    store: Store,
    settings: TableSettings,
    schema: SchemaRef,
    encodings: BTreeMap<String, ColumnEncoding>,
    runtime: Handle,
    open: HashMap<String, Filling>,
    /// Files that each partition has so far.
    begun: HashMap<String, u64>,
    uses: u64,
}

/// A file and what it takes.
struct Filling {
    file: OpenFile,
    last_use: u64,
    group_bytes: u64,
}

impl OpenFiles {
    /// None yet. Files have the columns of `schema`; `runtime` is where storage is waited for.
    pub(crate) fn new(
        store: Store,
        settings: &TableSettings,
        schema: &SchemaRef,
        runtime: Handle,
    ) -> OpenFiles {
        OpenFiles {
            store,
            settings: settings.clone(),
            schema: SchemaRef::clone(schema),
            encodings: BTreeMap::new(),
            runtime,
            open: HashMap::new(),
            begun: HashMap::new(),
            uses: 0,
        }
    }

    /// The table's URL, for messages.
    pub(crate) fn url(&self) -> &str {
        self.store.url()
    }

    /// How leaf columns are encoded from now on, by path; others by their type.
    pub(crate) fn encode_as(&mut self, encodings: BTreeMap<String, ColumnEncoding>) {
        self.encodings = encodings;
    }

    /// Adds rows to a partition. They are few: a row group is overfull by them at most.
    pub(crate) fn write(&mut self, partition: &str, rows: &RecordBatch) -> Result<(), Error> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if !self.open.contains_key(partition) {
            let filling = self.begin(partition)?;
            self.open.insert(partition.to_owned(), filling);
        }
        self.uses += 1;
        let filling = self.open.get_mut(partition).expect("it was just begun");
        filling.last_use = self.uses;
        filling.file.write(rows)?;
        filling.group_bytes = filling.file.memory_bytes() as u64;
        let is_long = filling.file.written_bytes() >= self.settings.file_bytes;
        if is_long && filling.group_bytes == 0 {
            return self.finish_one(partition);
        }
        self.keep_within_memory()
    }

    /// Finishes all files and says how many there are.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        let mut partitions: Vec<String> = self.open.keys().cloned().collect();
        partitions.sort();
        for partition in partitions {
            self.finish_one(&partition)?;
        }
        Ok(self.begun.values().sum())
    }

    fn begin(&mut self, partition: &str) -> Result<Filling, Error> {
        let number = self.begun.entry(partition.to_owned()).or_default();
        let path = format!("{partition}/part-{number:05}.parquet");
        *number += 1;
        let files = NewFiles {
            store: &self.store,
            settings: &self.settings.write,
            encodings: &self.encodings,
            encryption: self.settings.encryption.as_deref(),
        };
        let limits = RowGroupLimits {
            memory_bytes: usize::MAX, // that of all together counts
            ..self.settings.write.row_group(0)
        };
        let begun = files.begin(path.trim_start_matches('/'), &self.schema, limits);
        Ok(Filling {
            file: self.runtime.block_on(begun)?.open()?,
            last_use: self.uses,
            group_bytes: 0,
        })
    }

    fn finish_one(&mut self, partition: &str) -> Result<(), Error> {
        match self.open.remove(partition) {
            Some(filling) => filling.file.finish(),
            None => Ok(()),
        }
    }

    fn keep_within_memory(&mut self) -> Result<(), Error> {
        let limit = self.settings.write.memory_of_one(1) / 3;
        while self.open.values().map(|one| one.group_bytes).sum::<u64>() >= limit {
            let largest = self.open.values_mut().max_by_key(|one| one.group_bytes);
            let largest = largest.expect("nothing takes no memory");
            largest.file.end_row_group()?;
            largest.group_bytes = 0;
        }
        let place = self.store.place();
        let held_back = |one: &Filling| Output::held_bytes(place, one.file.written_bytes());
        while self.open.len() > 1 && self.open.values().map(held_back).sum::<u64>() > limit / 2 {
            let oldest = self.open.iter().min_by_key(|(_, one)| one.last_use);
            let oldest = oldest
                .map(|(partition, _)| partition.clone())
                .unwrap_or_default();
            self.finish_one(&oldest)?;
        }
        Ok(())
    }
}
