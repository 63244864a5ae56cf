//! Master keys in the transit engine of HashiCorp Vault (and OpenBao), which never hands them out.
//!
//! ```text
//! POST {address}/v1/{mount}/decrypt/{master key}   {"ciphertext": "vault:v1:…"}  ─▶  {"data": {"plaintext": base64}}
//! POST {address}/v1/{mount}/encrypt/{master key}   {"plaintext": base64}  ─▶  {"data": {"ciphertext": "vault:v1:…"}}
//! ```
//!
//! Files hold the ciphertext as it is, as Spark's sample client for Vault writes it. The token comes from `VAULT_TOKEN`, or
//! is read from a file whenever it is needed, since agents renew it.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Asking, Verdict, address, nobody_answered, quoted, said, unusable};
use crate::encryption::keys::{KeyError, KeyProvider, SecretKey};

/// Where a transit engine is; holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VaultPlace {
    /// Of the server, with the mount point of the engine as path: `https://vault:8200/transit`.
    pub url: String,
    /// Vault's namespace; by default `VAULT_NAMESPACE`.
    pub namespace: Option<String>,
    /// A file with the token; by default the token is `VAULT_TOKEN`, or what is in `~/.vault-token`.
    pub token_file: Option<PathBuf>,
    /// What all files must have been written with.
    pub aad_prefix: Option<String>,
}

/// A transit engine.
pub(crate) struct Vault {
    pub(super) asking: Asking,
    url: Url,
    namespace: Option<String>,
    token: Token,
    aad_prefix: Option<Vec<u8>>,
}

enum Token {
    Given(Zeroizing<String>),
    File(PathBuf),
}

impl Vault {
    /// Reads the environment; asks nothing.
    pub(crate) fn open(place: &VaultPlace) -> Result<Vault, KeyError> {
        let refuse = |reason: String| KeyError::Ring {
            place: format!("vault:{}", place.url),
            reason,
        };
        let roots = match std::env::var_os("VAULT_CACERT") {
            Some(path) => Some(std::fs::read(&path).map_err(|error| {
                refuse(format!(
                    "$VAULT_CACERT {}: {error}",
                    PathBuf::from(&path).display()
                ))
            })?),
            None => None,
        };
        let namespace = place.namespace.clone();
        Ok(Vault {
            asking: Asking::new(roots.as_deref()).map_err(refuse)?,
            url: engine(&place.url).map_err(refuse)?,
            namespace: namespace.or_else(|| std::env::var("VAULT_NAMESPACE").ok()),
            token: Token::find(place.token_file.as_ref()).map_err(refuse)?,
            aad_prefix: place.aad_prefix.clone().map(String::into_bytes),
        })
    }

    /// Asks the engine to do `verb` with a master key, and returns `field` of its answer.
    async fn transit(
        &self,
        verb: &str,
        master_key_id: &str,
        body: &serde_json::Value,
        field: &str,
    ) -> Result<Zeroizing<String>, KeyError> {
        let token = self.token.read().map_err(|reason| KeyError::Denied {
            key: quoted(master_key_id),
            reason,
        })?;
        let request = self.request(verb, master_key_id, body, &token)?;
        let read =
            |status: StatusCode, body: &[u8]| verdict(master_key_id, status, body, field, &token);
        self.asking.ask(master_key_id, &request, read).await
    }

    fn request(
        &self,
        verb: &str,
        master_key_id: &str,
        body: &serde_json::Value,
        token: &str,
    ) -> Result<Request, KeyError> {
        // a file must not choose another path than that of a key
        if master_key_id.chars().all(|letter| letter == '.') {
            return Err(missing(master_key_id));
        }
        let name = utf8_percent_encode(master_key_id, NON_ALPHANUMERIC);
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{verb}/{name}", url.path()));
        let mut request = Request::new(Method::POST, url);
        let mut header = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value);
            let mut value = value.map_err(|_| KeyError::Denied {
                key: quoted(master_key_id),
                reason: format!("{name} holds letters that no header does"),
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
            Ok(())
        };
        header("x-vault-token", token)?;
        header("x-vault-request", "true")?;
        if let Some(namespace) = &self.namespace {
            header("x-vault-namespace", namespace)?;
        }
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Some(body.to_string().into());
        Ok(request)
    }
}

