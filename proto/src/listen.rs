//! Where a service is reached, and how it starts and stops: the same for workers and fleet.
//!
//! An [`Address`] is parsed once; binding refuses what others could reach unprotected; [`serve`] runs a
//! router until a signal, then lets it drain.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use tokio::{
    net::{TcpListener, UnixListener, lookup_host},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{
    Endpoint, Server,
    server::{Router, TcpIncoming},
};

use crate::{Fault, Faulty, tls};

/// Where a service listens or is reached: `host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// Over TCP, as `host:port`.
    Tcp(String),
    /// Over a Unix socket of the same machine.
    Unix(PathBuf),
}

/// A bound listener, not yet serving.
#[derive(Debug)]
pub enum Listener {
    /// Over TCP, in plain text.
    Tcp(TcpListener),
    /// Over TCP, by TLS.
    Tls(TcpListener, tls::Service),
    /// Over a Unix socket; its file is removed when serving ends.
    Unix(UnixListener, PathBuf),
}

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
        "{listen} is reachable from other machines and this service lets everybody in: listen on 127.0.0.1, let in only \
         callers with a certificate (--tls-cert, --tls-key, --tls-client-ca), or accept that with --insecure"
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
    /// A file of a certificate or key can't be read.
    #[error("can't read {}", path.display())]
    TlsFile {
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
    /// The server stopped by itself.
    #[error("the service stopped serving")]
    Serve {
        /// From the transport.
        source: tonic::transport::Error,
    },
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        let wrong = || Error::Address {
            address: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Address::Unix(path))
            } else {
                Err(wrong())
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host_ok = !host.is_empty() && !host.contains(['/', ',', ' ']);
        if host_ok && port.parse::<u16>().is_ok() {
            Ok(Address::Tcp(text.to_owned()))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// How a client connects to it.
    ///
    /// # Errors
    /// [`Error::Address`] when it makes no URI.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        let uri = match self {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        Endpoint::from_shared(uri).map_err(|_| Error::Address {
            address: self.to_string(),
        })
    }
}

impl Listener {
    /// Binds `address`. Beyond loopback only when `insecure` says that this is meant.
    ///
    /// A Unix socket left by a process that is gone is replaced; one that answers is an error.
    ///
    /// # Errors
    /// The address can't be resolved or bound, or is exposed.
    pub async fn bind(address: &Address, insecure: bool) -> Result<Listener, Error> {
        let failed = |source| Error::Bind {
            address: address.clone(),
            source,
        };
        match address {
            Address::Tcp(name) => {
                let listen = lookup_host(name)
                    .await
                    .map_err(failed)?
                    .next()
                    .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                if !listen.ip().is_loopback() && !insecure {
                    return Err(Error::Exposed { listen });
                }
                Ok(Listener::Tcp(
                    TcpListener::bind(listen).await.map_err(failed)?,
                ))
            }
            Address::Unix(path) => {
                if is_dead_socket(path) {
                    std::fs::remove_file(path).map_err(failed)?;
                }
                Ok(Listener::Unix(
                    UnixListener::bind(path).map_err(failed)?,
                    path.clone(),
                ))
            }
        }
    }

    /// As [`Listener::bind`], by TLS over TCP if there is a certificate. Beyond loopback without `insecure` if callers must
    /// show who they are.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub async fn bind_with(
        address: &Address,
        insecure: bool,
        tls: Option<tls::Service>,
    ) -> Result<Listener, Error> {
        let knows_callers = tls.as_ref().is_some_and(tls::Service::knows_callers);
        let bound = Listener::bind(address, insecure || knows_callers).await?;
        Ok(match (bound, tls) {
            (Listener::Tcp(listener), Some(tls)) => Listener::Tls(listener, tls),
            (bound, _) => bound,
        })
    }

    /// A server to add services to, speaking as this listener must.
    ///
    /// # Errors
    /// [`Error::Tls`] when the certificate can't be used.
    pub fn server(&self) -> Result<Server, Error> {
        match self {
            Listener::Tls(_, tls) => Server::builder()
                .tls_config(tls.config.clone())
                .map_err(|source| Error::Tls { source }),
            _ => Ok(Server::builder()),
        }
    }

    /// Where it listens; the port is the one the system chose.
    pub fn address(&self) -> Address {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => Address::Tcp(
                listener
                    .local_addr()
                    .map_or_else(|_| "?".into(), |address| address.to_string()),
            ),
            Listener::Unix(_, path) => Address::Unix(path.clone()),
        }
    }

    /// Prints `NAME listening on ADDRESS` on standard output, for scripts to read. Nobody has to listen.
    pub fn announce(&self, name: &str) {
        use std::io::Write as _;
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{name} listening on {}", self.address());
        let _ = stdout.flush();
    }
}

