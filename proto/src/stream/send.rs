//! The worker's side: answers reads; all other calls go to the generated service.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use tokio_stream::Stream;
use tonic::{
    Request, Status,
    body::Body,
    codec::{Codec as _, Streaming},
    codegen::{BoxFuture, Service},
    server::NamedService,
};
use tonic_prost::ProstCodec;

use super::{FRAME_TAG, Message, PATH, PREFIX_BYTES, Rope};
use crate::v1::{ReadRequest, ReadResponse};

/// Answers reads with streams of messages.
pub trait ReadMethod: Clone + Send + 'static {
    /// Messages, until one is an error.
    type Messages: Stream<Item = Result<Message, Status>> + Unpin + Send + 'static;

    /// Answers one read.
    ///
    /// # Errors
    /// Why it is refused.
    fn read(&self, request: Request<ReadRequest>) -> Result<Self::Messages, Status>;
}

/// A service whose reads are answered by a [`ReadMethod`], and everything else by another service.
#[derive(Clone, Debug)]
pub struct Reads<R, S> {
    reads: R,
    others: S,
    most_request_bytes: usize,
}

impl<R, S> Reads<R, S> {
    /// Requests beyond `most_request_bytes` are refused.
    pub fn new(reads: R, others: S, most_request_bytes: usize) -> Self {
        Reads {
            reads,
            others,
            most_request_bytes,
        }
    }
}

impl<R, S: NamedService> NamedService for Reads<R, S> {
    const NAME: &'static str = S::NAME;
}

impl<R, S> Service<http::Request<Body>> for Reads<R, S>
where
    R: ReadMethod,
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(self.others.call(request));
        }
        let (reads, most_bytes) = (self.reads.clone(), self.most_request_bytes);
        Box::pin(async move {
            let messages = match message_of(request, most_bytes).await {
                Ok(request) => reads.read(request),
                Err(status) => Err(status),
            };
            Ok(messages.map_or_else(Status::into_http, response))
        })
    }
}

async fn message_of(
    request: http::Request<Body>,
    most_bytes: usize,
) -> Result<Request<ReadRequest>, Status> {
    let (head, body) = request.into_parts();
    let decoder = ProstCodec::<ReadResponse, ReadRequest>::default().decoder();
    let mut messages = Streaming::new_request(decoder, body, None, Some(most_bytes));
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::invalid_argument("read carries a request"))?;
    Ok(Request::from_http(http::Request::from_parts(head, message)))
}

pub(super) fn response<S>(messages: S) -> http::Response<Body>
where
    S: Stream<Item = Result<Message, Status>> + Unpin + Send + 'static,
{
    let mut response = http::Response::new(Body::new(Answer {
        messages,
        message: Rope::default(),
        ended: false,
    }));
    let content_type = tonic::metadata::GRPC_CONTENT_TYPE;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    response
}

/// Messages as a body: their pieces, then the status.
struct Answer<S> {
    messages: S,
    /// What is left of the message under way.
    message: Rope,
    ended: bool,
}

impl<S: Stream<Item = Result<Message, Status>> + Unpin> HttpBody for Answer<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(piece) = self.message.pop(usize::MAX) {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let status = match ready!(Pin::new(&mut self.messages).poll_next(context)) {
                Some(Ok(message)) => {
                    self.message = encode(message);
                    continue;
                }
                Some(Err(status)) => status,
                None => Status::ok(""),
            };
            self.ended = true;
            return Poll::Ready(Some(trailers(&status).map(Frame::trailers)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && bytes::Buf::remaining(&self.message) == 0
    }
}

fn trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(trailers)
}

fn alone(response: ReadResponse) -> (Vec<u8>, Rope) {
    (response.encode_to_vec(), Rope::default())
}

/// The message as it is sent.
pub(super) fn encode(message: Message) -> Rope {
    let (head, rest) = match message {
        Message::Summary(summary) => alone(ReadResponse {
            summary: Some(summary),
            ..ReadResponse::default()
        }),
        Message::Placed(placed) => alone(ReadResponse {
            placed: Some(placed),
            ..ReadResponse::default()
        }),
        Message::Frame(frame) => {
            let mut head = vec![FRAME_TAG];
            prost::encoding::encode_varint(bytes::Buf::remaining(&frame) as u64, &mut head);
            (head, frame)
        }
    };
    let length = head.len() + bytes::Buf::remaining(&rest);
    let mut encoded = BytesMut::with_capacity(PREFIX_BYTES + head.len());
    encoded.put_u8(0);
    encoded.put_u32(u32::try_from(length).expect("frames are cut far below 4 GiB"));
    encoded.put_slice(&head);
    rest.after(encoded.freeze())
}
