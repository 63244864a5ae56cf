//! Master keys in AWS KMS, which never hands them out.
//!
//! ```text
//! POST https://kms.{region}.amazonaws.com/   X-Amz-Target: TrentService.Decrypt, signed (SigV4)
//!      {"KeyId": master key, "CiphertextBlob": base64}  ─▶  {"Plaintext": base64}
//! ```
//!
//! Files hold the ciphertext in base64. Credentials are those of storage: environment, web identity, container or instance.
//! A key's ARN may name any region; the one that is asked is the user's.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use reqwest::{Method, Request, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Asking, Verdict, address, nobody_answered, quoted, said, unusable};
use crate::encryption::keys::{KeyError, KeyProvider, SecretKey};

/// Which KMS; holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsKmsPlace {
    /// By default `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// What all files must have been written with.
    pub aad_prefix: Option<String>,
}

/// The KMS of a region.
pub(crate) struct AwsKms {
    pub(super) asking: Asking,
    pub(super) credentials: AwsCredentialProvider,
    pub(super) region: String,
    pub(super) url: Url,
    pub(super) aad_prefix: Option<Vec<u8>>,
}

impl AwsKms {
    /// Reads the environment; asks nothing. `AWS_ENDPOINT_URL_KMS` replaces the region's own address.
    pub(crate) fn open(place: &AwsKmsPlace) -> Result<AwsKms, KeyError> {
        let refuse = |reason: String| KeyError::Ring {
            place: format!("aws-kms:{}", place.region.as_deref().unwrap_or_default()),
            reason,
        };
        let given = place.region.clone().into_iter();
        let region = given
            .chain(
                REGION_VARIABLES
                    .into_iter()
                    .filter_map(|name| std::env::var(name).ok()),
            )
            .find(|region| !region.is_empty())
            .ok_or_else(|| refuse("there is no region: name it, or set AWS_REGION".to_owned()))?;
        let url = std::env::var("AWS_ENDPOINT_URL_KMS");
        let url = url.unwrap_or_else(|_| format!("https://kms.{region}.amazonaws.com/"));
        // the chain of credentials that storage uses; the bucket is never asked for
        let storage = AmazonS3Builder::from_env()
            .with_bucket_name("none")
            .with_region(&region)
            .build()
            .map_err(|error| refuse(error.to_string()))?;
        Ok(AwsKms {
            asking: Asking::new(None).map_err(refuse)?,
            credentials: Arc::clone(storage.credentials()),
            region,
            url: address(&url).map_err(refuse)?,
            aad_prefix: place.aad_prefix.clone().map(String::into_bytes),
        })
    }

    /// Asks for `action`, and returns `field` of the answer.
    async fn call(
        &self,
        action: &str,
        master_key_id: &str,
        body: &serde_json::Value,
        field: fn(Reply) -> Option<Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, KeyError> {
        let credentials = self.credentials.get_credential().await;
        let credential = credentials.map_err(|error| KeyError::Unavailable {
            key: quoted(master_key_id),
            source: Box::new(error),
        })?;
        let mut request = HttpRequest::new(body.to_string().into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.as_str().parse().expect("a URL is a URI");
        let headers = request.headers_mut();
        let target = format!("TrentService.{action}");
        headers.insert("x-amz-target", target.parse().expect("letters and a dot"));
        headers.insert(
            "content-type",
            CONTENT_TYPE.parse().expect("letters and signs"),
        );
        let signed =
            AwsAuthorizer::new(&credential, "kms", &self.region).try_authorize(&mut request, None);
        signed.map_err(|error| KeyError::Unavailable {
            key: quoted(master_key_id),
            source: Box::new(error),
        })?;
        let request = sendable(self.url.clone(), &mut request, body);
        let secrets = [
            credential.secret_key.as_str(),
            credential.token.as_deref().unwrap_or_default(),
        ];
        let read =
            |status: StatusCode, body: &[u8]| verdict(master_key_id, status, body, field, &secrets);
        self.asking.ask(master_key_id, &request, read).await
    }
}

#[async_trait]
impl KeyProvider for AwsKms {
    async fn unwrap_key(&self, master_key_id: &str, wrapped: &str) -> Result<SecretKey, KeyError> {
        let body = json!({ "KeyId": master_key_id, "CiphertextBlob": wrapped });
        let key = self.call("Decrypt", master_key_id, &body, |reply| reply.plaintext);
        SecretKey::from_base64(&key.await?)
    }

    async fn wrap_key(&self, master_key_id: &str, key: &SecretKey) -> Result<String, KeyError> {
        let body =
            json!({ "KeyId": master_key_id, "Plaintext": BASE64_STANDARD.encode(key.bytes()) });
        let wrapped = self.call("Encrypt", master_key_id, &body, |reply| reply.ciphertext);
        Ok(wrapped.await?.to_string())
    }

    fn aad_prefix(&self, _path: &str) -> Option<Vec<u8>> {
        self.aad_prefix.clone()
    }
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AwsKms")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// The signed request, for our client.
fn sendable(url: Url, signed: &mut HttpRequest, body: &serde_json::Value) -> Request {
    let mut request = Request::new(Method::POST, url);
    *request.headers_mut() = std::mem::take(signed.headers_mut());
    for value in request.headers_mut().values_mut() {
        value.set_sensitive(true);
    }
    *request.body_mut() = Some(body.to_string().into());
    request
}

fn verdict(
    master_key_id: &str,
    status: StatusCode,
    body: &[u8],
    field: fn(Reply) -> Option<Zeroizing<String>>,
    secrets: &[&str],
) -> Verdict<Zeroizing<String>> {
    let reply: Reply = serde_json::from_slice(body).unwrap_or_default();
    if status == StatusCode::OK {
        return match field(reply) {
            Some(given) => Verdict::Given(given),
            None => Verdict::Refused(unusable(master_key_id, status, "without a key")),
        };
    }
    // `com.amazonaws.kms#NotFoundException`
    let kind = reply.kind.rsplit('#').next().unwrap_or_default();
    if let Some(reason) = nobody_answered(status) {
        return Verdict::Again(said(&format!("{reason} {kind}"), secrets));
    }
    let key = quoted(master_key_id);
    if BUSY.iter().any(|busy| kind.contains(busy)) {
        return Verdict::Again(format!("it answered {kind}"));
    }
    Verdict::Refused(match kind {
        "NotFoundException" => KeyError::Missing { key },
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyError::Wrong { key },
        _ if status.is_client_error() => KeyError::Denied {
            key,
            reason: said(
                format!("{kind}: {}", reply.message).trim_end_matches([':', ' ']),
                secrets,
            ),
        },
        _ => unusable(master_key_id, status, &said(kind, secrets)),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    #[serde(rename = "Plaintext")]
    plaintext: Option<Zeroizing<String>>,
    #[serde(rename = "CiphertextBlob")]
    ciphertext: Option<Zeroizing<String>>,
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Parts of what KMS calls the faults that go by.
const BUSY: [&str; 5] = [
    "Throttling",
    "LimitExceeded",
    "DependencyTimeout",
    "KMSInternal",
    "KeyUnavailable",
];
