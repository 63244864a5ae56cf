//! A snapshot as JSON: one line a file, so that two of them can be compared by eye.

use std::collections::{BTreeMap, HashMap};

use dpp_proto::v1::{Feature, Kind, SnapshotFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::features::schema::{Column, SchemaUnion};
use crate::snapshot::survey::Survey;
use crate::snapshot::{Snapshot, hexadecimal};

/// Writes a snapshot with its survey.
pub(crate) fn to_json(snapshot: &Snapshot) -> Vec<u8> {
    let survey = snapshot.survey();
    let columns = survey.columns.columns().iter().map(StoredColumn::of);
    let columns: Vec<_> = columns.map(|column| line(&column)).collect();
    let file = |file: &SnapshotFile| line(&StoredFile::of(file, &survey.modified_ms));
    let files: Vec<_> = snapshot.files().iter().map(file).collect();
    let text = format!(
        "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\n\"hash\":\"{}\",\n\"columns_hash\":\"{}\",\n\
         \"columns\":[\n{}\n],\n\"files\":[\n{}\n]}}\n",
        snapshot.hash(),
        columns_hash(&survey.columns),
        columns.join(",\n"),
        files.join(",\n"),
    );
    text.into_bytes()
}

/// Reads what [`to_json`] wrote, or says what is wrong with it.
pub(crate) fn from_json(text: &[u8]) -> Result<Snapshot, String> {
    let head: Head = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(format!(
            "it is {} version {}, and this build reads {FORMAT} version {VERSION}",
            head.format, head.version
        ));
    }
    let stored: Stored = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let columns = stored.columns.into_iter().map(StoredColumn::read);
    let columns = SchemaUnion::of(columns.collect::<Result<BTreeMap<_, _>, _>>()?);
    let (mut files, mut modified_ms) = (Vec::new(), HashMap::new());
    for file in stored.files {
        modified_ms.extend(file.modified_ms.map(|ms| (file.path.clone(), ms)));
        files.push(file.read()?);
    }
    let same = columns_hash(&columns) == stored.columns_hash;
    let survey = Survey {
        columns,
        modified_ms,
    };
    let snapshot = Snapshot::with_survey(files, survey);
    match same && snapshot.hash() == stored.hash {
        true => Ok(snapshot),
        false => {
            Err("its content does not have the hash it states; it was edited or damaged".to_owned())
        }
    }
}

/// Notices damage to what the snapshot's own hash does not cover.
fn columns_hash(columns: &SchemaUnion) -> String {
    let mut hash = Sha256::new();
    for column in columns.columns() {
        hash.update(line(&StoredColumn::of(column)));
    }
    hexadecimal(&hash.finalize())
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers always serialise")
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct Stored {
    hash: String,
    columns_hash: String,
    columns: Vec<StoredColumn>,
    files: Vec<StoredFile>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    name: String,
    /// As the protocol names it; absent: of a type that is no feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    width: u32,
    meaning: String,
    /// URL of the first file that had it, for messages.
    file: String,
}

#[derive(Serialize, Deserialize)]
struct StoredFile {
    path: String,
    size_bytes: u64,
    row_group_rows: Vec<u64>,
    /// 16 hexadecimal digits: many JSON readers round integers of 64 bits.
    footer_checksum: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_ms: Option<i64>,
}

impl StoredColumn {
    fn of((name, column): (&String, &Column)) -> StoredColumn {
        let feature = column.feature.as_ref();
        StoredColumn {
            name: name.clone(),
            kind: feature.map(|feature| feature.kind().as_str_name().to_owned()),
            width: feature.map_or(0, |feature| feature.width),
            meaning: column.meaning.clone(),
            file: column.file.clone(),
        }
    }

    fn read(self) -> Result<(String, Column), String> {
        let kind = self.kind.map(|kind| {
            Kind::from_str_name(&kind).ok_or_else(|| format!("column {}: kind {kind:?}", self.name))
        });
        let feature = kind.transpose()?.map(|kind| Feature {
            name: self.name.clone(),
            kind: kind.into(),
            width: self.width,
        });
        let column = Column {
            feature,
            meaning: self.meaning,
            file: self.file,
        };
        Ok((self.name, column))
    }
}

impl StoredFile {
    fn of(file: &SnapshotFile, modified_ms: &HashMap<String, i64>) -> StoredFile {
        StoredFile {
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            row_group_rows: file.row_group_rows.clone(),
            footer_checksum: format!("{:016x}", file.footer_checksum),
            modified_ms: modified_ms.get(&file.path).copied(),
        }
    }

    fn read(self) -> Result<SnapshotFile, String> {
        let footer_checksum = u64::from_str_radix(&self.footer_checksum, 16)
            .map_err(|error| format!("checksum of {}: {error}", self.path))?;
        Ok(SnapshotFile {
            path: self.path,
            size_bytes: self.size_bytes,
            row_group_rows: self.row_group_rows,
            footer_checksum,
        })
    }
}

fn is_zero(width: &u32) -> bool {
    *width == 0
}

/// Also the first word of the snapshot's hash.
pub(crate) const FORMAT: &str = "dpp.snapshot";
const VERSION: u32 = 2;
