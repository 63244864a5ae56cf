//! The other end: frames that are there already, as fast as they are taken.

use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use dpp_client::Error;
use dpp_proto::{
    listen::{self, Address, Listener},
    shared::Arenas,
    stream::{Message, ReadMethod, Reads, Rope},
    tls,
    v1::{
        DescribeRequest, DescribeResponse, OpenJobRequest, OpenJobResponse, ReadRequest,
        ReadResponse, StatsRequest, StatsResponse,
        worker_server::{Worker, WorkerServer},
    },
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use tonic::{Request, Response, Status};

use crate::failed;

#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    listen: Address,
    #[arg(long)]
    frame_mib: usize,
    /// Bytes on a socket, nothing else
    #[arg(long)]
    bare: bool,
    #[command(flatten)]
    tls: tls::Files,
}

/// Serves until it is told to end.
pub(crate) async fn serve(arguments: Arguments) -> Result<(), Error> {
    let frame = Bytes::from(vec![7; arguments.frame_mib << 20]);
    let shutdown = listen::signalled().map_err(failed)?;
    if arguments.bare {
        tokio::select! {
            served = serve_bare(&arguments.listen, &frame) => return served,
            () = shutdown => return Ok(()),
        }
    }
    let tls = arguments.tls.service().map_err(failed)?;
    let gate = dpp_proto::access::Gate::default();
    let listener = Listener::bind_with(&arguments.listen, false, tls, &gate).await;
    let listener = listener.map_err(failed)?;
    let arenas = match listener.address() {
        Address::Unix(path) => Some(Arenas::listen(&path, SHARED_BYTES).await.map_err(failed)?),
        Address::Tcp(_) => None,
    };
    listener.announce("frames");
    let frames = Frames {
        frame,
        arenas: arenas.map(Arc::new),
    };
    let worker = Reads::new(
        frames.clone(),
        WorkerServer::new(frames),
        MOST_REQUEST_BYTES,
    );
    let router = listener.server().map_err(failed)?;
    let router = router
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .add_service(worker);
    let served = listen::serve(router, listener, shutdown, std::time::Duration::ZERO).await;
    served.map_err(failed)
}

async fn serve_bare(address: &Address, frame: &Bytes) -> Result<(), Error> {
    let listener = TcpListener::bind(address.to_string())
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    println!("frames listening on {address}");
    loop {
        let (mut stream, _) = listener.accept().await.map_err(failed)?;
        // until the reader has had enough
        while stream.write_all(frame).await.is_ok() {}
    }
}

#[derive(Clone)]
struct Frames {
    frame: Bytes,
    arenas: Option<Arc<Arenas>>,
}

impl ReadMethod for Frames {
    type Messages = BoxStream<'static, Result<Message, Status>>;

    /// `to_row` bytes.
    fn read(&self, request: Request<ReadRequest>) -> Result<Self::Messages, Status> {
        let frames = request.get_ref().to_row.div_ceil(self.frame.len() as u64);
        let frame = self.frame.clone();
        let messages = (0..frames).map(move |_| {
            let frame: Rope = [frame.clone()].into_iter().collect();
            Ok(Message::Frame(frame))
        });
        let messages = stream::iter(messages);
        let arenas = self.arenas.as_ref();
        let writer = arenas.and_then(|arenas| arenas.writer(&request.get_ref().shared_memory));
        Ok(match writer {
            Some(writer) => writer.messages(messages).boxed(),
            None => messages.boxed(),
        })
    }
}

#[tonic::async_trait]
impl Worker for Frames {
    type DescribeStream = BoxStream<'static, Result<DescribeResponse, Status>>;
    type ReadStream = BoxStream<'static, Result<ReadResponse, Status>>;

    async fn read(&self, _: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        Err(Status::internal("a read passed by those who answer it"))
    }

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<Self::DescribeStream>, Status> {
        Err(Status::unimplemented("frames only"))
    }

    async fn open_job(
        &self,
        _: Request<OpenJobRequest>,
    ) -> Result<Response<OpenJobResponse>, Status> {
        Err(Status::unimplemented("frames only"))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Err(Status::unimplemented("frames only"))
    }
}

const MOST_REQUEST_BYTES: usize = 1 << 20;
/// More than one reader takes.
const SHARED_BYTES: u64 = 1 << 30;
/// As a worker's.
const WINDOW_BYTES: u32 = 16 << 20;
