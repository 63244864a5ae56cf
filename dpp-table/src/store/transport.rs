//! HTTP to object stores: waits where a store asks to wait, counts what had to be asked again, and goes nowhere else.
//!
//! A store that answers 429 or 503 is busy, not broken: the request is made again with growing, jittered pauses, for a
//! minute, or as long as `Retry-After` says. Connections that fail, timeouts and other answers of the 5xx kind are
//! tried again by `object_store`, a few times and for seconds; here they are only counted. A redirect is an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::metrics::STORAGE_RETRIES;
use crate::store::client::client;

tokio::task_local! {
    static RETRIES: Arc<AtomicU64>;
}

/// Runs `work` and returns how many answers it met that said to try again, or that never came.
pub(crate) async fn counting_retries<T>(work: impl Future<Output = T>) -> (T, u64) {
    let retries = Arc::new(AtomicU64::new(0));
    let done = RETRIES.scope(Arc::clone(&retries), work).await;
    (done, retries.load(Ordering::Relaxed))
}

/// Makes clients that wait.
#[derive(Debug)]
pub(crate) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = HttpClient::new(client(options)?);
        Ok(HttpClient::new(Waiting { inner }))
    }
}

/// A store that sends its readers elsewhere: where a store is, its user says.
#[derive(Debug, thiserror::Error)]
#[error("it sends readers on to {to}, and redirects are not followed")]
pub(crate) struct SentElsewhere {
    /// Scheme and host, without path or query.
    pub(crate) to: String,
}

#[derive(Debug)]
struct Waiting {
    inner: HttpClient,
}

#[async_trait]
impl HttpService for Waiting {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let give_up = Instant::now() + PATIENCE;
        let mut longest = FIRST_PAUSE;
        loop {
            let answer = self.inner.execute(request.clone()).await;
            if !is_retried(&answer) {
                return answer.and_then(staying);
            }
            counter!(STORAGE_RETRIES).increment(1);
            // work that nobody counts for is listing and writing
            let _ = RETRIES.try_with(|retries| retries.fetch_add(1, Ordering::Relaxed));
            let pause = match &answer {
                Ok(busy) if is_busy(busy) => {
                    asked_pause(busy).unwrap_or_else(|| longest.mul_f64(rand::random()))
                }
                _ => return answer,
            };
            if Instant::now() + pause > give_up {
                return answer;
            }
            sleep(pause).await;
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The answer, unless it sends elsewhere.
fn staying(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    match answer.headers().get("location") {
        Some(to) if answer.status().is_redirection() => {
            let to = to.to_str().ok().and_then(|to| Url::parse(to).ok());
            let to = to.map_or("another path".to_owned(), |to| {
                to.origin().ascii_serialization()
            });
            let elsewhere = SentElsewhere { to };
            Err(HttpError::new(HttpErrorKind::Unknown, elsewhere))
        }
        _ => Ok(answer),
    }
}

/// Whether someone, here or above, makes the request again.
fn is_retried(answer: &Result<HttpResponse, HttpError>) -> bool {
    match answer {
        Ok(answer) => is_busy(answer) || answer.status().is_server_error(),
        Err(_) => true,
    }
}

fn is_busy(answer: &HttpResponse) -> bool {
    matches!(answer.status().as_u16(), 429 | 503)
}

/// What `Retry-After` says, if it says seconds.
fn asked_pause(answer: &HttpResponse) -> Option<Duration> {
    let asked = answer.headers().get("retry-after")?.to_str().ok()?;
    asked.parse().ok().map(Duration::from_secs)
}

/// How long a busy store is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pauses are drawn from zero to this, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
