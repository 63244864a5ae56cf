//! Why a service can't listen, be called, or go on.

use std::{io, net::SocketAddr, path::PathBuf};

use super::Address;
use crate::{Fault, Faulty};

/// Why a service can't listen, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `host:port` nor `unix:/path`.
    #[error("{address:?} is no address: give host:port or unix:/path")]
    Address {
        /// As given.
        address: String,
    },
    /// A listener that others could reach, without protection.
    #[error(
        "{listen} is reachable from other machines: listen on 127.0.0.1, or serve by TLS (--tls-cert, --tls-key) and let in only \
         callers with a token (--token-keys), or accept that with --insecure"
    )]
    Exposed {
        /// As resolved.
        listen: SocketAddr,
    },
    /// The address can't be bound.
    #[error("can't listen on {address}")]
    Bind {
        /// As given.
        address: Address,
        /// From the system.
        source: io::Error,
    },
    /// The signal handlers can't be installed.
    #[error("can't wait for signals")]
    Signals {
        /// From the system.
        source: io::Error,
    },
    /// A file of a certificate, key or token can't be read.
    #[error("can't read {}", path.display())]
    File {
        /// As given.
        path: PathBuf,
        /// From the system.
        source: io::Error,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error("a certificate and its key go together: give --tls-cert and --tls-key, or neither")]
    Identity,
    /// Certificates or keys that can't be used.
    #[error("the TLS certificates or keys can't be used: give PEM files")]
    Tls {
        /// From TLS.
        source: tonic::transport::Error,
    },
    /// A file that should hold a key for tokens and does not.
    #[error(
        "{} holds no {wanted} Ed25519 key in PEM: `dpp fleet key` makes a pair, of which services get the public one",
        path.display()
    )]
    TokenKey {
        /// As given.
        path: PathBuf,
        /// Private or public.
        wanted: &'static str,
    },
    /// A file that should hold a token and does not.
    #[error("{} holds no token: `dpp fleet token` makes them", path.display())]
    Token {
        /// As given.
        path: PathBuf,
    },
    /// A text that should be a token and is not; it is not repeated.
    #[error("what was given as a token is none: `dpp fleet token` makes them")]
    TokenText,
    /// A token would cross a network for everybody to read.
    #[error(
        "{address} is another machine, and a token must not go there in plain text: call it by TLS (--tls-ca or DPP_TLS_CA)"
    )]
    TokenInTheOpen {
        /// As given.
        address: Address,
    },
    /// The server stopped by itself.
    #[error("the service stopped serving")]
    Serve {
        /// From the transport.
        source: tonic::transport::Error,
    },
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Address { .. }
            | Error::Exposed { .. }
            | Error::File { .. }
            | Error::TokenKey { .. }
            | Error::Token { .. }
            | Error::TokenText
            | Error::TokenInTheOpen { .. }
            | Error::Identity
            | Error::Tls { .. } => Fault::Invalid,
            Error::Bind { .. } => Fault::Unavailable,
            Error::Signals { .. } | Error::Serve { .. } => Fault::Internal,
        }
    }
}