/// Whether `path` is a socket that nobody answers on. Whatever else lies there is not ours to remove.
fn is_dead_socket(path: &std::path::Path) -> bool {
    use std::os::unix::{fs::FileTypeExt as _, net::UnixStream};
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err()
}

/// Serves `router` until `shutdown` completes; calls still open `drain` later are cut.
///
/// # Errors
/// [`Error::Serve`] when the transport fails.
pub async fn serve(
    router: Router,
    listener: Listener,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
) -> Result<(), Error> {
    let (stop, stopped) = oneshot::channel::<()>();
    // An error means that the sender is gone, and with it the reason to serve.
    let stopped = async { _ = stopped.await };
    let socket = if let Listener::Unix(_, path) = &listener {
        Some(path.clone())
    } else {
        None
    };
    let server = async {
        match listener {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => {
                router
                    .serve_with_incoming_shutdown(
                        TcpIncoming::from(listener).with_nodelay(Some(true)),
                        stopped,
                    )
                    .await
            }
            Listener::Unix(listener, _) => {
                router
                    .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped)
                    .await
            }
        }
    };
    let mut server = std::pin::pin!(server);
    let ended = tokio::select! {
        ended = &mut server => ended,
        () = shutdown => {
            tracing::info!("draining");
            drop(stop);
            tokio::time::timeout(drain, server).await.unwrap_or_else(|_| {
                tracing::warn!("cut calls that were still open");
                Ok(())
            })
        }
    };
    if let Some(path) = socket {
        let _ = std::fs::remove_file(path);
    }
    ended.map_err(|source| Error::Serve { source })
}

/// Completes with the first SIGTERM or SIGINT. Handlers are in place when this returns.
///
/// # Errors
/// [`Error::Signals`] when they can't be installed.
pub fn signalled() -> Result<impl Future<Output = ()>, Error> {
    let install = |kind| signal(kind).map_err(|source| Error::Signals { source });
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Address { .. }
            | Error::Exposed { .. }
            | Error::TlsFile { .. }
            | Error::Identity
            | Error::Tls { .. } => Fault::Invalid,
            Error::Bind { .. } => Fault::Unavailable,
            Error::Signals { .. } | Error::Serve { .. } => Fault::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "localhost:7401",
            "127.0.0.1:0",
            "[::1]:80",
            "unix:/run/dpp.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "host",
            ":1",
            "host:http",
            "host:70000",
            "unix:relative",
            "http://a:1",
            "a:1,b:2",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn exposure_is_refused_unless_meant() {
        let open = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(
            Listener::bind(&open, false).await,
            Err(Error::Exposed { .. })
        ));
        assert!(Listener::bind(&open, true).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_kept() {
        let path = std::env::temp_dir().join(format!("dpp-listen-{}.txt", std::process::id()));
        std::fs::write(&path, "precious").unwrap();
        let bound = Listener::bind(&Address::Unix(path.clone()), false).await;
        assert!(matches!(bound, Err(Error::Bind { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_dead_sockets_file_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("dpp-listen-{}.sock", std::process::id()));
        let address = Address::Unix(path.clone());
        let first = Listener::bind(&address, false).await.unwrap();
        assert!(matches!(
            Listener::bind(&address, false).await,
            Err(Error::Bind { .. })
        ));
        drop(first);
        Listener::bind(&address, false).await.unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
