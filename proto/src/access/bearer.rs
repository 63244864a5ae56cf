//! Shows a token with every call. One in a file is read again now and then: whoever replaces it in time needs no new process.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tonic::{Request, Status, metadata::AsciiMetadataValue, service::Interceptor};

use crate::listen::Error;

/// Shows a token with every call, or none.
#[derive(Clone, Default)]
pub struct Bearer {
    token: Option<Arc<Token>>,
}

struct Token {
    /// `None`: given as text.
    file: Option<PathBuf>,
    shown: Mutex<(AsciiMetadataValue, Instant)>,
}

impl Bearer {
    /// Shows what `file` holds.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be read, [`Error::Token`] when it holds no token.
    pub fn of_file(file: &Path) -> Result<Bearer, Error> {
        Ok(Bearer::showing(read(file)?, Some(file.to_owned())))
    }

    /// Shows `token`, always the same.
    ///
    /// # Errors
    /// [`Error::TokenText`] when it is none.
    pub fn of_text(token: &str) -> Result<Bearer, Error> {
        let value = header(token).ok_or(Error::TokenText)?;
        Ok(Bearer::showing(value, None))
    }

    fn showing(value: AsciiMetadataValue, file: Option<PathBuf>) -> Bearer {
        let shown = Mutex::new((value, Instant::now()));
        Bearer {
            token: Some(Arc::new(Token { file, shown })),
        }
    }

    pub(super) fn shows_token(&self) -> bool {
        self.token.is_some()
    }
}

impl Token {
    fn shown(&self) -> AsciiMetadataValue {
        // What is there is whole, whoever panicked.
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file
            && shown.1.elapsed() >= READ_AGAIN
        {
            // A file that is being replaced is read the next time.
            let token = read(file).unwrap_or_else(|_| shown.0.clone());
            *shown = (token, Instant::now());
        }
        shown.0.clone()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert(HEADER, token.shown());
        }
        Ok(request)
    }
}

/// Says whether there is a token, never which.
impl fmt::Debug for Bearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.token.as_ref().map(|token| &token.file);
        formatter
            .debug_struct("Bearer")
            .field("file", &file)
            .finish_non_exhaustive()
    }
}

fn read(file: &Path) -> Result<AsciiMetadataValue, Error> {
    let text = fs::read_to_string(file).map_err(|source| Error::File {
        path: file.to_owned(),
        source,
    })?;
    header(&text).ok_or_else(|| Error::Token {
        path: file.to_owned(),
    })
}

/// What shows a token, if `text` is one.
fn header(text: &str) -> Option<AsciiMetadataValue> {
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return None;
    }
    let mut value: AsciiMetadataValue = format!("Bearer {token}").parse().ok()?;
    value.set_sensitive(true); // neither kept in tables of headers nor shown in logs
    Some(value)
}

pub(super) const HEADER: &str = "authorization";
const READ_AGAIN: Duration = Duration::from_secs(10);
