//! A fetched piece → record batches, one at a time as they are pulled. Computes; waits only for chunks that are streamed.
//!
//! The Parquet crate panics on some malformed files; a panic ends this piece with an error and nothing else.

use std::any::Any;
use std::collections::HashSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, RecordBatch, RecordBatchOptions, RecordBatchReader, new_null_array,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use dpp_proto::fault::message_with_causes;
use dpp_proto::v1::Feature;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelectionPolicy,
};

use crate::error::Error;
use crate::features::schema::kind_name;
use crate::read::columns::Columns;
use crate::read::columns::shape::{Shape, shapes};
use crate::read::convert::{arrow_type, convert};
use crate::read::fetch::{FetchedPiece, ReadCounters};
use crate::read::map_split::split;
use crate::read::pages;
use crate::read::pages::checked::CheckedPages;
use crate::read::plan::ReadPlan;
use crate::read::sources::{Source, Sources, WantedMap, sources};
use crate::read::sparse::SparseFile;
use crate::read::stream::Stream;
use crate::read::value_map::{self, ValueMap};

/// A piece's rows, in stored order. After an error nothing follows.
pub struct PieceBatches {
    name: String,
    features: Arc<[Feature]>,
    sources: Sources,
    schema: SchemaRef,
    /// `None` after the end or an error.
    readers: Option<Readers>,
    batch_rows: usize,
    rows_left: u64,
    bytes: SparseFile,
    is_mapped: Vec<bool>,
}

/// What decodes a piece's columns.
struct Readers {
    ours: Columns,
    /// For what is not among ours, if anything.
    crates: Option<ParquetRecordBatchReader>,
}

impl FetchedPiece {
    /// Starts decoding. Batches have at most `batch_rows` rows and exactly the features asked for, in that order, as
    /// [`arrow_type`] says. Of a piece that may hold less than it has, both this and the batches wait for storage: not to be
    /// called on a thread of the runtime that fetched it.
    pub fn decode(self) -> Result<PieceBatches, Error> {
        self.decode_mapped(&[])
    }

    /// As [`FetchedPiece::decode`], with the values of some features mapped on the way, where a dictionary makes that less work:
    /// `maps` says by what, a feature each, none beyond its end; [`PieceBatches::is_mapped`] says which were.
    pub fn decode_mapped(self, maps: &[Option<ValueMap>]) -> Result<PieceBatches, Error> {
        let (name, bytes) = (self.name.clone(), self.bytes.clone());
        let decoding = guarded(&self.name, || shapes(&self))
            .flatten()
            .and_then(|mut shapes| {
                let is_mapped = value_map::give(&mut shapes, maps, &self.plan);
                let batches = self.decode_columns(shapes)?;
                Ok(PieceBatches {
                    is_mapped,
                    ..batches
                })
            });
        decoding.map_err(|error| cause(&name, &bytes, error))
    }

    /// As [`FetchedPiece::decode`], by the Parquet crate alone: what our own decoding is compared with.
    pub fn decode_by_crate(self) -> Result<PieceBatches, Error> {
        self.decode_columns(Vec::new())
    }

    fn decode_columns(self, shapes: Vec<Shape>) -> Result<PieceBatches, Error> {
        let readers = match self.plan.rows {
            0 => None,
            _ => Some(self.readers(shapes)?),
        };
        let sources = readers.as_ref().map(|readers| {
            let crates = readers
                .crates
                .as_ref()
                .map(ParquetRecordBatchReader::schema);
            let theirs = crates.iter().flat_map(|schema| schema.fields());
            let names = readers.ours.names();
            let names = names.chain(theirs.map(|field| field.name().as_str()));
            sources(names, &self.plan.places)
        });
        let field = |feature: &Feature| Field::new(&feature.name, arrow_type(feature), true);
        Ok(PieceBatches {
            sources: sources.unwrap_or_default(),
            schema: Arc::new(Schema::new(
                self.features.iter().map(field).collect::<Vec<_>>(),
            )),
            features: self.features,
            name: self.name,
            readers,
            batch_rows: self.batch_rows,
            rows_left: self.plan.rows,
            is_mapped: Vec::new(),
            bytes: self.bytes,
        })
    }

