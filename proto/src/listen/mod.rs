//! Where a service is reached, and how it starts and stops: the same for workers and fleet.
//!
//! An [`Address`] is parsed once; binding refuses what others could reach unprotected; [`serve`] runs a
//! router until a signal, then lets it drain.

mod address;
mod error;
mod incoming;

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_stream::{StreamExt as _, wrappers::UnixListenerStream};
use tonic::transport::{Server, server::Router};

use self::incoming::{Incoming, KEEPALIVE};
pub use self::{address::Address, error::Error};
use crate::{access::Gate, tls};

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
                Ok(Listener::Tcp(listening(listen).map_err(failed)?))
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

    /// As [`Listener::bind`], by TLS over TCP if there is a certificate. Beyond loopback without `insecure` if moreover `gate`
    /// asks callers for tokens.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub async fn bind_with(
        address: &Address,
        insecure: bool,
        tls: Option<tls::Service>,
        gate: &Gate,
    ) -> Result<Listener, Error> {
        let is_guarded = tls.is_some() && gate.asks_for_tokens();
        let bound = Listener::bind(address, insecure || is_guarded).await?;
        Ok(match (bound, tls) {
            (Listener::Tcp(listener), Some(tls)) => Listener::Tls(listener, tls),
            (bound, _) => bound,
        })
    }

    /// A server to add services to, speaking as this listener must, with pings, and with windows that are as small as can be: what a
    /// connection sends unasked is held for it, and requests are small.
    ///
    /// # Errors
    /// [`Error::Tls`] when the certificate can't be used.
    pub fn server(&self) -> Result<Server, Error> {
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        match self {
            Listener::Tls(_, tls) => server
                .tls_config(tls.config.clone())
                .map_err(|source| Error::Tls { source }),
            _ => Ok(server),
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

/// A listener that has room for a crowd which comes at once, as after a restart.
fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(MOST_WAITING)
}

/// Lets a megabyte lie between the two ends, or what the system allows (`net.core.wmem_max`): its usual fifth of that has them wake
/// each other more often.
fn widen(stream: &UnixStream) {
    // A refusal changes nothing but the cost. The system doubles it, for what it keeps beside the bytes.
    _ = rustix::net::sockopt::set_socket_send_buffer_size(stream, 512 << 10);
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
                    .serve_with_incoming_shutdown(Incoming::of(listener), stopped)
                    .await
            }
            Listener::Unix(listener, _) => {
                router
                    .serve_with_incoming_shutdown(
                        UnixListenerStream::new(listener).map(|stream| stream.inspect(widen)),
                        stopped,
                    )
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

/// The least that a connection may have.
const WINDOW_BYTES: u32 = (1 << 16) - 1;
/// Connections that wait to be accepted; the system may have less room for them.
const MOST_WAITING: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

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
