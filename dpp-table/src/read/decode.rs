//! A fetched piece → record batches, one at a time as they are pulled. Computes, waits for nothing.
//!
//! The Parquet crate panics on some malformed files; a panic ends this piece with an error and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, RecordBatch, RecordBatchOptions, RecordBatchReader, new_null_array,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use dpp_proto::fault::message_with_causes;
use dpp_proto::v1::Feature;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelectionPolicy,
};

use crate::error::Error;
use crate::features::schema::kind_name;
use crate::read::convert::{arrow_type, convert};
use crate::read::fetch::FetchedPiece;
use crate::read::map_split::split;
use crate::read::pages;
use crate::read::plan::ReadPlan;
use crate::read::sources::{Source, Sources, WantedMap, sources};

/// A piece's rows, in stored order. After an error nothing follows.
pub struct PieceBatches {
    name: String,
    features: Arc<[Feature]>,
    sources: Sources,
    schema: SchemaRef,
    reader: Option<ParquetRecordBatchReader>,
    rows_left: u64,
    encrypted: bool,
}

impl FetchedPiece {
    /// Starts decoding. Batches have at most `batch_rows` rows and exactly the features asked for, in that order, as
    /// [`arrow_type`] says.
    pub fn decode(self) -> Result<PieceBatches, Error> {
        let reader = match self.plan.rows {
            0 => None,
            _ => Some(self.reader()?),
        };
        let sources = match &reader {
            Some(reader) => sources(&reader.schema(), &self.plan.places),
            None => Sources::default(),
        };
        let field = |feature: &Feature| Field::new(&feature.name, arrow_type(feature), true);
        Ok(PieceBatches {
            sources,
            schema: Arc::new(Schema::new(
                self.features.iter().map(field).collect::<Vec<_>>(),
            )),
            features: self.features,
            name: self.name,
            reader,
            rows_left: self.plan.rows,
            encrypted: self.plan.encrypted,
        })
    }

    /// The rows as stored, all at once and not converted: for a bounded few.
    pub(crate) fn stored_rows(self) -> Result<Vec<RecordBatch>, Error> {
        let reader = self.reader()?;
        let rows = guarded(&self.name, || reader.collect::<Result<Vec<_>, _>>())?;
        rows.map_err(|error| unreadable(&self.name, self.plan.encrypted, error))
    }

    /// The rows as stored, a batch at a time, not converted.
    pub(crate) fn stored_batches(
        self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>>, Error> {
        let mut reader = self.reader()?;
        let (name, encrypted) = (self.name, self.plan.encrypted);
        Ok(std::iter::from_fn(move || {
            let next = guarded(&name, || reader.next()).transpose()?;
            Some(next.and_then(|batch| batch.map_err(|error| unreadable(&name, encrypted, error))))
        }))
    }

    fn reader(&self) -> Result<ParquetRecordBatchReader, Error> {
        self.check_pages()?;
        let plan = &self.plan;
        let build = || {
            let (bytes, arrow) = (self.bytes.clone(), plan.arrow.clone());
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, arrow)
                .with_row_groups(vec![plan.row_group])
                .with_projection(plan.projection.clone())
                .with_row_selection_policy(selection_policy(plan))
                .with_batch_size(self.batch_rows);
            match &plan.selection {
                Some(selection) => builder.with_row_selection(selection.clone()).build(),
                None => builder.build(),
            }
        };
        guarded(&self.name, build)?.map_err(|error| unreadable(&self.name, plan.encrypted, error))
    }

    /// Refuses damaged pages, and those that claim more memory than a worker can give. Encrypted ones are not seen into: whoever
    /// held the key to write them is trusted that far.
    fn check_pages(&self) -> Result<(), Error> {
        if self.plan.encrypted {
            return Ok(());
        }
        for range in &self.plan.ranges {
            pages::check(&self.bytes, range.clone(), MAX_PAGE_BYTES)
                .map_err(|fault| Error::corrupt(&self.name, fault))?;
        }
        Ok(())
    }
}

impl Iterator for PieceBatches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch().transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.reader = None;
        }
        batch
    }
}

impl PieceBatches {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let stored = guarded(&self.name, || reader.next())?
            .transpose()
            .map_err(|error| unreadable(&self.name, self.encrypted, error))?;
        let delivered = stored.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        let left = self.rows_left.checked_sub(delivered);
        match (stored, left) {
            (Some(stored), Some(left)) => {
                self.rows_left = left;
                self.converted(&stored).map(Some)
            }
            (None, Some(0)) => Ok(None),
            _ => Err(Error::corrupt(
                &self.name,
                "a row group has other rows than the footer claims",
            )),
        }
    }

    fn converted(&self, stored: &RecordBatch) -> Result<RecordBatch, Error> {
        let rows = stored.num_rows();
        let split = |map: &WantedMap| self.split(stored.column(map.column), map);
        let maps = self.sources.maps.iter().map(split);
        let maps = maps.collect::<Result<Vec<_>, _>>()?;
        let column = |(feature, source): (&Feature, &Source)| match source {
            Source::Missing => Ok(new_null_array(&arrow_type(feature), rows)),
            Source::Column(column) => self.column(stored.column(*column), feature),
            Source::Entry { map, slot } => Ok(Arc::clone(&maps[*map][*slot])),
        };
        let columns = self
            .features
            .iter()
            .zip(&self.sources.by_feature)
            .map(column);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::corrupt(&self.name, error))
    }

    fn column(&self, stored: &ArrayRef, feature: &Feature) -> Result<ArrayRef, Error> {
        self.converting(feature, || convert(stored, feature))
    }

    fn split(&self, stored: &ArrayRef, map: &WantedMap) -> Result<Vec<ArrayRef>, Error> {
        let feature = &self.features[map.feature];
        self.converting(feature, || split(stored.as_map(), &map.slots, feature))
    }

    fn converting<T>(
        &self,
        feature: &Feature,
        convert: impl FnOnce() -> Result<T, ArrowError>,
    ) -> Result<T, Error> {
        guarded(&self.name, convert)?.map_err(|source| Error::Value {
            path: self.name.clone(),
            feature: feature.name.clone(),
            wanted: kind_name(feature.kind(), feature.width),
            source,
        })
    }
}

/// Stored bytes that the Parquet crate does not read. Its key is right by now: column metadata opened with it.
fn unreadable(name: &str, encrypted: bool, error: impl std::error::Error) -> Error {
    let text = message_with_causes(&error);
    match encrypted && (text.contains("ring::error") || text.contains("decrypting")) {
        true => Error::corrupt(
            name,
            "an encrypted page does not fit its tag: it was altered, or belongs to another place or file",
        ),
        false => Error::corrupt(name, text),
    }
}

/// With pages left out, rows between selected ones must be skipped, not decoded and dropped.
fn selection_policy(plan: &ReadPlan) -> RowSelectionPolicy {
    match plan.by_page {
        true => RowSelectionPolicy::Selectors,
        false => RowSelectionPolicy::default(),
    }
}

/// Runs `work`; a panic in it becomes an error that names the file. What panicked is not used again.
pub(crate) fn guarded<T>(name: &str, work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        Error::corrupt(
            name,
            format!("its decoder panicked: {}", panic_text(&*panic)),
        )
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

/// Writers cut pages at a megabyte or so; one huge value may make a longer one.
const MAX_PAGE_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_the_file() {
        let error = guarded("part-7", || assert_eq!(1, 2, "levels")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("part-7") && text.contains("levels"), "{text}");
        assert_eq!(guarded("part-7", || 1).unwrap(), 1);
    }
}