    fn readers(&self, shapes: Vec<Shape>) -> Result<Readers, Error> {
        let roots: HashSet<usize> = shapes.iter().map(|shape| shape.root).collect();
        let keys = shapes.iter().filter_map(|shape| shape.keys.as_ref());
        let keys = keys.map(|keys| &keys.chunk);
        let chunks: Vec<Range<u64>> = (shapes.iter().map(|shape| &shape.chunk))
            .chain(keys)
            .cloned()
            .collect();
        let ours = guarded(&self.name, || Columns::open(self, shapes))??;
        let is_ours = |range: &Range<u64>| {
            let mut chunks = chunks.iter();
            chunks.any(|chunk| chunk.start <= range.start && range.end <= chunk.end)
        };
        let ranges = self.plan.ranges.iter().filter(|range| !is_ours(range));
        let theirs: Vec<Range<u64>> = ranges.cloned().collect();
        let crates = match theirs.is_empty() && !roots.is_empty() {
            true => None,
            false => Some(self.reader(&theirs, &self.without(&roots))?),
        };
        Ok(Readers { ours, crates })
    }

    /// The piece's columns but for those of some roots.
    fn without(&self, roots: &HashSet<usize>) -> ProjectionMask {
        let plan = &self.plan;
        let schema = plan.arrow.metadata().file_metadata().schema_descr();
        let wanted = |leaf: &usize| {
            plan.projection.leaf_included(*leaf)
                && !roots.contains(&schema.get_column_root_idx(*leaf))
        };
        ProjectionMask::leaves(schema, (0..schema.num_columns()).filter(wanted))
    }

    /// The rows as stored, all at once and not converted: for a bounded few.
    pub(crate) fn stored_rows(self) -> Result<Vec<RecordBatch>, Error> {
        self.stored_batches()?.collect()
    }

    /// The rows as stored, a batch at a time, not converted.
    pub(crate) fn stored_batches(
        self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>>, Error> {
        let reader = self.reader(&self.plan.ranges, &self.plan.projection);
        let mut reader = reader.map_err(|error| cause(&self.name, &self.bytes, error))?;
        let (name, bytes) = (self.name, self.bytes);
        Ok(std::iter::from_fn(move || {
            let next = guarded(&name, || reader.next()).transpose()?;
            let next = next.and_then(|batch| batch.map_err(|error| unreadable(&name, error)));
            Some(next.map_err(|error| cause(&name, &bytes, error)))
        }))
    }

    /// The crate's reader of some of the columns, whose stored bytes are `ranges`.
    fn reader(
        &self,
        ranges: &[Range<u64>],
        columns: &ProjectionMask,
    ) -> Result<ParquetRecordBatchReader, Error> {
        self.check_pages(ranges)?;
        let plan = &self.plan;
        let build = || {
            let pages = CheckedPages::new(self.bytes.clone());
            let arrow = plan.arrow.clone();
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, arrow)
                .with_row_groups(vec![plan.row_group])
                .with_projection(columns.clone())
                .with_row_selection_policy(selection_policy(plan))
                .with_batch_size(self.batch_rows);
            match &plan.selection {
                Some(selection) => builder.with_row_selection(selection.clone()).build(),
                None => builder.build(),
            }
        };
        guarded(&self.name, build)?.map_err(|error| unreadable(&self.name, error))
    }

    /// Refuses damaged pages, and those that claim more memory than a worker can give; streamed ones are checked when they
    /// come.
    fn check_pages(&self, ranges: &[Range<u64>]) -> Result<(), Error> {
        for range in ranges {
            if self.bytes.is_streamed(range.start) {
                continue;
            }
            pages::check(&self.bytes, range.clone(), pages::MAX_PAGE_BYTES)
                .map_err(|fault| Error::corrupt(&self.name, fault))?;
        }
        Ok(())
    }
}

