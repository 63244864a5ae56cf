//! URL and storage options → object store. Parses and builds; nothing is contacted yet.

use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dpp_proto::v1::StorageOption;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use url::Url;

use crate::error::Error;
use crate::store::transport::Connector;

/// Where bytes come from, as far as reading them differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This machine's file system: requests are cheap.
    Local,
    /// Over the network: requests cost a round trip.
    Remote,
}

/// A URL's store and the path in it.
pub(crate) struct Location {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) base: Path,
    pub(crate) place: Place,
    /// The URL for messages: without credentials, query or trailing slash.
    pub(crate) shown: String,
    /// The one name of this place, whatever the URL looked like: `/path` or `s3://bucket/path`.
    pub(crate) name: String,
}

/// Parses a local path, `file://` or `s3://` URL. Options concern `s3://` and go by object_store's names;
/// what they leave out comes from the environment (`AWS_*`).
pub(crate) fn locate(url: &str, options: &[StorageOption]) -> Result<Location, Error> {
    if url.is_empty() {
        return Err(refuse(
            url,
            "the URL is empty; give a path, file:// or s3://",
        ));
    }
    if !url.contains("://") {
        check_local(url, options)?;
        return local(PathBuf::from(url), url);
    }
    let parsed = Url::parse(url).map_err(|error| refuse(&without_userinfo(url), error))?;
    let shown = shown(&parsed);
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(refuse(
            &shown,
            "it holds credentials; give them in the environment or as storage options",
        ));
    }
    match parsed.scheme() {
        "file" => match parsed.to_file_path() {
            Ok(path) => {
                check_local(&shown, options)?;
                local(path, &shown)
            }
            Err(()) => Err(refuse(&shown, "a file URL reads file:///absolute/path")),
        },
        "s3" | "s3a" => s3(&parsed, shown, options),
        scheme => Err(refuse(
            &shown,
            format!("unknown scheme {scheme:?}; give a path, file:// or s3://"),
        )),
    }
}

/// Whether a URL is of this machine's file system.
pub(crate) fn is_local(url: &str) -> bool {
    !url.contains("://") || url.starts_with("file://")
}

/// Local files take no options. Those of object stores may be set for all tables of a process and are let pass.
fn check_local(shown: &str, options: &[StorageOption]) -> Result<(), Error> {
    let unknown = |option: &&StorageOption| option_key(shown, &option.key).is_err();
    match options.iter().find(unknown) {
        None => Ok(()),
        Some(option) => option_key(shown, &option.key).map(|_| ()),
    }
}

fn local(path: PathBuf, shown: &str) -> Result<Location, Error> {
    let absolute = std::fs::canonicalize(&path)
        .or_else(|_| std::path::absolute(&path).map(without_dots))
        .map_err(|error| refuse(shown, error))?;
    let base = Path::from_absolute_path(&absolute).map_err(|error| refuse(shown, error))?;
    Ok(Location {
        name: format!("/{base}"),
        objects: Arc::new(LocalFileSystem::new()),
        base,
        place: Place::Local,
        shown: shown.trim_end_matches('/').to_owned(),
    })
}

fn s3(url: &Url, shown: String, options: &[StorageOption]) -> Result<Location, Error> {
    let bucket = url
        .host_str()
        .filter(|bucket| !bucket.is_empty())
        .ok_or_else(|| refuse(&shown, "it names no bucket; write s3://bucket/path"))?;
    let base = Path::from_url_path(url.path()).map_err(|error| refuse(&shown, error))?;
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_http_connector(Connector)
        .with_retry(retries());
    for option in options {
        builder = builder.with_config(option_key(&shown, &option.key)?, &option.value);
    }
    builder = with_default(builder, ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT);
    check_endpoint(&shown, &builder)?;
    let objects = builder
        .build()
        .map_err(|error| refuse(&shown, error_text(&error)))?;
    Ok(Location {
        name: format!("s3://{bucket}/{base}")
            .trim_end_matches('/')
            .to_owned(),
        objects: Arc::new(objects),
        base,
        place: Place::Remote,
        shown,
    })
}

