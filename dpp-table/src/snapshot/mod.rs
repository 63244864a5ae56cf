//! The exact files a run reads: hashed by content, stored at a URL.
//!
//! In data order: `discover` lists, `predicate` prunes, `take` opens what is not known yet, `stored` writes it down and
//! `place` keeps that at a URL. The hash covers every field of every file and not where the table is, so a copied table
//! keeps its hash.

pub(crate) mod discover;
pub(crate) mod place;
pub mod predicate;
mod stored;
pub(crate) mod survey;
pub(crate) mod take;

use std::sync::Arc;

use dpp_proto::v1::SnapshotFile;
use sha2::{Digest, Sha256};

use crate::snapshot::stored::FORMAT;
use crate::snapshot::survey::Survey;

/// Files sorted by path; their rows, one file after the other, are the snapshot's rows 0 .. N-1.
///
/// Snapshots of the same files are equal.
#[derive(Clone, Debug)]
pub struct Snapshot {
    files: Vec<SnapshotFile>,
    first_rows: Vec<u64>,
    num_rows: u64,
    hash: String,
    survey: Arc<Survey>,
}

impl Snapshot {
    /// Sorts `files` by path and hashes them. No files give a snapshot of no rows.
    pub fn new(files: Vec<SnapshotFile>) -> Snapshot {
        Snapshot::with_survey(files, Survey::default())
    }

    pub(crate) fn with_survey(mut files: Vec<SnapshotFile>, survey: Survey) -> Snapshot {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut num_rows = 0_u64;
        let first_rows = files
            .iter()
            .map(|file| {
                let first = num_rows;
                num_rows = file
                    .row_group_rows
                    .iter()
                    .fold(first, |sum, rows| sum.saturating_add(*rows));
                first
            })
            .collect();
        Snapshot {
            hash: hash(&files),
            files,
            first_rows,
            num_rows,
            survey: Arc::new(survey),
        }
    }

    /// The same survey over some of the files.
    pub(crate) fn keeping(&self, files: Vec<SnapshotFile>) -> Snapshot {
        Snapshot {
            survey: Arc::clone(&self.survey),
            ..Snapshot::new(files)
        }
    }

    /// What was learnt with the files.
    pub(crate) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[SnapshotFile] {
        &self.files
    }

    /// The files, sorted by path.
    pub fn into_files(self) -> Vec<SnapshotFile> {
        self.files
    }

    /// For each file, the position in the snapshot of its first row.
    pub fn first_rows(&self) -> &[u64] {
        &self.first_rows
    }

    /// Rows of all files.
    pub fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// SHA-256 over every field, each preceded by its length or of fixed width: 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Snapshot) -> bool {
        self.files == other.files
    }
}

fn hash(files: &[SnapshotFile]) -> String {
    let mut hash = Sha256::new();
    let mut word = |word: u64, text: &str| {
        hash.update(word.to_le_bytes());
        hash.update(text);
    };
    word(FORMAT.len() as u64, FORMAT);
    word(files.len() as u64, "");
    for file in files {
        word(file.path.len() as u64, &file.path);
        word(file.size_bytes, "");
        word(file.row_group_rows.len() as u64, "");
        file.row_group_rows.iter().for_each(|rows| word(*rows, ""));
        word(file.footer_checksum, "");
    }
    hexadecimal(&hash.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::datatypes::{DataType, Field, Schema};
    use dpp_proto::v1::Kind;

    use super::*;
    use crate::features::schema::SchemaUnion;

    fn file(path: &str, row_group_rows: &[u64]) -> SnapshotFile {
        SnapshotFile {
            path: path.to_owned(),
            size_bytes: 1000,
            row_group_rows: row_group_rows.to_vec(),
            footer_checksum: u64::MAX - 1,
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot::new(vec![file("b", &[5]), file("a", &[2, 3])])
    }

    #[test]
    fn rows_follow_the_paths() {
        assert_eq!(snapshot().files()[0].path, "a");
        assert_eq!(snapshot().first_rows(), [0, 5]);
        assert_eq!(snapshot().num_rows(), 10);
        assert_eq!(Snapshot::new(vec![]).num_rows(), 0);
    }

    #[test]
    fn the_hash_is_kept_for_ever() {
        // computed with hashlib from the fields, independently
        let expected = "c1faf86c06d91ae7bba0e0d4c095deef934edbf89302e7473517e7e335ad650b";
        assert_eq!(snapshot().hash(), expected);
    }

    #[test]
    fn every_field_is_hashed() {
        let base = snapshot();
        let changes: [fn(&mut SnapshotFile); 5] = [
            |file| file.path.push('x'),
            |file| file.size_bytes += 1,
            |file| file.row_group_rows[0] += 1,
            |file| file.row_group_rows.push(0),
            |file| file.footer_checksum ^= 1,
        ];
        for change in changes {
            let mut files = base.clone().into_files();
            change(&mut files[0]);
            assert_ne!(Snapshot::new(files).hash(), base.hash());
        }
        let order = vec![file("a", &[2, 3]), file("b", &[5])];
        assert_eq!(Snapshot::new(order).hash(), base.hash());
    }

    #[test]
    fn written_and_read() {
        let mut columns = SchemaUnion::default();
        let field = |name, of| Field::new(name, of, true);
        let fields = vec![field("a", DataType::Int32), field("n", DataType::Null)];
        columns.add("t/a", &Schema::new(fields)).unwrap();
        let survey = Survey {
            columns,
            modified_ms: HashMap::from([("a".to_owned(), -5)]),
        };
        let snapshot = Snapshot::with_survey(snapshot().into_files(), survey);
        let read = stored::from_json(&stored::to_json(&snapshot)).unwrap();
        assert_eq!(read, snapshot);
        assert_eq!(read.survey().modified_ms, snapshot.survey().modified_ms);
        assert_eq!(
            read.survey().columns.finish(vec![]),
            snapshot.survey().columns.finish(vec![])
        );
        assert_eq!(
            read.survey().columns.columns()["n"].meaning,
            "of a type that is no feature"
        );
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let mut columns = SchemaUnion::default();
        columns.add_feature("t/a", "clicks", Kind::Int, 0).unwrap();
        let survey = Survey {
            columns,
            modified_ms: HashMap::new(),
        };
        let snapshot = Snapshot::with_survey(snapshot().into_files(), survey);
        let text = String::from_utf8(stored::to_json(&snapshot)).unwrap();
        assert!(stored::from_json(text.as_bytes()).is_ok());
        for (text, says) in [
            ("{}".to_owned(), "format"),
            (text.replace("\"version\":2", "\"version\":9"), "version 9"),
            (text.replace("1000", "1001"), "hash"),
            (text.replace("clicks", "views"), "hash"),
            (text.replace("fffffffffffffffe", "xyz"), "checksum"),
        ] {
            let error = stored::from_json(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
