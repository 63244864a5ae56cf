//! The other end: frames that are there already, as fast as they are taken.

use std::pin::Pin;

use bytes::Bytes;
use clap::Args;
use dpp_client::Error;
use dpp_proto::{
    listen::{self, Address, Listener},
    tls,
    v1::{
        DescribeRequest, DescribeResponse, OpenJobRequest, OpenJobResponse, ReadRequest,
        ReadResponse, StatsRequest, StatsResponse,
        worker_server::{Worker, WorkerServer},
    },
};
use futures::{Stream, stream};
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
    listener.announce("frames");
    let worker = WorkerServer::new(Frames { frame }).max_encoding_message_size(usize::MAX);
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

struct Frames {
    frame: Bytes,
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Worker for Frames {
    type DescribeStream = Messages<DescribeResponse>;
    type ReadStream = Messages<ReadResponse>;

    /// `to_row` bytes.
    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let frames = request.get_ref().to_row.div_ceil(self.frame.len() as u64);
        let frame = self.frame.clone();
        let messages = (0..frames).map(move |_| {
            Ok(ReadResponse {
                frame: frame.clone(),
                summary: None,
            })
        });
        Ok(Response::new(Box::pin(stream::iter(messages))))
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

/// As a worker's.
const WINDOW_BYTES: u32 = 16 << 20;
