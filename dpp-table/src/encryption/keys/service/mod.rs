//! Key services over HTTP: a question is asked until it is answered, refused, or patience ends.
//!
//! An answer that is missing (no connection, timeout, 5xx, throttling) is told apart from one that says no. Where a
//! service is, its user says; nothing that a file says is ever followed, and neither is a redirect, since tokens are not
//! for whoever is there.

#[cfg(feature = "aws-kms")]
pub(super) mod aws_kms;
#[cfg(feature = "vault")]
pub(super) mod vault;

#[cfg(test)]
mod recorded;

use std::time::Duration;

use reqwest::{Certificate, Client, Request, StatusCode, Url, redirect};
use zeroize::Zeroizing;

use super::{KeyError, random};

/// Asks one service.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    client: Client,
    first_pause: Duration,
}

/// What an answer means.
pub(super) enum Verdict<T> {
    Given(T),
    Refused(KeyError),
    /// Worth asking again; says why.
    Again(String),
}

impl Asking {
    /// `roots` are certificates, as PEM, that are trusted beside the system's.
    pub(super) fn new(roots: Option<&[u8]>) -> Result<Asking, String> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT);
        if let Some(pem) = roots {
            let roots = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
            builder = roots
                .into_iter()
                .fold(builder, |builder, root| builder.add_root_certificate(root));
        }
        let client = builder.build().map_err(|error| error.to_string())?;
        Ok(Asking {
            client,
            first_pause: FIRST_PAUSE,
        })
    }

    #[cfg(test)]
    fn without_pauses(self) -> Asking {
        let first_pause = Duration::from_millis(1);
        Asking {
            first_pause,
            ..self
        }
    }

    /// Asks for `key` until `read` makes something of the answer's status and body.
    pub(super) async fn ask<T>(
        &self,
        key: &str,
        request: &Request,
        read: impl Fn(StatusCode, &[u8]) -> Verdict<T>,
    ) -> Result<T, KeyError> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tracing::debug!(%key, attempt, reason = %last, "asking the key service again");
                tokio::time::sleep(self.pause(attempt)?).await;
            }
            let request = request
                .try_clone()
                .expect("a body of bytes can be sent again");
            match self.answer(request).await {
                Ok((status, body)) => match read(status, &body) {
                    Verdict::Given(given) => return Ok(given),
                    Verdict::Refused(error) => return Err(error),
                    Verdict::Again(reason) => last = reason,
                },
                Err(error) => last = causes(&error),
            }
        }
        Err(KeyError::Unavailable {
            key: quoted(key),
            source: format!("{last} (asked {ATTEMPTS} times)").into(),
        })
    }

    async fn answer(
        &self,
        request: Request,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), reqwest::Error> {
        let mut answer = self.client.execute(request).await?;
        let status = answer.status();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(bytes) = answer.chunk().await? {
            if body.len() + bytes.len() > MOST_ANSWER_BYTES {
                break; // what follows makes no sense of it
            }
            body.extend_from_slice(&bytes);
        }
        Ok((status, body))
    }

    /// Doubles, and differs among those who wait at once.
    fn pause(&self, attempt: u32) -> Result<Duration, KeyError> {
        let longest = self.first_pause * (1 << attempt.min(5));
        let [jitter] = random::<1>()?;
        Ok(longest / 2 + longest * u32::from(jitter) / 510)
    }
}

/// The address of a service, which a secret may be sent to.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}"))?;
    let here = url
        .host_str()
        .is_some_and(|host| LOOPBACK.contains(&host) || host.starts_with("127."));
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        _ => Err("give an https:// address: its answers are keys".to_owned()),
    }
}

/// Why a status means nobody who may answer did, if it does.
pub(super) fn nobody_answered(status: StatusCode) -> Option<String> {
    let again = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    again.then(|| format!("it answered {status}"))
}

/// What a service said, shortened; nothing if it repeats one of `secrets`.
pub(super) fn said(text: &str, secrets: &[&str]) -> String {
    let repeats = |secret: &&str| !secret.is_empty() && text.contains(*secret);
    match secrets.iter().any(repeats) {
        true => String::new(),
        false => text.chars().take(MOST_SAID).collect(),
    }
}

/// A status that nothing is known about.
pub(super) fn unusable(key: &str, status: StatusCode, text: &str) -> KeyError {
    let elsewhere = match status.is_redirection() {
        true => ": it sends elsewhere, and a token is for this address only",
        false => "",
    };
    KeyError::Unavailable {
        key: quoted(key),
        source: format!("it answered {status}{elsewhere} {text}")
            .trim_end()
            .into(),
    }
}

pub(super) fn quoted(key: &str) -> String {
    format!("{key:?}")
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

const ATTEMPTS: u32 = 6;
/// With the doubled ones after it about 3 s: a service that restarts is met again, a reader is not held up for long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Wrapped keys are some hundred bytes.
const MOST_ANSWER_BYTES: usize = 1 << 20;
/// Characters.
const MOST_SAID: usize = 300;
const LOOPBACK: [&str; 2] = ["localhost", "[::1]"];
