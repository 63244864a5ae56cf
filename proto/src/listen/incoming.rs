//! Connections as they come: so many at a time, and none that stays silent.
//!
//! Who speaks HTTP/2 answers the pings of a service, so a connection on which nothing comes for longer than they are apart is dead,
//! or was opened to be held: it is closed, whatever it is in the middle of. Who comes when there is no room is closed at once, and
//! can ask another worker; those that are there notice nothing.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, sleep_until},
};
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How far apart a service's pings are.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(30);

/// Accepts for ever.
pub(super) struct Incoming {
    listener: TcpListener,
    room: Arc<Semaphore>,
    silence: Duration,
    /// The system could not give a connection: it is asked again after.
    pause: Option<Pin<Box<Sleep>>>,
    refused: Refused,
}

/// A connection with its place among the others.
pub(super) struct Connection {
    stream: TcpStream,
    longest_silence: Duration,
    heard: Instant,
    silent: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

/// Connections that were closed for want of room, said once in a while.
#[derive(Default)]
struct Refused {
    count: u64,
    said: Option<Instant>,
}

impl Incoming {
    /// As many as the process may have files open, less some for storage.
    pub(super) fn of(listener: TcpListener) -> Incoming {
        Incoming::with(listener, most_connections(), LONGEST_SILENCE)
    }

    fn with(listener: TcpListener, most: usize, silence: Duration) -> Incoming {
        Incoming {
            listener,
            room: Arc::new(Semaphore::new(most)),
            silence,
            pause: None,
            refused: Refused::default(),
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let stream = match ready!(self.listener.poll_accept(context)) {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                    continue;
                }
            };
            match self.room.clone().try_acquire_owned() {
                Ok(room) => {
                    // slower without, and no less right
                    let _ = stream.set_nodelay(true);
                    let connection = Connection::new(stream, room, self.silence);
                    return Poll::Ready(Some(Ok(connection)));
                }
                Err(_) => self.refused.one_more(),
            }
        }
    }
}

impl Connection {
    fn new(stream: TcpStream, room: OwnedSemaphorePermit, longest_silence: Duration) -> Connection {
        Connection {
            stream,
            longest_silence,
            heard: Instant::now(),
            silent: Box::pin(sleep(longest_silence)),
            _room: room,
        }
    }

    /// Ready when nothing has come for too long.
    fn poll_silent(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.silent.as_mut().poll(context));
            let until = self.heard + self.longest_silence;
            if until <= Instant::now() {
                let peer = self.stream.peer_addr().ok();
                tracing::info!(?peer, silent = ?self.longest_silence, "closed a silent connection");
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.silent.set(sleep_until(until));
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.heard = Instant::now();
                Poll::Ready(read)
            }
            Poll::Pending => self.poll_silent(context).map(Err),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl Refused {
    fn one_more(&mut self) {
        self.count += 1;
        if self.said.is_none_or(|said| said.elapsed() > SAID_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(refused = self.count, "no room for another connection");
        }
    }
}

/// Three quarters of the files that the process may have open, which are as many as the system lets it have.
fn most_connections() -> usize {
    let mut files = getrlimit(Resource::Nofile);
    if files.current != files.maximum {
        files.current = files.maximum;
        // what it was stays in force, then
        let _ = setrlimit(Resource::Nofile, files);
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    (files / 4 * 3).min(MOST_CONNECTIONS)
}

/// Longer than pings are apart, and an answer to one is waited for.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// Some kilobytes each while nothing is asked.
const MOST_CONNECTIONS: usize = 65_536;
/// Files are closed by then, or not.
const PAUSE: Duration = Duration::from_millis(50);
const SAID_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_stream::StreamExt as _;

    use super::*;

    async fn listening(most: usize, silence: Duration) -> (Incoming, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Incoming::with(listener, most, silence), address)
    }

    #[tokio::test]
    async fn who_comes_without_room_is_closed_and_the_next_is_not() {
        let (mut incoming, address) = listening(1, LONGEST_SILENCE).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let accepted = incoming.next().await.unwrap().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let (more, closed) = tokio::join!(
            tokio::time::timeout(Duration::from_millis(200), incoming.next()),
            second.read_u8(),
        );
        assert!(more.is_err() && closed.is_err(), "it was closed");
        drop(accepted);
        assert!(first.read_u8().await.is_err());
        let _third = TcpStream::connect(address).await.unwrap();
        assert!(incoming.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn the_silent_are_closed_and_the_slow_are_not() {
        let silence = Duration::from_millis(400);
        let (mut incoming, address) = listening(8, silence).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut accepted = incoming.next().await.unwrap().unwrap();
        let speaking = async {
            for _ in 0..5 {
                sleep(silence / 4).await;
                client.write_u8(1).await.unwrap();
            }
        };
        let heard = async {
            let mut all = Vec::new();
            let end = accepted.read_to_end(&mut all).await;
            (all.len(), end.unwrap_err().kind())
        };
        let started = Instant::now();
        let ((), heard) = tokio::join!(speaking, heard);
        assert_eq!(heard, (5, io::ErrorKind::TimedOut));
        assert!(
            started.elapsed() > silence * 2,
            "as long as it spoke, and then"
        );
    }
}