#[async_trait]
impl KeyProvider for Vault {
    async fn unwrap_key(&self, master_key_id: &str, wrapped: &str) -> Result<SecretKey, KeyError> {
        let body = json!({ "ciphertext": wrapped });
        let key = self.transit("decrypt", master_key_id, &body, "plaintext");
        SecretKey::from_base64(&key.await?)
    }

    async fn wrap_key(&self, master_key_id: &str, key: &SecretKey) -> Result<String, KeyError> {
        let body = json!({ "plaintext": BASE64_STANDARD.encode(key.bytes()) });
        let wrapped = self.transit("encrypt", master_key_id, &body, "ciphertext");
        Ok(wrapped.await?.to_string())
    }

    fn aad_prefix(&self, _path: &str) -> Option<Vec<u8>> {
        self.aad_prefix.clone()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Vault")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Token {
    fn find(file: Option<&PathBuf>) -> Result<Token, String> {
        if let Some(file) = file {
            return Ok(Token::File(file.clone()));
        }
        if let Ok(token) = std::env::var("VAULT_TOKEN") {
            return Ok(Token::Given(Zeroizing::new(token)));
        }
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".vault-token"));
        match home.filter(|file| file.exists()) {
            Some(file) => Ok(Token::File(file)),
            None => {
                Err("there is no token: set VAULT_TOKEN, or name a file that holds one".to_owned())
            }
        }
    }

    fn read(&self) -> Result<Zeroizing<String>, String> {
        match self {
            Token::Given(token) => Ok(token.clone()),
            Token::File(file) => {
                let text = std::fs::read_to_string(file).map(Zeroizing::new);
                let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
                Ok(Zeroizing::new(text.trim().to_owned()))
            }
        }
    }
}

/// The URL that requests begin with.
fn engine(text: &str) -> Result<Url, String> {
    let mut url = address(text)?;
    let mount = url.path().trim_matches('/').to_owned();
    if mount.is_empty() {
        return Err("name the mount of the transit engine: https://vault:8200/transit".to_owned());
    }
    url.set_path(&format!("v1/{mount}"));
    Ok(url)
}

fn verdict(
    master_key_id: &str,
    status: StatusCode,
    body: &[u8],
    field: &str,
    token: &str,
) -> Verdict<Zeroizing<String>> {
    if let Some(reason) = nobody_answered(status) {
        return Verdict::Again(reason);
    }
    let reply: Reply = serde_json::from_slice(body).unwrap_or_default();
    if status == StatusCode::OK {
        let data = reply.data.into_iter();
        let given = data.into_iter().find(|(name, _)| name == field);
        return match given.and_then(|(_, value)| value.into_text()) {
            Some(given) => Verdict::Given(given),
            None => Verdict::Refused(unusable(master_key_id, status, "without a key")),
        };
    }
    let text = said(&reply.errors.join("; "), &[token]);
    let key = quoted(master_key_id);
    Verdict::Refused(match status {
        StatusCode::NOT_FOUND => missing(master_key_id),
        StatusCode::BAD_REQUEST if text.contains("key not found") => missing(master_key_id),
        StatusCode::BAD_REQUEST if WRONG.iter().any(|wrong| text.contains(wrong)) => {
            KeyError::Wrong { key }
        }
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST => {
            KeyError::Denied { key, reason: text }
        }
        _ => unusable(master_key_id, status, &text),
    })
}

fn missing(master_key_id: &str) -> KeyError {
    KeyError::Missing {
        key: quoted(master_key_id),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    data: std::collections::HashMap<String, Value>,
    errors: Vec<String>,
}

/// Texts are keys, or wrapped keys.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(Zeroizing<String>),
    Other(serde::de::IgnoredAny),
}

impl Value {
    fn into_text(self) -> Option<Zeroizing<String>> {
        match self {
            Value::Text(text) => Some(text),
            Value::Other(_) => None,
        }
    }
}

/// What Vault says of a ciphertext that its key did not seal.
const WRONG: [&str; 2] = ["message authentication failed", "invalid ciphertext"];