impl Iterator for PieceBatches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_of(self.batch_rows)
    }
}

impl PieceBatches {
    /// The next batch, of at most `rows` rows where nothing is left to the Parquet crate, whose batches have the rows asked for
    /// at first.
    pub fn next_of(&mut self, rows: usize) -> Option<Result<RecordBatch, Error>> {
        let batch = self.next_batch(rows).transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.readers = None;
        }
        Some(batch?.map_err(|error| cause(&self.name, &self.bytes, error)))
    }

    /// What decoding fetched so far: nothing, unless chunks are streamed.
    pub fn io(&self) -> ReadCounters {
        self.bytes.stream().map(Stream::io).unwrap_or_default()
    }

    /// For each feature whether its values were mapped; none beyond the end were.
    pub fn is_mapped(&self) -> &[bool] {
        &self.is_mapped
    }

    fn next_batch(&mut self, most_rows: usize) -> Result<Option<RecordBatch>, Error> {
        let Some(readers) = &mut self.readers else {
            return Ok(None);
        };
        let name = &self.name;
        let (theirs, rows) = match &mut readers.crates {
            Some(reader) => {
                let stored = guarded(name, || reader.next())?
                    .transpose()
                    .map_err(|error| unreadable(name, error))?;
                let rows = stored.as_ref().map_or(0, RecordBatch::num_rows);
                (stored, rows as u64)
            }
            None => (None, self.rows_left.min(most_rows as u64)),
        };
        if rows == 0 && self.rows_left == 0 {
            return Ok(None);
        }
        let left = self.rows_left.checked_sub(rows).filter(|_| rows > 0);
        self.rows_left = left.ok_or_else(|| {
            Error::corrupt(name, "a row group has other rows than the footer claims")
        })?;
        let mut stored = guarded(name, || readers.ours.next(rows as usize))??;
        let ours = stored.len();
        let theirs = theirs.iter().flat_map(|batch| batch.columns());
        stored.extend(theirs.cloned());
        self.converted(&stored, ours, rows as usize).map(Some)
    }

    /// The features of stored columns, of which the first `ours` were decoded here.
    fn converted(
        &self,
        stored: &[ArrayRef],
        ours: usize,
        rows: usize,
    ) -> Result<RecordBatch, Error> {
        let split = |map: &WantedMap| self.split(&stored[map.column], map);
        let maps = self.sources.maps.iter().map(split);
        let maps = maps.collect::<Result<Vec<_>, _>>()?;
        let column = |(feature, source): (&Feature, &Source)| match source {
            Source::Missing => Ok(new_null_array(&arrow_type(feature), rows)),
            Source::Column(column) => {
                let bring = if *column < ours { brought } else { convert };
                self.converting(feature, || bring(&stored[*column], feature))
            }
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

    fn split(&self, stored: &ArrayRef, map: &WantedMap) -> Result<Vec<ArrayRef>, Error> {
        let feature = &self.features[map.feature];
        self.converting(feature, || match stored.as_struct_opt() {
            // decoded here, slot by slot
            Some(slots) => {
                let slots = slots.columns().iter();
                slots.map(|slot| brought(slot, feature)).collect()
            }
            None => split(stored.as_map(), &map.slots, feature),
        })
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

/// As [`convert`], of what is decoded here, where nulls are left out already: of its kind's type it is what it should be.
fn brought(stored: &ArrayRef, feature: &Feature) -> Result<ArrayRef, ArrowError> {
    match stored.data_type() == &arrow_type(feature) {
        true => Ok(Arc::clone(stored)),
        false => convert(stored, feature),
    }
}

/// Why decoding failed: storage may have been the reason, or a page that does not open.
fn cause(name: &str, bytes: &SparseFile, error: Error) -> Error {
    bytes.fault(name).unwrap_or(error)
}

/// Stored bytes that the Parquet crate does not read.
fn unreadable(name: &str, error: impl std::error::Error) -> Error {
    Error::corrupt(name, message_with_causes(&error))
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
