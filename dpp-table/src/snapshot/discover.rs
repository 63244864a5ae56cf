//! Listing → data files with their Hive partition values, sorted by path.
//!
//! Skipped: names starting with `.` or `_` (a folder `_x=1` is a partition, not hidden) and zero-byte files.

use dpp_proto::v1::Predicate;
use futures::TryStreamExt;
use object_store::ObjectMeta;
use percent_encoding::percent_decode_str;

use crate::error::Error;
use crate::snapshot::predicate::{self, PartitionValue};
use crate::store::{ITSELF, Store};

/// A file, as the listing shows it.
#[derive(Clone, Debug)]
pub(crate) struct ListedFile {
    /// Relative to the table.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
    pub(crate) etag: Option<String>,
}

/// Lists the files that a filter keeps, ascending by path; at least one. Fails when nothing is there, when nothing is left, when
/// files disagree on partition columns, and when one is a link that leads nowhere.
pub(crate) async fn discover(
    store: &Store,
    filter: Option<&Predicate>,
) -> Result<Vec<ListedFile>, Error> {
    let mut files = Vec::new();
    let mut listing = store.list();
    while let Some((path, meta)) = listing.try_next().await? {
        if meta.size > 0 && !is_hidden(&path) {
            files.push(listed(path, meta));
        }
    }
    refuse_dangling_links(store, filter).await?;
    if files.is_empty() {
        files.push(the_table_itself(store).await?);
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    prune(store, files, |file| &file.path, filter).map(|(files, _)| files)
}

async fn refuse_dangling_links(store: &Store, filter: Option<&Predicate>) -> Result<(), Error> {
    for (path, target) in store.dangling_links().await {
        let is_kept = |filter| predicate::keeps(filter, &partitions(&path));
        if !is_hidden(&path) && filter.map_or(Ok(true), is_kept)? {
            return Err(Error::DanglingLink {
                path: store.name(&path),
                target: target.display().to_string(),
            });
        }
    }
    Ok(())
}

fn listed(path: String, meta: ObjectMeta) -> ListedFile {
    ListedFile {
        path,
        size_bytes: meta.size,
        modified_ms: meta.last_modified.timestamp_millis(),
        etag: meta.e_tag,
    }
}

async fn the_table_itself(store: &Store) -> Result<ListedFile, Error> {
    match store.itself().await? {
        Some(meta) if meta.size > 0 => Ok(listed(ITSELF.to_owned(), meta)),
        Some(_) => Err(empty(store, "the file has no bytes")),
        None => Err(empty(
            store,
            "it holds no data files (hidden and zero-byte ones are skipped)",
        )),
    }
}

/// The files whose partition `filter` keeps, and the partition columns. Fails when none is left, and when files disagree
/// on the columns.
pub(crate) fn prune<T>(
    store: &Store,
    files: Vec<T>,
    path_of: impl Fn(&T) -> &str,
    filter: Option<&Predicate>,
) -> Result<(Vec<T>, Vec<String>), Error> {
    let found = files.len();
    let first = files.first().map_or("", &path_of).to_owned();
    let partition_columns = names(&partitions(&first));
    let mut kept = Vec::with_capacity(found);
    for file in files {
        let path = path_of(&file);
        let values = partitions(path);
        if !values.iter().map(|(name, _)| name).eq(&partition_columns) {
            return Err(Error::Partitions {
                path: store.name(path),
                columns: names(&values),
                other_path: store.name(&first),
                other_columns: partition_columns,
            });
        }
        if match filter {
            Some(filter) => predicate::keeps(filter, &values)?,
            None => true,
        } {
            kept.push(file);
        }
    }
    if kept.is_empty() {
        return Err(empty(
            store,
            &format!("the filter keeps none of its {found} files"),
        ));
    }
    Ok((kept, partition_columns))
}

/// Hive partition values of a file, from its folders named `key=value`, outermost first.
pub(crate) fn partitions(path: &str) -> Vec<PartitionValue> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders
        .split('/')
        .filter_map(|folder| folder.split_once('='))
        .map(|(key, value)| (decoded(key), (value != HIVE_NULL).then(|| decoded(value))))
        .collect()
}

