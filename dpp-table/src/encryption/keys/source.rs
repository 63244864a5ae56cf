//! Where a process gets its keys from, as one line that holds no secret: what flags, environment and pickles name.
//!
//! ```text
//! keys.json, file:keys.json          a key file
//! env:VARIABLE                       what a key file holds, in an environment variable
//! vault:https://vault:8200/transit   master keys in Vault's transit engine   ?namespace=…&token_file=…&aad_prefix=…
//! aws-kms:eu-west-1, aws-kms:        master keys in AWS KMS                  ?aad_prefix=…
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(feature = "aws-kms")]
use super::service::aws_kms::{AwsKms, AwsKmsPlace};
#[cfg(feature = "vault")]
use super::service::vault::{Vault, VaultPlace};
use super::{KeyError, KeyProvider, KeyRing};

/// A place of keys. Parses, and shows itself, as the line above.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// A key file.
    File(PathBuf),
    /// An environment variable with a key file's content.
    Environment(String),
    /// HashiCorp Vault.
    #[cfg(feature = "vault")]
    Vault(VaultPlace),
    /// AWS KMS.
    #[cfg(feature = "aws-kms")]
    AwsKms(AwsKmsPlace),
}

impl KeySource {
    /// Reads what is there to read; a key service is not asked yet.
    pub fn open(&self) -> Result<Arc<dyn KeyProvider>, KeyError> {
        Ok(match self {
            KeySource::File(path) => Arc::new(KeyRing::from_file(path)?),
            KeySource::Environment(variable) => Arc::new(KeyRing::from_environment(variable)?),
            #[cfg(feature = "vault")]
            KeySource::Vault(place) => Arc::new(Vault::open(place)?),
            #[cfg(feature = "aws-kms")]
            KeySource::AwsKms(place) => Arc::new(AwsKms::open(place)?),
        })
    }
}

impl FromStr for KeySource {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<KeySource, KeyError> {
        let refuse = |reason: String| KeyError::Ring {
            place: format!("{:?}", text.split('?').next().unwrap_or_default()),
            reason,
        };
        match text.split_once(':') {
            Some(("file", path)) => Ok(KeySource::File(path.into())),
            Some(("env", "")) => Err(refuse("give env:VARIABLE".to_owned())),
            Some(("env", variable)) => Ok(KeySource::Environment(variable.to_owned())),
            Some(("vault", place)) => vault(place).map_err(refuse),
            Some(("aws-kms", place)) => aws_kms(place).map_err(refuse),
            _ if text.is_empty() => Err(refuse("give the path of a key file".to_owned())),
            _ => Ok(KeySource::File(text.into())),
        }
    }
}

#[cfg(feature = "vault")]
fn vault(text: &str) -> Result<KeySource, String> {
    let (url, options) = options(text, ["namespace", "token_file", "aad_prefix"])?;
    let [namespace, token_file, aad_prefix] = options;
    Ok(KeySource::Vault(VaultPlace {
        url,
        namespace,
        token_file: token_file.map(PathBuf::from),
        aad_prefix,
    }))
}

#[cfg(not(feature = "vault"))]
fn vault(_: &str) -> Result<KeySource, String> {
    Err("this build has no feature vault".to_owned())
}

#[cfg(feature = "aws-kms")]
fn aws_kms(text: &str) -> Result<KeySource, String> {
    let (region, [aad_prefix]) = options(text, ["aad_prefix"])?;
    let region = (!region.is_empty()).then_some(region);
    Ok(KeySource::AwsKms(AwsKmsPlace { region, aad_prefix }))
}

#[cfg(not(feature = "aws-kms"))]
fn aws_kms(_: &str) -> Result<KeySource, String> {
    Err("this build has no feature aws-kms".to_owned())
}

/// What stands before the `?`, and the values of the options behind it.
#[cfg(any(feature = "vault", feature = "aws-kms"))]
fn options<const N: usize>(
    text: &str,
    names: [&str; N],
) -> Result<(String, [Option<String>; N]), String> {
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    let mut values = [const { None }; N];
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match names.iter().position(|known| *known == name) {
            Some(at) => values[at] = Some(value.into_owned()),
            None => return Err(format!("{name:?} is none of its options {names:?}")),
        }
    }
    Ok((place.to_owned(), values))
}

impl fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => write!(formatter, "file:{}", path.display()),
            KeySource::Environment(variable) => write!(formatter, "env:{variable}"),
            #[cfg(feature = "vault")]
            KeySource::Vault(place) => {
                let token_file = place
                    .token_file
                    .as_ref()
                    .map(|file| file.display().to_string());
                let options = [
                    ("namespace", place.namespace.as_deref()),
                    ("token_file", token_file.as_deref()),
                    ("aad_prefix", place.aad_prefix.as_deref()),
                ];
                write!(formatter, "vault:{}{}", place.url, query(&options))
            }
            #[cfg(feature = "aws-kms")]
            KeySource::AwsKms(place) => {
                let region = place.region.as_deref().unwrap_or_default();
                let options = [("aad_prefix", place.aad_prefix.as_deref())];
                write!(formatter, "aws-kms:{region}{}", query(&options))
            }
        }
    }
}

#[cfg(any(feature = "vault", feature = "aws-kms"))]
fn query(options: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in options {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        none if none.is_empty() => none,
        some => format!("?{some}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_shown() {
        for (line, shown) in [
            ("keys.json", "file:keys.json"),
            ("/run/keys/a:b", "file:/run/keys/a:b"),
            ("file:env:x", "file:env:x"),
            ("env:DPP_KEY_RING", "env:DPP_KEY_RING"),
        ] {
            check(line, shown);
        }
        for wrong in ["", "env:"] {
            assert!(wrong.parse::<KeySource>().is_err(), "{wrong}");
        }
    }

    #[cfg(all(feature = "vault", feature = "aws-kms"))]
    #[test]
    fn lines_of_key_services() {
        for line in [
            "vault:https://vault:8200/transit",
            "vault:https://vault/a/b?namespace=ads&token_file=%2Frun%2Ftoken&aad_prefix=a+b",
            "aws-kms:",
            "aws-kms:eu-west-1?aad_prefix=clicks",
        ] {
            check(line, line);
        }
        for wrong in [
            "vault:https://vault/transit?token=hunter2",
            "aws-kms:?key=x",
        ] {
            let error = wrong.parse::<KeySource>().unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("none of its options") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    fn check(line: &str, shown: &str) {
        let source: KeySource = line.parse().unwrap();
        assert_eq!(source.to_string(), shown);
        assert_eq!(shown.parse::<KeySource>().unwrap(), source);
    }
}