fn option_key(url: &str, key: &str) -> Result<AmazonS3ConfigKey, Error> {
    key.to_ascii_lowercase().parse().map_err(|_| Error::Option {
        url: url.to_owned(),
        key: key.to_owned(),
        reason: "unknown; known are endpoint, region, allow_http, access_key_id and the like"
            .to_owned(),
    })
}

fn with_default(builder: AmazonS3Builder, key: ClientConfigKey, value: &str) -> AmazonS3Builder {
    let key = AmazonS3ConfigKey::Client(key);
    match builder.get_config_value(&key) {
        Some(_) => builder,
        None => builder.with_config(key, value),
    }
}

/// A plain-HTTP endpoint fails in the client with words that help nobody.
fn check_endpoint(url: &str, builder: &AmazonS3Builder) -> Result<(), Error> {
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    let allowed = builder
        .get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp))
        .is_some_and(|value| {
            ["true", "1", "yes", "on", "y", "t"].contains(&value.to_ascii_lowercase().as_str())
        });
    match endpoint {
        Some(endpoint) if endpoint.starts_with("http://") && !allowed => Err(Error::Option {
            url: url.to_owned(),
            key: "endpoint".to_owned(),
            reason: "it is plain http; set allow_http=true to permit that".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// An endpoint nobody answers is an error within about ten seconds; a hiccup is tried again. Busy stores: `transport`.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(6),
    }
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // both fail only for URLs that can't hold credentials at all
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// What can be shown of a URL that does not parse.
fn without_userinfo(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

/// `a/b/../c` → `a/c`: for paths that do not exist, so that links need not be asked.
fn without_dots(path: PathBuf) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

fn error_text(error: &object_store::Error) -> String {
    dpp_proto::fault::message_with_causes(error)
}

fn refuse(url: &str, reason: impl ToString) -> Error {
    Error::Url {
        url: url.to_owned(),
        reason: reason.to_string(),
    }
}

const CONNECT_TIMEOUT: &str = "3 seconds";

#[cfg(test)]
mod tests {
    use super::*;

    fn option(key: &str, value: &str) -> StorageOption {
        StorageOption {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    fn refused(url: &str, options: &[StorageOption]) -> String {
        match locate(url, options) {
            Ok(location) => panic!("{url} was accepted as {}", location.shown),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_three_forms_are_located() {
        let here = locate("/tmp/table/", &[]).unwrap();
        assert_eq!(
            (here.place, here.base.as_ref()),
            (Place::Local, "tmp/table")
        );
        assert_eq!(here.shown, "/tmp/table");
        let file = locate("file:///tmp/a%20b/nowhere", &[]).unwrap();
        assert_eq!(
            (file.place, file.base.as_ref()),
            (Place::Local, "tmp/a b/nowhere")
        );
        let options = [
            option("endpoint", "http://127.0.0.1:9"),
            option("aws_allow_http", "true"),
            option("region", "us-east-1"),
        ];
        let s3 = locate("s3://bucket/some/table/", &options).unwrap();
        assert_eq!((s3.place, s3.base.as_ref()), (Place::Remote, "some/table"));
        assert_eq!(s3.shown, "s3://bucket/some/table");
    }

    #[test]
    fn wrong_urls_say_what_to_do() {
        assert!(refused("", &[]).contains("empty"));
        assert!(refused("gopher://x/y", &[]).contains("unknown scheme \"gopher\""));
        assert!(refused("file://relative/path", &[]).contains("file:///"));
        assert!(refused("s3:///key", &[]).contains("bucket"));
        for url in ["s3://b/t", "/tmp/t", "file:///tmp/t"] {
            assert!(refused(url, &[option("colour", "red")]).contains("\"colour\""));
        }
        assert!(locate("/tmp/t", &[option("region", "x")]).is_ok());
        let plain = [
            option("endpoint", "http://localhost:1"),
            option("region", "x"),
        ];
        assert!(refused("s3://b/t", &plain).contains("allow_http"));
    }

    #[test]
    fn secrets_are_not_repeated() {
        let text = refused("s3://key:hunter2@bucket/t", &[]);
        assert!(
            !text.contains("hunter2") && text.contains("credentials"),
            "{text}"
        );
        let text = refused("s3://b/t", &[option("seccret_key", "hunter2")]);
        assert!(!text.contains("hunter2"), "{text}");
    }
}