fn is_hidden(path: &str) -> bool {
    path.split('/')
        .any(|part| part.starts_with('.') || (part.starts_with('_') && !part.contains('=')))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn names(values: &[PartitionValue]) -> Vec<String> {
    values.iter().map(|(name, _)| name.clone()).collect()
}

fn empty(store: &Store, reason: &str) -> Error {
    Error::Empty {
        url: store.url().to_owned(),
        reason: reason.to_owned(),
    }
}

pub(crate) const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

#[cfg(test)]
mod tests {
    use std::fs;

    use dpp_proto::v1::comparison::{Operator, Value};
    use dpp_proto::v1::{Comparison, TableSource, predicate::Predicate as Form};

    use super::*;

    fn source(url: &str) -> TableSource {
        TableSource {
            url: url.to_owned(),
            ..TableSource::default()
        }
    }

    fn paths(listing: &[ListedFile]) -> Vec<&str> {
        listing.iter().map(|file| file.path.as_str()).collect()
    }

    async fn listed(
        files: &[(&str, &str)],
        filter: Option<&Predicate>,
    ) -> Result<Vec<ListedFile>, Error> {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let store = Store::open(&source(folder.path().to_str().unwrap())).unwrap();
        discover(&store, filter).await
    }

    #[test]
    fn partition_values_are_decoded() {
        let some = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(
            partitions("ds=2016-02-01/city=New%20York/part=x.parquet"),
            [some("ds", "2016-02-01"), some("city", "New York")]
        );
        assert_eq!(
            partitions("shop=__HIVE_DEFAULT_PARTITION__/a"),
            [("shop".to_owned(), None)]
        );
        assert_eq!(partitions("a=b=c/f"), [some("a", "b=c")]);
        assert_eq!(partitions("f"), []);
    }

    #[tokio::test]
    async fn data_files_are_found_and_sorted() {
        let files = [
            ("ds=2/b.parquet", "x"),
            ("ds=1/city=no/.b.crc", "x"),
            ("ds=1/a", "x"),
            ("_SUCCESS", "x"),
            ("_delta_log/0.json", "x"),
            ("ds=1/empty.parquet", ""),
            ("ds=2/New%20York ä.parquet", "x"),
        ];
        let listing = listed(&files, None).await.unwrap();
        assert_eq!(
            paths(&listing),
            ["ds=1/a", "ds=2/New%20York ä.parquet", "ds=2/b.parquet"]
        );
    }

    #[tokio::test]
    async fn filters_prune_and_may_keep_nothing() {
        let files = [("ds=1/a", "x"), ("ds=2/a", "x"), ("ds=10/a", "x")];
        let at_least = |day| Predicate {
            predicate: Some(Form::Comparison(Comparison {
                column: "ds".to_owned(),
                operator: Operator::GreaterOrEqual.into(),
                value: Some(Value::Integer(day)),
            })),
        };
        let listing = listed(&files, Some(&at_least(2))).await.unwrap();
        assert_eq!(paths(&listing), ["ds=10/a", "ds=2/a"]);
        let error = listed(&files, Some(&at_least(11))).await.unwrap_err();
        assert!(error.to_string().contains("none of its 3 files"), "{error}");
    }

    #[tokio::test]
    async fn nothing_there_is_said() {
        let error = listed(&[("_SUCCESS", "x")], None).await.unwrap_err();
        assert!(error.to_string().contains("no data files"), "{error}");
        let store = Store::open(&source("/nowhere/to/be/found")).unwrap();
        let error = discover(&store, None).await.unwrap_err();
        assert!(matches!(error, Error::NoTable { .. }), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_lead_somewhere_or_are_said() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        for day in ["ds=1", "ds=2"] {
            std::fs::create_dir(folder.path().join(day)).unwrap();
        }
        let file = folder.path().join("ds=1/a");
        std::fs::write(&file, "x").unwrap();
        symlink(&file, folder.path().join("ds=1/b")).unwrap();
        symlink("/no/such/file", folder.path().join("ds=1/.hidden")).unwrap();
        let store = Store::open(&source(folder.path().to_str().unwrap())).unwrap();
        assert_eq!(
            paths(&discover(&store, None).await.unwrap()),
            ["ds=1/a", "ds=1/b"]
        );
        symlink("/no/such/file", folder.path().join("ds=2/c")).unwrap();
        let error = discover(&store, None).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("ds=2/c is a link to /no/such/file"), "{text}");
        let first = Predicate {
            predicate: Some(Form::Comparison(Comparison {
                column: "ds".to_owned(),
                operator: Operator::Equal.into(),
                value: Some(Value::Integer(1)),
            })),
        };
        assert_eq!(discover(&store, Some(&first)).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn mixed_partition_columns_are_refused() {
        let error = listed(&[("ds=1/a", "x"), ("hour=1/a", "x")], None)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("[\"hour\"]") && text.contains("[\"ds\"]"),
            "{text}"
        );
    }
}
